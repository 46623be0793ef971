//! The journal: what was changed, asked and told, in SQLite, durably.
//! It must not know what any of it means.
//!
//! One connection holds `journal.db` for as long as the journal is open, and shuts others out. What
//! is needed for the next record (the newest configuration as text, the last numbers) stands in
//! memory beside it and is taken over only after a COMMIT. When a COMMIT fails, both are thrown
//! away: the next call opens the file anew and goes by what is in there.

mod error;
mod patch;
mod prune;
mod read;
mod store;
mod tail;
mod write;

#[cfg(test)]
mod tests;

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use serde_json::Value;

use crate::{
    control::record::{Answered, Entry, Last, Record, RecordError, Recorded, Revision},
    model::topology::Topology,
};
use error::Fault;
use tail::Tail;

pub use error::OpenError;

/// The name of the file in the state directory.
pub const FILE: &str = "journal.db";

/// How much is kept at least; what is older goes, a bounded part with each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The newest events.
    pub events: u64,
    /// The newest revisions. The current one, and one that a pending change would restore, are
    /// kept in any case.
    pub revisions: u64,
}

/// How much a journal keeps; may change while it is open.
#[derive(Clone, Debug)]
pub struct Keeping(Arc<Mutex<Keep>>);

impl Keeping {
    /// From the next record on.
    pub fn set(&self, keep: Keep) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = keep;
    }

    fn now(&self) -> Keep {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A [`Record`] in a file.
pub struct Journal {
    path: PathBuf,
    keeping: Keeping,
    epoch: String,
    /// Nothing after a failure that leaves open what is in the file.
    live: Mutex<Option<Live>>,
    /// Another process has the file.
    released: bool,
}

/// An open journal file, and the end of what is in it.
struct Live {
    connection: Connection,
    /// Device and number of the file.
    file: (u64, u64),
    /// The same of its log.
    log: Option<(u64, u64)>,
    tail: Tail,
}

impl Journal {
    /// Opens the journal in `dir`, or begins one. Nobody else can open it until it is dropped.
    ///
    /// # Errors
    /// When it is in use, damaged, of a newer version, or cannot be written; it is left alone then.
    pub fn open(dir: &Path, keep: Keep) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        let live = Live::open(&path, store::Start::First)?;
        let epoch = read::epoch(&live.connection).map_err(|fault| OpenError::new(&path, fault))?;
        Ok(Self {
            path,
            keeping: Keeping(Arc::new(Mutex::new(keep))),
            epoch,
            live: Mutex::new(Some(live)),
            released: false,
        })
    }

    /// How much it keeps.
    pub fn keeping(&self) -> Keeping {
        self.keeping.clone()
    }

    fn slot(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open journal in `slot`; opens it again after a failure.
    fn live<'a>(&self, slot: &'a mut Option<Live>) -> Result<&'a mut Live, String> {
        if self.released {
            return Err(self.tell(&"another process has taken over"));
        }
        match slot {
            Some(live) => Ok(live),
            empty => Ok(empty.insert(self.reopen()?)),
        }
    }

    /// The same, with its files where the next start will look for them. SQLite would write on
    /// into files without a name, which nobody finds after the end.
    fn in_place<'a>(&self, slot: &'a mut Option<Live>) -> Result<&'a mut Live, String> {
        let live = self.live(slot)?;
        if identity(&self.path).ok() != Some(live.file) {
            let why = "it was removed or replaced; put it back, or start again to begin a new one";
            return Err(self.tell(&why));
        }
        if identity(&store::log_of(&self.path)).ok() != live.log {
            // What only the log had goes into the file, and then a new log is begun.
            tracing::warn!(journal = %self.path.display(), "its log was removed or replaced");
            store::settle(&live.connection, store::Start::Again)
                .map_err(|error| self.tell(&error))?;
            *slot = None;
        }
        self.live(slot)
    }

    fn reopen(&self) -> Result<Live, String> {
        let live =
            Live::open(&self.path, store::Start::Again).map_err(|error| error.to_string())?;
        let epoch = read::epoch(&live.connection).map_err(|fault| self.tell(&fault))?;
        if epoch == self.epoch {
            Ok(live)
        } else {
            Err(self.tell(&"another journal stands in its place now"))
        }
    }

    fn tell(&self, what: &dyn fmt::Display) -> String {
        format!("journal {}: {what}", self.path.display())
    }

    fn read<T>(&self, act: impl FnOnce(&mut Live) -> Result<T, Fault>) -> Result<T, RecordError> {
        let mut slot = self.slot();
        let live = self.live(&mut slot).map_err(RecordError::Unreadable)?;
        act(live).map_err(|fault| RecordError::Unreadable(self.tell(&fault)))
    }

    fn write<T>(
        &self,
        act: impl FnOnce(&mut Live) -> Result<T, write::Failure>,
    ) -> Result<T, RecordError> {
        let mut slot = self.slot();
        let live = self.in_place(&mut slot).map_err(RecordError::Refused)?;
        let result = act(live);
        let rolled_back = live.connection.is_autocommit();
        match result {
            Ok(done) => Ok(done),
            Err(write::Failure::Before(fault)) => {
                if !rolled_back {
                    *slot = None;
                }
                Err(RecordError::Refused(self.tell(&fault)))
            }
            Err(write::Failure::Commit(fault)) => {
                *slot = None;
                Err(RecordError::Unknown(self.tell(&fault)))
            }
        }
    }
}

