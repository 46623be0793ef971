//! What is put into the journal: one transaction for each call.
//! It must not change what stands in memory before the transaction is committed.

use std::sync::Arc;

use rusqlite::{Connection, ToSql, Transaction, TransactionBehavior, params};
use serde_json::Value;

use super::{
    Keep, Live,
    error::Fault,
    patch::{Patch, digest},
    prune,
    read::signed,
    tail::{Newest, Tail},
};
use crate::{
    control::record::{Answered, Entry, Recorded, Revision},
    model::{event::Event, topology::Topology},
};

/// A revision is at most that many patches away from its snapshot.
const PATCHES: u64 = 15;

/// Where a record failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Before it could have been recorded.
    Before(Fault),
    /// At COMMIT: it may have been.
    Commit(Fault),
}

impl<E: Into<Fault>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Before(error.into())
    }
}

pub(super) fn record(
    live: &mut Live,
    keep: Keep,
    entries: &[Entry],
) -> Result<Vec<Recorded>, Failure> {
    let Some(now) = entries.last().map(|entry| entry.time) else {
        return Ok(Vec::new());
    };
    let mut next = live.tail.clone();
    let transaction = begin(&mut live.connection)?;
    let mut recorded = Vec::new();
    for entry in entries {
        next.take_in(&transaction, entry, &mut recorded)?;
    }
    next.save_categories(&transaction, &live.tail)?;
    prune::prune(&transaction, keep, &next, recorded.len(), now)?;
    commit(transaction)?;
    live.tail = next;
    Ok(recorded)
}

pub(super) fn keep(live: &mut Live, key: &str, value: Option<&Value>) -> Result<(), Failure> {
    let transaction = begin(&mut live.connection)?;
    put(&transaction, key, value)?;
    commit(transaction)
}

fn put(connection: &Connection, key: &str, value: Option<&Value>) -> Result<(), Fault> {
    match value {
        Some(value) => run(
            connection,
            "INSERT INTO value (key, value) VALUES (?1, ?2)
                ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            &[&key, &value.to_string()],
        ),
        None => run(connection, "DELETE FROM value WHERE key = ?1", &[&key]),
    }
}

fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn commit(transaction: Transaction<'_>) -> Result<(), Failure> {
    let committed = transaction.commit();
    committed.map_err(|error| Failure::Commit(error.into()))
}

fn run(connection: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<(), Fault> {
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

pub(super) fn save_meta(
    connection: &Connection,
    key: &str,
    value: &dyn ToSql,
) -> Result<(), Fault> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    run(connection, sql, &[&key, value])
}

impl Tail {
    fn take_in(
        &mut self,
        connection: &Connection,
        entry: &Entry,
        recorded: &mut Vec<Recorded>,
    ) -> Result<(), Fault> {
        if let Some((revision, topology)) = &entry.revision {
            self.revise(connection, revision, topology)?;
        }
        if let Some(jobs) = &entry.jobs {
            save_meta(connection, "jobs", &serde_json::to_string(jobs)?)?;
            self.jobs = jobs.clone();
        }
        if let Some(digest) = &entry.file_digest {
            save_meta(connection, "file_digest", digest)?;
        }
        for (key, value) in &entry.keep {
            put(connection, key, value.as_ref())?;
        }
        if let Some(answered) = &entry.answered {
            answer(connection, answered, entry.time)?;
        }
        for event in &entry.events {
            recorded.push(self.tell(connection, event, entry.time)?);
        }
        Ok(())
    }

    fn revise(
        &mut self,
        connection: &Connection,
        revision: &Revision,
        topology: &Topology,
    ) -> Result<(), Fault> {
        let text: Arc<str> = serde_json::to_string(topology)?.into();
        let (snapshot, patch) = self.patch(revision.revision, &text)?;
        let door = revision.door.to_string();
        let diff = serde_json::to_string(&revision.diff)?;
        let sql = "INSERT INTO revision (revision, time, author, door, reason, diff, snapshot,
            digest, prefix, suffix, middle)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        connection.prepare_cached(sql)?.execute(params![
            signed(revision.revision),
            signed(revision.time),
            revision.author,
            door,
            revision.reason,
            diff,
            snapshot,
            digest(&text),
            signed(patch.prefix as u64),
            signed(patch.suffix as u64),
            patch.middle,
        ])?;
        let before = self.newest.as_ref().map_or(0, |newest| newest.patches);
        self.newest = Some(Newest {
            revision: revision.revision,
            text,
            patches: if snapshot { 0 } else { before + 1 },
        });
        Ok(())
    }

    /// Whether `text` is kept as a snapshot, and how it is kept.
    fn patch<'a>(&self, revision: u64, text: &'a str) -> Result<(bool, Patch<'a>), Fault> {
        let Some(newest) = &self.newest else {
            return Ok((true, Patch::snapshot(text)));
        };
        if revision <= newest.revision {
            return Err(Fault::Order {
                newest: newest.revision,
                wanted: revision,
            });
        }
        let patch = Patch::between(&newest.text, text);
        // A patch of half the text saves little, and costs at every reading.
        let wide = patch.middle.len() > text.len() / 2;
        Ok(if wide || newest.patches >= PATCHES {
            (true, Patch::snapshot(text))
        } else {
            (false, patch)
        })
    }

    fn tell(
        &mut self,
        connection: &Connection,
        event: &Event,
        time: u64,
    ) -> Result<Recorded, Fault> {
        let category_sequence = self.categories.entry(event.category).or_default();
        *category_sequence += 1;
        let recorded = Recorded {
            category_sequence: *category_sequence,
            sequence: self.sequence(),
            time,
            event: event.clone(),
        };
        let sql = "INSERT INTO event (sequence, category_sequence, time, event)
            VALUES (?1, ?2, ?3, ?4)";
        connection.prepare_cached(sql)?.execute(params![
            signed(recorded.sequence),
            signed(recorded.category_sequence),
            signed(time),
            serde_json::to_string(event)?,
        ])?;
        Ok(recorded)
    }

    fn save_categories(&self, connection: &Connection, before: &Self) -> Result<(), Fault> {
        let sql = "INSERT INTO category (name, sequence) VALUES (?1, ?2)
            ON CONFLICT (name) DO UPDATE SET sequence = excluded.sequence";
        for (category, sequence) in &self.categories {
            if before.categories.get(category) != Some(sequence) {
                let name = serde_json::to_value(category)?;
                run(connection, sql, &[&name.as_str(), &signed(*sequence)])?;
            }
        }
        Ok(())
    }
}

/// The first answer under an id stands.
fn answer(connection: &Connection, answered: &Answered, time: u64) -> Result<(), Fault> {
    let sql = "INSERT INTO command (sender, id, digest, answer, time) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (sender, id) DO NOTHING";
    let Answered {
        id: (sender, id),
        digest,
        answer,
    } = answered;
    connection
        .prepare_cached(sql)?
        .execute(params![sender, id, digest, answer, signed(time)])?;
    Ok(())
}
