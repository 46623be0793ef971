//! The configuration file as the pipeline sees it.
//! It must not edit anything by itself; the store does.

use std::{any::Any, fmt};

use super::settings::Living;
use crate::{
    config::{ConfigError, Digest, Prepared, Settings, Store, StoreError},
    control::outside::{File, NotCommitted, PreparedFile, PreparedSettings},
    model::{
        error::{Code, CommandError},
        topology::Topology,
    },
};

/// What the journal keeps of the file: the digest of the text that goes with a revision, and of
/// the one that it replaced. By the second a file is known that was not replaced any more before
/// a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) text: Digest,
    pub(super) replaced: Option<Digest>,
}

impl Digests {
    fn to_bytes(self) -> Vec<u8> {
        let replaced = self
            .replaced
            .map(|digest| digest.to_string())
            .unwrap_or_default();
        format!("{} {replaced}", self.text).into_bytes()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (text, replaced) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
        Some(Self {
            text: text.parse().ok()?,
            replaced: replaced.parse().ok(),
        })
    }
}

/// The digest of a text that was read, as the journal keeps it.
pub(super) fn as_read(digest: Digest) -> Vec<u8> {
    Digests {
        text: digest,
        replaced: None,
    }
    .to_bytes()
}

/// The file.
pub(super) struct Document {
    store: Store,
    /// What it must say for us to overwrite it.
    expected: Option<Digest>,
    /// The revision that it has.
    revision: u64,
    /// The settings that were read last.
    settings: Option<Settings>,
    living: Living,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Document {
    /// The file of `store`, which has `revision` and is overwritten only while it is `expected`.
    /// Settings that a reload takes in go to `living`.
    pub(super) fn new(
        store: Store,
        expected: Option<Digest>,
        revision: u64,
        living: Living,
    ) -> Self {
        Self {
            store,
            expected,
            revision,
            settings: None,
            living,
        }
    }
}

fn refused(error: &ConfigError) -> CommandError {
    let code = match error {
        ConfigError::Unreadable { .. } => Code::Failed,
        ConfigError::NotText { .. }
        | ConfigError::TooLarge { .. }
        | ConfigError::Problems { .. }
        | ConfigError::Both(..) => Code::Invalid,
    };
    CommandError::new(code, error.to_string())
}

impl File for Document {
    fn read(&mut self) -> Result<(Topology, Vec<u8>), CommandError> {
        let (config, digest) = self.store.read().map_err(|error| refused(&error))?;
        self.settings = Some(config.settings);
        Ok((config.topology, as_read(digest)))
    }

    fn prepare_settings(&mut self) -> Result<PreparedSettings, CommandError> {
        let read = self.settings.take();
        self.living
            .prepare(read.unwrap_or_else(|| (*self.living.now()).clone()))
    }

    fn adopt(&mut self, digest: Vec<u8>, revision: u64) {
        self.expected = Digests::from_bytes(&digest).map(|digests| digests.text);
        self.revision = revision;
    }

    fn prepare(
        &mut self,
        next: &Topology,
        revision: u64,
    ) -> Result<Box<dyn PreparedFile>, CommandError> {
        match self
            .store
            .prepare(self.expected.as_ref(), next, self.revision)
        {
            Ok(prepared) => Ok(Box::new(Text {
                prepared,
                revision,
                replaced: self.expected,
            })),
            Err(error @ StoreError::Edited { .. }) => {
                Err(CommandError::conflict(error.to_string()))
            }
            Err(error) => Err(CommandError::new(Code::Failed, error.to_string())),
        }
    }

    fn commit(&mut self, prepared: Box<dyn PreparedFile>) -> Result<(), NotCommitted> {
        let Ok(mut text) = prepared.into_any().downcast::<Text>() else {
            let message = "the text was not prepared here".to_owned();
            return Err(NotCommitted {
                message,
                again: None,
            });
        };
        match self.store.commit(&mut text.prepared) {
            Ok(()) => {}
            Err(error @ StoreError::NoBackup { .. }) => tracing::error!(%error, "no backup"),
            Err(error @ StoreError::Edited { .. }) => {
                return Err(NotCommitted {
                    message: error.to_string(),
                    again: None,
                });
            }
            Err(error) => {
                let message = error.to_string();
                return Err(NotCommitted {
                    message,
                    again: Some(text),
                });
            }
        }
        self.expected = Some(text.prepared.digest());
        self.revision = text.revision;
        Ok(())
    }
}

/// A new text of the file.
#[derive(Debug)]
struct Text {
    prepared: Prepared,
    revision: u64,
    replaced: Option<Digest>,
}

impl PreparedFile for Text {
    fn digest(&self) -> Vec<u8> {
        Digests {
            text: self.prepared.digest(),
            replaced: self.replaced,
        }
        .to_bytes()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
