//! The files of the configuration on disk: read, and the services in them replaced as a whole.
//! It must not overwrite what somebody edited, nor leave anything half done.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use self::prepared::Prepared;
use super::{
    MAX_BYTES,
    digest::Digest,
    edit::{EditError, Pieces, edit, edit_hosts},
    error::{ConfigError, reason},
    file::{self, Config},
    text::text_of,
};
use crate::model::{problem::Problem, topology::Topology};

mod backup;
mod prepared;

/// Why the services could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is not what was last written or read.
    #[error("{} was edited by hand; `reload` takes in what it says now", path.display())]
    Edited {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read, or what it says is wrong.
    #[error(transparent)]
    Unusable(#[from] ConfigError),
    /// Its text cannot be changed.
    #[error("cannot change {}: {source}", path.display())]
    Unchangeable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: EditError,
    },
    /// The system refused. What the file says is as before.
    #[error("cannot {act} {}: {}", path.display(), reason(source))]
    Refused {
        /// What it refused.
        act: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The new text is in place, but the old one could not be kept.
    #[error("the file is written, but the old one cannot be kept in {}: {}", path.display(), reason(source))]
    NoBackup {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    fn refused(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Refused { act, path, source }
    }
}

/// The files of one configuration.
#[derive(Debug)]
pub struct Store {
    settings: PathBuf,
    backups: PathBuf,
    known: Mutex<Known>,
}

/// What is known of the file that has the services.
#[derive(Clone, Debug)]
struct Known {
    path: PathBuf,
    /// What it said when it was last read or written, so that it need not be read again.
    content: Option<Content>,
}

/// What a file says.
#[derive(Clone, Debug)]
struct Content {
    digest: Digest,
    topology: Arc<Topology>,
    /// Its text in pieces, where it was written by pieces.
    pieces: Option<Pieces>,
}

impl Store {
    /// The files of the configuration in `settings_file`, with backups in `state_dir`.
    ///
    /// # Errors
    ///
    /// When the settings cannot be read at all, or the directory for backups cannot be made.
    pub fn open(settings_file: &Path, state_dir: &Path) -> Result<Self, StoreError> {
        let text = text_of(settings_file)?;
        let services = file::services_file(settings_file, &text);
        let path = services.unwrap_or_else(|| settings_file.to_owned());
        let backups = state_dir.join("backups");
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&backups);
        made.map_err(StoreError::refused("create", &backups))?;
        let known = Mutex::new(Known {
            path,
            content: None,
        });
        Ok(Self {
            settings: settings_file.to_owned(),
            backups,
            known,
        })
    }

    /// Whether a text with this digest was written beside the file, and never put into its place.
    pub fn lies_beside(&self, digest: &Digest) -> bool {
        let target = fs::canonicalize(self.services_path());
        let left = target.and_then(|target| prepared::leftovers(&target));
        left.is_ok_and(|left| {
            let mut texts = left.iter().filter_map(|path| text_of(path).ok());
            texts.any(|text| Digest::of(text.as_bytes()) == *digest)
        })
    }

    /// Removes what a crash may have left beside the file.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn tidy(&self) -> Result<(), StoreError> {
        // A services file that is missing is told by `read`.
        let Ok(target) = fs::canonicalize(self.services_path()) else {
            return Ok(());
        };
        prepared::remove_leftovers(&target)
            .map_err(StoreError::refused("tidy up beside", &target))?;
        // A crash can come between one backup more and one less, and another after it.
        backup::prune(&self.backups, &target).map_err(StoreError::refused("tidy up", &self.backups))
    }

    /// What the files say, and the digest of the one that has the services.
    ///
    /// # Errors
    ///
    /// As [`super::read`].
    pub fn read(&self) -> Result<(Config, Digest), ConfigError> {
        let text = text_of(&self.settings)?;
        let mut path = self.settings.clone();
        let mut digest = Digest::of(text.as_bytes());
        let config = file::read_with(&self.settings, &text, |services| {
            let text = text_of(services)?;
            path = services.to_owned();
            digest = Digest::of(text.as_bytes());
            Ok(text)
        })?;
        let topology = Arc::new(config.topology.clone());
        *self.known() = Known {
            path,
            content: Some(Content {
                digest,
                topology,
                pieces: None,
            }),
        };
        Ok((config, digest))
    }

    /// The file that has the services, as it is named; it may be a symlink.
    pub fn services_path(&self) -> PathBuf {
        self.known().path.clone()
    }

    /// Writes the file with the services of `next` beside the one that is there, for [`commit`]
    /// to put into its place. `replaced` is the revision that the file has now.
    ///
    /// With `expected` the file must be that one.
    ///
    /// # Errors
    ///
    /// When the file was edited, cannot be read or changed, or the system refuses; nothing is
    /// changed then.
    ///
    /// [`commit`]: Self::commit
    pub fn prepare(
        &self,
        expected: Option<&Digest>,
        next: &Topology,
        replaced: u64,
    ) -> Result<Prepared, StoreError> {
        let known = self.known().clone();
        let path = known.path;
        let text = text_of(&path)?;
        let found = Digest::of(text.as_bytes());
        if expected.is_some_and(|expected| *expected != found) {
            return Err(StoreError::Edited { path });
        }
        let (old, pieces) = match known.content {
            Some(content) if content.digest == found => (content.topology, content.pieces),
            Some(_) | None => (Arc::new(topology_of(&path, &text)?), None),
        };
        let (text, pieces) = match edit_hosts(&text, pieces, &old, next) {
            Some((text, pieces)) => (text, Some(pieces)),
            None => {
                let edited = edit(&text, &old, next);
                let unchangeable = |source| StoreError::Unchangeable {
                    path: path.clone(),
                    source,
                };
                (edited.map_err(unchangeable)?, None)
            }
        };
        if text.len() as u64 > MAX_BYTES {
            return Err(ConfigError::TooLarge { path }.into());
        }
        let target = fs::canonicalize(&path).map_err(StoreError::refused("find", &path))?;
        let content = Content {
            digest: Digest::of(text.as_bytes()),
            topology: Arc::new(next.clone()),
            pieces,
        };
        Prepared::write(target, found, replaced, &text, content)
    }

    /// Keeps the old file as a backup and puts the prepared one into its place. May be tried again
    /// when the system refuses, and does nothing once it is done.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoBackup`] when the new file is in its place but the old one is not kept; any
    /// other when the old file is still in its place.
    pub fn commit(&self, prepared: &mut Prepared) -> Result<(), StoreError> {
        if prepared.is_done() {
            return Ok(());
        }
        prepared.check_unedited()?;
        let kept = backup::keep(&self.backups, prepared.target(), prepared.replaced());
        prepared.put_into_place()?;
        self.known().content = Some(prepared.content());
        kept.and_then(|()| backup::prune(&self.backups, prepared.target()))
            .map_err(|source| StoreError::NoBackup {
                path: self.backups.clone(),
                source,
            })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // What is known is replaced as a whole, so a thread that panicked leaves nothing half done.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn topology_of(path: &Path, text: &str) -> Result<Topology, ConfigError> {
    let failed = |problems: Vec<Problem>| ConfigError::Problems {
        path: path.to_owned(),
        problems,
    };
    file::parse(text)
        .map(|config| config.topology)
        .map_err(failed)
}

#[cfg(test)]
mod tests;
