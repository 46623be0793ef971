//! With which configuration a node begins: the file's or the journal's.
//! It must not write the file, nor lose what somebody wrote into it.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::json;

use super::{
    document::{Digests, as_read, left_alone},
    node::{NodeError, kept},
};
use crate::{
    config::{Config, Digest, Settings, Store},
    control::{
        controller::Begin,
        record::{Entry, Last, Record, RecordError},
    },
    journal::Journal,
    model::{event::Event, topology::Topology},
};

/// What was read and opened before anything runs.
pub(super) struct Opened {
    pub(super) settings: Settings,
    pub(super) store: Store,
    pub(super) journal: Journal,
    pub(super) begin: Begin,
    /// What the file must say for us to overwrite it.
    pub(super) expected: Option<Digest>,
    /// The file is behind the journal: a crash came between the two.
    pub(super) behind: bool,
}

/// What was decided of the file.
struct Decided {
    settings: Settings,
    begin: Begin,
    expected: Option<Digest>,
    behind: bool,
}

/// Opens file and journal, and decides between them.
pub(super) fn open(file: &Path, settings: Settings) -> Result<Opened, NodeError> {
    let state_dir = &settings.node.state_dir;
    make(state_dir)?;
    let mut journal = Journal::open(state_dir, kept(&settings))?;
    let store = Store::open(file, state_dir)?;
    let last = journal.last()?;
    let read = store.read();
    let ahead = last.as_ref().is_some_and(|last| is_ahead(last, &store));
    let decided = match (read, last) {
        (Ok((config, digest)), Some(last)) => decide(config, digest, last, ahead, &mut journal)?,
        (Ok((Config { settings, topology }, digest)), None) => {
            Decided::new(settings, topology, digest, None)
        }
        // What runs is worth more than what cannot be read.
        (Err(error), Some(last)) => {
            tracing::error!("{error}");
            tracing::error!(
                revision = last.state.revision,
                "the file does not pass; the last good revision runs"
            );
            if ahead {
                tell_conflict(&last, &mut journal)?;
            }
            let expected = known(&last, ahead);
            Decided {
                settings,
                begin: Begin::Recorded(last),
                expected,
                behind: false,
            }
        }
        (Err(error), None) => return Err(error.into()),
    };
    // Only now: a text that was never put into its place is how it is known that it was not.
    store.tidy()?;
    let Decided {
        settings,
        begin,
        expected,
        behind,
    } = decided;
    Ok(Opened {
        settings,
        store,
        journal,
        begin,
        expected,
        behind,
    })
}

fn make(state_dir: &Path) -> Result<(), NodeError> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state_dir);
    made.map_err(|source| NodeError::StateDir {
        path: state_dir.to_owned(),
        source,
    })
}

impl Decided {
    /// With what the file says, as a new revision.
    fn new(settings: Settings, topology: Topology, digest: Digest, last: Option<Last>) -> Self {
        let begin = Begin::New {
            topology,
            digest: Some(as_read(digest)),
            last,
        };
        Self {
            settings,
            begin,
            expected: Some(digest),
            behind: false,
        }
    }
}

fn digests(last: &Last) -> Option<Digests> {
    Digests::from_bytes(last.file_digest.as_deref()?)
}

/// What the file is when nobody has edited it: what was written last, or what was to be replaced
/// where that never came into its place.
fn known(last: &Last, ahead: bool) -> Option<Digest> {
    let Digests { text, replaced } = digests(last)?;
    if ahead {
        replaced.or(text)
    } else {
        text.or(replaced)
    }
}

/// Whether the last revision never came into the file: it left the file alone, or its text still
/// lies beside it.
fn is_ahead(last: &Last, store: &Store) -> bool {
    let Some(Digests { text, .. }) = digests(last) else {
        return false;
    };
    text.is_none_or(|text| store.lies_beside(&text))
}

fn decide(
    config: Config,
    digest: Digest,
    last: Last,
    ahead: bool,
    journal: &mut Journal,
) -> Result<Decided, NodeError> {
    let Config { settings, topology } = config;
    let revision = last.state.revision;
    // By its text, and not by what it says: changes that share a file write leave it several
    // revisions behind.
    let behind = digests(&last).and_then(|digests| digests.replaced) == Some(digest);
    let (begin, expected, behind) = if last.state.topology == topology {
        (Begin::Recorded(last), digest, false)
    } else if behind {
        tracing::warn!(
            revision,
            "the file is behind the journal; it is written again"
        );
        (Begin::Recorded(last), digest, true)
    } else if ahead {
        tell_conflict(&last, journal)?;
        // With nothing known of it, what must not be overwritten is anything but an empty file.
        let expected = known(&last, ahead).unwrap_or_else(|| Digest::of(&[]));
        (Begin::Recorded(last), expected, false)
    } else {
        tracing::info!("the file was edited; it is taken in as a new revision");
        return Ok(Decided::new(settings, topology, digest, Some(last)));
    };
    Ok(Decided {
        settings,
        begin,
        expected: Some(expected),
        behind,
    })
}

/// Says that the file was edited and does not have the last revision, and keeps that it has not.
fn tell_conflict(last: &Last, journal: &mut Journal) -> Result<(), RecordError> {
    let revision = last.state.revision;
    let message = format!(
        "the file was edited and does not have revision {revision}, which runs; `reload` takes \
         in what the file says, and undoes that revision where it says otherwise"
    );
    tracing::error!(message, "the file is left alone");
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let entry = Entry {
        time: now.map_or(0, |since| since.as_millis() as u64),
        events: vec![Event::new(
            "config.conflict",
            revision,
            json!({"message": message}),
        )],
        file_digest: Some(left_alone(known(last, true))),
        ..Entry::default()
    };
    journal.record(&[entry]).map(drop)
}
