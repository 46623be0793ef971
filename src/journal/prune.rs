//! What goes when more is kept than is wanted.
//! It must not take anything that is still needed, nor long about it.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Keep,
    error::Fault,
    read::{FORGOTTEN, forgotten, signed, unsigned},
    tail::Tail,
    write::save_meta,
};

/// How long the answer to a command is kept, in milliseconds: a day. No command is valid so long.
const ANSWERS_AGE: u64 = 24 * 60 * 60 * 1000;
/// How many answers are kept at most, in a day as busy as can be.
pub(super) const ANSWERS: u64 = 250_000;
/// How many surplus rows go with one record beyond as many as it brought: an old surplus goes
/// little by little.
const ROWS: u64 = 512;
/// How many surplus snapshots go with one record, each with the patches on it.
const SNAPSHOTS: i64 = 4;

pub(super) fn prune(
    connection: &Connection,
    keep: Keep,
    tail: &Tail,
    recorded: usize,
    now: u64,
) -> Result<(), Fault> {
    let room = ROWS + 2 * recorded as u64;
    events(
        connection,
        tail.sequence().saturating_sub(keep.events),
        room,
    )?;
    answers(connection, now, room)?;
    revisions(connection, keep, tail)
}

fn events(connection: &Connection, surplus: u64, room: u64) -> Result<(), Fault> {
    let sql = "SELECT min(sequence) FROM event";
    let oldest: Option<i64> = connection
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))?;
    if let Some(oldest) = oldest.map(unsigned)
        && oldest <= surplus
    {
        let last = surplus.min(oldest + room);
        let sql = "DELETE FROM event WHERE sequence <= ?1";
        connection.prepare_cached(sql)?.execute([signed(last)])?;
    }
    Ok(())
}

fn answers(connection: &Connection, now: u64, room: u64) -> Result<(), Fault> {
    let sql = "SELECT number, time, (SELECT max(number) FROM command) FROM command
        ORDER BY number LIMIT 1";
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let oldest = connection.prepare_cached(sql)?.query_row([], row);
    let Some((oldest, time, newest)) = oldest.optional()? else {
        return Ok(());
    };
    let surplus = unsigned(newest).saturating_sub(ANSWERS);
    let expired = now.saturating_sub(ANSWERS_AGE);
    if unsigned(time) < expired || unsigned(oldest) <= surplus {
        let bounds = [unsigned(oldest) + room, expired, surplus].map(signed);
        let sql = "SELECT max(time) FROM command
            WHERE number <= ?1 AND (time < ?2 OR number <= ?3)";
        let newest: Option<i64> = connection
            .prepare_cached(sql)?
            .query_row(bounds, |row| row.get(0))?;
        // What could be known by a removed answer is not taken for new when it comes again.
        let newest = newest.map_or(0, unsigned).max(forgotten(connection)?);
        save_meta(connection, FORGOTTEN, &signed(newest))?;
        let sql = "DELETE FROM command WHERE number <= ?1 AND (time < ?2 OR number <= ?3)";
        connection.prepare_cached(sql)?.execute(bounds)?;
    }
    Ok(())
}

/// Whole chains of a snapshot and its patches go, so that what stays can be put together.
fn revisions(connection: &Connection, keep: Keep, tail: &Tail) -> Result<(), Fault> {
    let Some(newest) = &tail.newest else {
        return Ok(());
    };
    // The current revision is kept even where none are wanted.
    let wanted = (newest.revision + 1).saturating_sub(keep.revisions.max(1));
    let restore = tail.jobs.pending.as_ref().map(|pending| pending.restore);
    let first = restore.map_or(wanted, |restore| restore.min(wanted));
    let sql = "DELETE FROM revision WHERE revision < (
        SELECT max(revision) FROM (
            SELECT revision FROM revision WHERE snapshot AND revision <= ?1
            ORDER BY revision LIMIT ?2))";
    connection
        .prepare_cached(sql)?
        .execute(params![signed(first), SNAPSHOTS + 1])?;
    Ok(())
}