impl Live {
    fn open(path: &Path, start: store::Start) -> Result<Self, OpenError> {
        let connection = store::open(path, start)?;
        let tail = Tail::load(&connection).map_err(|fault| OpenError::new(path, fault))?;
        let file = identity(path).map_err(|error| OpenError::new(path, error))?;
        let log = identity(&store::log_of(path)).ok();
        Ok(Self {
            connection,
            file,
            log,
            tail,
        })
    }
}

/// Which file is at `path`. It is not opened: closing it again would end SQLite's locks.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Says where it is, and nothing of what is in it.
impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.path)
            .field("keep", &self.keeping.now())
            .finish_non_exhaustive()
    }
}

impl Record for Journal {
    fn release(&mut self) {
        self.released = true;
        *self.slot() = None;
    }

    fn reclaim(&mut self) {
        self.released = false;
    }

    fn epoch(&self) -> String {
        self.epoch.clone()
    }

    fn record(&mut self, entries: &[Entry]) -> Result<Vec<Recorded>, RecordError> {
        let keep = self.keeping.now();
        self.write(|live| write::record(live, keep, entries))
    }

    fn last(&self) -> Result<Option<Last>, RecordError> {
        self.read(|live| read::last(&live.connection, &live.tail))
    }

    fn topology(&self, revision: u64) -> Result<Option<Topology>, RecordError> {
        self.read(|live| read::topology(&live.connection, revision))
    }

    fn history(&self, limit: usize) -> Result<Vec<Revision>, RecordError> {
        self.read(|live| read::history(&live.connection, limit))
    }

    fn events(&self, since: u64, limit: usize) -> Result<Vec<Recorded>, RecordError> {
        self.read(|live| read::events(&live.connection, since, limit))
    }

    fn last_sequence(&self) -> Result<u64, RecordError> {
        self.read(|live| Ok(live.tail.sequence()))
    }

    fn answered(&self, id: &(String, String)) -> Result<Option<Answered>, RecordError> {
        self.read(|live| read::answered(&live.connection, id))
    }

    fn forgotten(&self) -> Result<u64, RecordError> {
        self.read(|live| read::forgotten(&live.connection))
    }

    fn keep(&mut self, key: &str, value: Option<&Value>) -> Result<(), RecordError> {
        self.write(|live| write::keep(live, key, value))
    }

    fn kept(&self, prefix: &str) -> Result<Vec<(String, Value)>, RecordError> {
        self.read(|live| read::kept(&live.connection, prefix))
    }
}
