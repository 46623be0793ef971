//! What makes changes last: the contract of the journal, and one in memory for embedders.
//! It must not know how a record is kept.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    event::{Category, Event},
    principal::Door,
    state::{Jobs, State},
    topology::Topology,
};

/// A saved configuration, without the configuration itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Revision {
    /// Its number, from 1.
    pub revision: u64,
    /// When it was made: milliseconds since 1970.
    pub time: u64,
    /// Who made it.
    pub author: String,
    /// By which way it came.
    pub door: Door,
    /// Why, if they said.
    pub reason: Option<String>,
    /// What it changed.
    pub diff: Vec<String>,
}

/// An event as it was recorded.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Recorded {
    /// Its number: one more than that of the event before it, over restarts too.
    pub sequence: u64,
    /// Its number among those of its category.
    pub category_sequence: u64,
    /// When it was recorded: milliseconds since 1970.
    pub time: u64,
    /// What happened.
    pub event: Event,
}

/// A command that was answered, under the id that its sender gave it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Answered {
    /// Who sent it, and the id: unique together.
    pub id: (String, String),
    /// A digest of what was sent under that id.
    pub digest: Vec<u8>,
    /// The answer, as JSON text.
    pub answer: String,
}

/// What makes a command one that is carried out once, however often it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Who sends it, and the id that they gave it: unique together.
    pub id: (String, String),
    /// A digest of what was sent under that id.
    pub digest: Vec<u8>,
}

impl Once {
    /// It with the answer that it got.
    pub fn answered(self, answer: String) -> Answered {
        let Self { id, digest } = self;
        Answered { id, digest, answer }
    }
}

/// What is known of an id before a command is carried out under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The answer that was given under it.
    pub answered: Option<Answered>,
    /// Until when answers may have been forgotten: milliseconds since 1970. A command that could
    /// have come by then may have been carried out although no answer is known.
    pub forgotten: u64,
}

/// Everything that one command leaves behind. All of it is kept, or nothing.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Entry {
    /// When: milliseconds since 1970.
    pub time: u64,
    /// The new revision and its configuration, where there is one.
    pub revision: Option<(Revision, Topology)>,
    /// The jobs that wait from now on, where they changed.
    pub jobs: Option<Jobs>,
    /// The digest of the file's text that goes with this revision, where there is a file.
    pub file_digest: Option<Vec<u8>>,
    /// What happened.
    pub events: Vec<Event>,
    /// What is to be kept under which key; `None` is to be forgotten.
    pub keep: Vec<(String, Option<Value>)>,
    /// The answer to be given again when the command comes again.
    pub answered: Option<Answered>,
}

/// What was recorded last, read at the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Last {
    /// The state.
    pub state: State,
    /// The digest of the file's text that belongs to it, if a file was written.
    pub file_digest: Option<Vec<u8>>,
}

/// Why nothing could be recorded or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It was not recorded, for certain.
    #[error("cannot record: {0}")]
    Refused(String),
    /// Whether it was recorded is not known until the journal has been read again.
    #[error("the journal failed while recording; whether it was recorded is not known: {0}")]
    Unknown(String),
    /// It cannot be read.
    #[error("cannot read the journal: {0}")]
    Unreadable(String),
}

/// Makes changes last.
///
/// Calls block; the control task makes them, on a thread of its own. One caller at a time.
pub trait Record: Send + std::fmt::Debug {
    /// Lets another process have it: until [`Self::reclaim`], nothing can be recorded or read.
    fn release(&mut self) {}

    /// Takes it back, with what the other process has recorded.
    fn reclaim(&mut self) {}

    /// The identity of this journal: a node that lost its journal has another.
    fn epoch(&self) -> String;

    /// Records the entries in one transaction, durably, in order; returns the events with their
    /// numbers.
    ///
    /// # Errors
    /// Nothing is recorded then, unless it says `Unknown`.
    fn record(&mut self, entries: &[Entry]) -> Result<Vec<Recorded>, RecordError>;

    /// What was recorded last; `None` in a new journal.
    ///
    /// # Errors
    /// When it cannot be read.
    fn last(&self) -> Result<Option<Last>, RecordError>;

    /// The configuration of `revision`; `None` when it is not kept (any more).
    ///
    /// # Errors
    /// When it cannot be read.
    fn topology(&self, revision: u64) -> Result<Option<Topology>, RecordError>;

    /// The newest revisions, newest first.
    ///
    /// # Errors
    /// When it cannot be read.
    fn history(&self, limit: usize) -> Result<Vec<Revision>, RecordError>;

    /// Events with a sequence number greater than `since`, oldest first.
    ///
    /// # Errors
    /// When it cannot be read.
    fn events(&self, since: u64, limit: usize) -> Result<Vec<Recorded>, RecordError>;

    /// The sequence number of the newest event; 0 when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn last_sequence(&self) -> Result<u64, RecordError>;

    /// The answer that was given under this id before.
    ///
    /// # Errors
    /// When it cannot be read.
    fn answered(&self, id: &(String, String)) -> Result<Option<Answered>, RecordError>;

    /// When the newest answer was given that is no longer kept: milliseconds since 1970; 0 while
    /// all are kept.
    ///
    /// # Errors
    /// When it cannot be read.
    fn forgotten(&self) -> Result<u64, RecordError>;

