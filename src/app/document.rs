//! The configuration file as the pipeline sees it.
//! It must not edit anything by itself; the store does.

use std::{any::Any, fmt};

use super::settings::Living;
use crate::{
    config::{ConfigError, Digest, Prepared, Settings, Store, StoreError},
    control::outside::{File, NotCommitted, PreparedFile, PreparedSettings},
    model::{
        check::Names,
        error::{Code, CommandError},
        topology::Topology,
    },
};

/// What the journal keeps of the file: the digest of the text that goes with a revision, and of
/// the one that it replaced. By the second a file is known that was not replaced any more before
/// a crash. A revision that left the file alone, because somebody had edited it, has no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) text: Option<Digest>,
    pub(super) replaced: Option<Digest>,
}

impl Digests {
    fn to_bytes(self) -> Vec<u8> {
        let [text, replaced] = [self.text, self.replaced]
            .map(|digest| digest.map_or_else(String::new, |digest| digest.to_string()));
        format!("{text} {replaced}").into_bytes()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (text, replaced) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
        let digest = |text: &str| match text {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        Some(Self {
            text: digest(text)?,
            replaced: digest(replaced)?,
        })
    }
}

/// The digest of a text that was read, as the journal keeps it.
pub(super) fn as_read(digest: Digest) -> Vec<u8> {
    Digests {
        text: Some(digest),
        replaced: None,
    }
    .to_bytes()
}

/// What the journal keeps of a file that was edited and left alone; it was `known` before.
pub(super) fn left_alone(known: Option<Digest>) -> Vec<u8> {
    Digests {
        text: None,
        replaced: known,
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

    fn names(&self) -> Names {
        self.living.now().names()
    }

    fn prepare_settings(&mut self) -> Result<PreparedSettings, CommandError> {
        let read = self.settings.take();
        self.living
            .prepare(read.unwrap_or_else(|| (*self.living.now()).clone()))
    }

    fn adopt(&mut self, digest: Vec<u8>, revision: u64) {
        self.expected = Digests::from_bytes(&digest).and_then(|digests| digests.text);
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

    fn left_alone(&self) -> Vec<u8> {
        left_alone(self.expected)
    }

    fn commit(&mut self, prepared: Box<dyn PreparedFile>) -> Result<(), NotCommitted> {
        let Ok(mut text) = prepared.into_any().downcast::<Text>() else {
            let message = "the text was not prepared here".to_owned();
            return Err(NotCommitted {
                message,
                text: None,
                again: false,
            });
        };
        match self.store.commit(&mut text.prepared) {
            Ok(()) => {}
            Err(error @ StoreError::NoBackup { .. }) => tracing::error!(%error, "no backup"),
            Err(error @ StoreError::Edited { .. }) => {
                return Err(NotCommitted {
                    message: error.to_string(),
                    text: Some(text),
                    again: false,
                });
            }
            Err(error) => {
                return Err(NotCommitted {
                    message: error.to_string(),
                    text: Some(text),
                    again: true,
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
            text: Some(self.prepared.digest()),
            replaced: self.replaced,
        }
        .to_bytes()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
