//! What the journal is asked.
//! It must not change the file.

use rusqlite::{Connection, OptionalExtension, Row, params, types::FromSql};
use serde_json::Value;

use super::{
    error::Fault,
    patch::{Patch, digest},
    tail::Tail,
};
use crate::{
    control::record::{Answered, Last, Recorded, Revision},
    model::{state::State, topology::Topology},
};

/// SQLite's integers are signed; no number of ours comes near the difference.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The other way; a negative number can only come from a damaged file, and is as good as none.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn meta<T: FromSql>(connection: &Connection, key: &str) -> Result<Option<T>, Fault> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

pub(super) fn epoch(connection: &Connection) -> Result<String, Fault> {
    meta(connection, "epoch")?.ok_or_else(|| Fault::Damaged("it has no epoch".to_owned()))
}

pub(super) fn last(connection: &Connection, tail: &Tail) -> Result<Option<Last>, Fault> {
    let Some(newest) = &tail.newest else {
        return Ok(None);
    };
    Ok(Some(Last {
        state: State {
            revision: newest.revision,
            topology: serde_json::from_str(&newest.text)?,
            jobs: tail.jobs.clone(),
        },
        file_digest: meta(connection, "file_digest")?,
    }))
}

pub(super) fn topology(connection: &Connection, revision: u64) -> Result<Option<Topology>, Fault> {
    match text(connection, revision)? {
        Some(text) => Ok(Some(serde_json::from_str(&text)?)),
        None => Ok(None),
    }
}

/// The configuration of `revision` as text, put together from the last snapshot before it.
pub(super) fn text(connection: &Connection, revision: u64) -> Result<Option<String>, Fault> {
    let sql = "SELECT revision, digest, prefix, suffix, middle FROM revision
        WHERE revision BETWEEN
            (SELECT max(revision) FROM revision WHERE snapshot AND revision <= ?1) AND ?1
        ORDER BY revision";
    let damaged = || Fault::Damaged(format!("revision {revision} cannot be put together"));
    let wanted = signed(revision);
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([wanted])?;
    let (mut text, mut reached, mut check) = (String::new(), None, 0);
    while let Some(row) = rows.next()? {
        let length = |column| Ok::<_, Fault>(unsigned(row.get(column)?) as usize);
        let patch = Patch {
            prefix: length(2)?,
            suffix: length(3)?,
            middle: row.get_ref(4)?.as_str().map_err(|_| damaged())?,
        };
        text = patch.apply(&text).ok_or_else(damaged)?;
        (reached, check) = (Some(row.get::<_, i64>(0)?), row.get(1)?);
    }
    if reached != Some(wanted) {
        return Ok(None);
    }
    if digest(&text) != check {
        return Err(damaged());
    }
    Ok(Some(text))
}

pub(super) fn history(connection: &Connection, limit: usize) -> Result<Vec<Revision>, Fault> {
    let sql = "SELECT revision, time, author, door, reason, diff FROM revision
        ORDER BY revision DESC LIMIT ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([limited(limit)])?;
    let mut history = Vec::new();
    while let Some(row) = rows.next()? {
        history.push(Revision {
            revision: unsigned(row.get(0)?),
            time: unsigned(row.get(1)?),
            author: row.get(2)?,
            door: serde_json::from_value(Value::String(row.get(3)?))?,
            reason: row.get(4)?,
            diff: serde_json::from_str(&row.get::<_, String>(5)?)?,
        });
    }
    Ok(history)
}

pub(super) fn events(
    connection: &Connection,
    since: u64,
    limit: usize,
) -> Result<Vec<Recorded>, Fault> {
    let sql = "SELECT sequence, category_sequence, time, event FROM event
        WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([signed(since), limited(limit)])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(Recorded {
            sequence: unsigned(row.get(0)?),
            category_sequence: unsigned(row.get(1)?),
            time: unsigned(row.get(2)?),
            event: serde_json::from_str(&row.get::<_, String>(3)?)?,
        });
    }
    Ok(events)
}

pub(super) fn answered(
    connection: &Connection,
    id: &(String, String),
) -> Result<Option<Answered>, Fault> {
    let sql = "SELECT digest, answer FROM command WHERE sender = ?1 AND id = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let found = |row: &Row<'_>| {
        Ok(Answered {
            id: id.clone(),
            digest: row.get(0)?,
            answer: row.get(1)?,
        })
    };
    Ok(statement.query_row(params![id.0, id.1], found).optional()?)
}

/// Under which key the time of the newest answer stands that was removed.
pub(super) const FORGOTTEN: &str = "answers_forgotten";

pub(super) fn forgotten(connection: &Connection) -> Result<u64, Fault> {
    let time: Option<i64> = meta(connection, FORGOTTEN)?;
    Ok(time.map_or(0, unsigned))
}

pub(super) fn kept(connection: &Connection, prefix: &str) -> Result<Vec<(String, Value)>, Fault> {
    let sql = "SELECT key, value FROM value WHERE key >= ?1 ORDER BY key";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([prefix])?;
    let mut kept = Vec::new();
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        if !key.starts_with(prefix) {
            break;
        }
        kept.push((key, serde_json::from_str(&row.get::<_, String>(1)?)?));
    }
    Ok(kept)
}