    /// Keeps a value under a key, durably: logins and the like.
    ///
    /// # Errors
    /// Nothing is kept then.
    fn keep(&mut self, key: &str, value: Option<&Value>) -> Result<(), RecordError>;

    /// The values kept under keys that begin with `prefix`.
    ///
    /// # Errors
    /// When it cannot be read.
    fn kept(&self, prefix: &str) -> Result<Vec<(String, Value)>, RecordError>;
}

/// What `record` knows of `id`.
pub(super) fn seen(record: &dyn Record, id: &(String, String)) -> Result<Seen, RecordError> {
    Ok(Seen {
        answered: record.answered(id)?,
        forgotten: record.forgotten()?,
    })
}

/// How many events and revisions a record in memory keeps.
const KEPT: usize = 10_000;

/// A record that lasts as long as the program, for embedders and tests.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    jobs: Jobs,
    revisions: Vec<(Revision, Topology)>,
    file_digest: Option<Vec<u8>>,
    events: Vec<Recorded>,
    sequence: u64,
    /// The last number of each category, for when its events are no longer kept.
    categories: HashMap<Category, u64>,
    answered: Vec<(u64, Answered)>,
    forgotten: u64,
    values: std::collections::BTreeMap<String, Value>,
}

impl InMemory {
    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn take_in(&mut self, entry: &Entry) -> Vec<Recorded> {
        self.revisions.extend(entry.revision.clone());
        self.jobs = entry
            .jobs
            .clone()
            .unwrap_or_else(|| std::mem::take(&mut self.jobs));
        self.file_digest = entry
            .file_digest
            .clone()
            .or_else(|| self.file_digest.take());
        let answered = entry.answered.clone();
        self.answered
            .extend(answered.map(|answered| (entry.time, answered)));
        for (key, value) in &entry.keep {
            self.keep(key, value.as_ref());
        }
        let mut recorded = Vec::new();
        for event in &entry.events {
            self.sequence += 1;
            let category_sequence = self.categories.entry(event.category).or_default();
            *category_sequence += 1;
            recorded.push(Recorded {
                sequence: self.sequence,
                category_sequence: *category_sequence,
                time: entry.time,
                event: event.clone(),
            });
            self.events.extend(recorded.last().cloned());
        }
        let surplus = self.events.len().saturating_sub(KEPT);
        self.events.drain(..surplus);
        let surplus = self.revisions.len().saturating_sub(KEPT);
        self.revisions.drain(..surplus);
        let surplus = self.answered.len().saturating_sub(KEPT);
        for (time, _) in self.answered.drain(..surplus) {
            self.forgotten = self.forgotten.max(time);
        }
        recorded
    }

    fn keep(&mut self, key: &str, value: Option<&Value>) {
        match value {
            Some(value) => self.values.insert(key.to_owned(), value.clone()),
            None => self.values.remove(key),
        };
    }
}

impl Record for InMemory {
    fn epoch(&self) -> String {
        "memory".to_owned()
    }

    fn record(&mut self, entries: &[Entry]) -> Result<Vec<Recorded>, RecordError> {
        let mut memory = self.memory();
        Ok(entries
            .iter()
            .flat_map(|entry| memory.take_in(entry))
            .collect())
    }

    fn last(&self) -> Result<Option<Last>, RecordError> {
        let memory = self.memory();
        Ok(memory.revisions.last().map(|(revision, topology)| Last {
            state: State {
                revision: revision.revision,
                topology: topology.clone(),
                jobs: memory.jobs.clone(),
            },
            file_digest: memory.file_digest.clone(),
        }))
    }

    fn topology(&self, revision: u64) -> Result<Option<Topology>, RecordError> {
        let memory = self.memory();
        let found = memory
            .revisions
            .iter()
            .find(|(kept, _)| kept.revision == revision);
        Ok(found.map(|(_, topology)| topology.clone()))
    }

    fn history(&self, limit: usize) -> Result<Vec<Revision>, RecordError> {
        let memory = self.memory();
        Ok(memory
            .revisions
            .iter()
            .rev()
            .take(limit)
            .map(|(kept, _)| kept.clone())
            .collect())
    }

    fn events(&self, since: u64, limit: usize) -> Result<Vec<Recorded>, RecordError> {
        let memory = self.memory();
        let after = memory.events.iter().filter(|event| event.sequence > since);
        Ok(after.take(limit).cloned().collect())
    }

    fn last_sequence(&self) -> Result<u64, RecordError> {
        Ok(self.memory().sequence)
    }

    fn answered(&self, id: &(String, String)) -> Result<Option<Answered>, RecordError> {
        let memory = self.memory();
        let mut answers = memory.answered.iter().map(|(_, answered)| answered);
        Ok(answers.find(|answered| answered.id == *id).cloned())
    }

    fn forgotten(&self) -> Result<u64, RecordError> {
        Ok(self.memory().forgotten)
    }

    fn keep(&mut self, key: &str, value: Option<&Value>) -> Result<(), RecordError> {
        self.memory().keep(key, value);
        Ok(())
    }

    fn kept(&self, prefix: &str) -> Result<Vec<(String, Value)>, RecordError> {
        let memory = self.memory();
        let kept = memory
            .values
            .iter()
            .filter(|(key, _)| key.starts_with(prefix));
        Ok(kept
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }
}
