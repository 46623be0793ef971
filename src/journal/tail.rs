//! The end of the journal, in memory: what the next record goes on from.
//! It must not change the file.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::{error::Fault, read};
use crate::model::{event::Category, state::Jobs};

/// What was recorded last.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    /// The newest revision.
    pub(super) newest: Option<Newest>,
    /// The jobs that wait.
    pub(super) jobs: Jobs,
    /// The number of the last event of each category.
    pub(super) categories: HashMap<Category, u64>,
}

/// The newest revision.
#[derive(Clone, Debug)]
pub(super) struct Newest {
    pub(super) revision: u64,
    /// Its configuration.
    pub(super) text: Arc<str>,
    /// How many patches have to be applied to the last snapshot for it.
    pub(super) patches: u64,
}

impl Tail {
    pub(super) fn load(connection: &Connection) -> Result<Self, Fault> {
        let tail = Self {
            newest: newest(connection)?,
            jobs: match read::meta::<String>(connection, "jobs")? {
                Some(jobs) => serde_json::from_str(&jobs)?,
                None => Jobs::default(),
            },
            categories: categories(connection)?,
        };
        let newest = "SELECT max(sequence) FROM event";
        let newest: Option<i64> = connection.query_row(newest, [], |row| row.get(0))?;
        match newest.map(read::unsigned) {
            Some(sequence) if sequence != tail.sequence() => Err(Fault::Damaged(format!(
                "its last event is number {sequence}, but {} were recorded",
                tail.sequence()
            ))),
            Some(_) | None => Ok(tail),
        }
    }

    /// The number of the last event: each is of one category, so that it is the sum of theirs.
    pub(super) fn sequence(&self) -> u64 {
        self.categories.values().sum()
    }
}

fn newest(connection: &Connection) -> Result<Option<Newest>, Fault> {
    let sql = "SELECT revision, revision - (SELECT max(revision) FROM revision WHERE snapshot)
        FROM revision ORDER BY revision DESC LIMIT 1";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let Some((revision, patches)) = connection.query_row(sql, [], row).optional()? else {
        return Ok(None);
    };
    let (revision, patches) = (read::unsigned(revision), read::unsigned(patches));
    let text = read::text(connection, revision)?
        .ok_or_else(|| Fault::Damaged(format!("revision {revision} has no snapshot")))?;
    Ok(Some(Newest {
        revision,
        text: text.into(),
        patches,
    }))
}

fn categories(connection: &Connection) -> Result<HashMap<Category, u64>, Fault> {
    let mut statement = connection.prepare("SELECT name, sequence FROM category")?;
    let mut rows = statement.query([])?;
    let mut categories = HashMap::new();
    while let Some(row) = rows.next()? {
        let category = serde_json::from_value(Value::String(row.get(0)?))?;
        categories.insert(category, read::unsigned(row.get(1)?));
    }
    Ok(categories)
}
