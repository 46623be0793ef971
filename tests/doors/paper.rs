//! The file as the handle needs it: the store that the program uses, in a test of our own.
//! It must not decide anything.

use std::path::Path;

use pointsman::{
    config::{Digest, Prepared, Store},
    control::outside::{File, NotCommitted, PreparedFile, PreparedSettings},
    health::Means,
    model::{
        check::Names,
        error::{Code, CommandError},
        topology::Topology,
    },
};

/// The file, for the handle: the store that the program uses.
#[derive(Debug)]
pub(crate) struct Paper {
    pub(crate) store: Store,
    pub(crate) expected: Option<Digest>,
}

impl Paper {
    pub(crate) fn open(folder: &Path) -> Self {
        let store = Store::open(&folder.join("pointsman.toml"), &folder.join("state")).unwrap();
        let expected = None;
        Self { store, expected }
    }
}

#[derive(Debug)]
struct Written(Prepared);

impl PreparedFile for Written {
    fn digest(&self) -> Vec<u8> {
        self.0.digest().to_string().into_bytes()
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send> {
        self
    }
}

impl File for Paper {
    fn read(&mut self) -> Result<(Topology, Vec<u8>), CommandError> {
        let (config, digest) = self.store.read().unwrap();
        Ok((config.topology, digest.to_string().into_bytes()))
    }

    fn names(&self) -> Names {
        Names::default()
    }

    fn prepare_settings(&mut self) -> Result<PreparedSettings, CommandError> {
        Ok(PreparedSettings {
            told: serde_json::Map::new(),
            means: Means::default(),
            commit: Box::new(|| {}),
        })
    }

    fn adopt(&mut self, _: Vec<u8>, _: u64) {}

    fn prepare(
        &mut self,
        next: &Topology,
        revision: u64,
    ) -> Result<Box<dyn PreparedFile>, CommandError> {
        let prepared = self
            .store
            .prepare(self.expected.as_ref(), next, revision - 1);
        let failed = |error: pointsman::config::StoreError| {
            CommandError::new(Code::Failed, error.to_string())
        };
        Ok(Box::new(Written(prepared.map_err(failed)?)))
    }

    fn left_alone(&self) -> Vec<u8> {
        Vec::new()
    }

    fn commit(&mut self, prepared: Box<dyn PreparedFile>) -> Result<(), NotCommitted> {
        let mut written = prepared.into_any().downcast::<Written>().unwrap();
        self.store.commit(&mut written.0).unwrap();
        self.expected = Some(written.0.digest());
        Ok(())
    }
}
