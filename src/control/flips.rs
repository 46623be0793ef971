//! What happened to hosts, written down after it has acted; and their health, kept for a restart.
//! It must not decide anything about a host, nor be waited for by anybody.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{kept::Kept, pipeline::Pipeline, record::Record};
use crate::model::{event::Event, name::Name};

/// Under what the health of a service is kept, before its name.
const KEPT: &str = "health/";
/// How often health is kept, at most.
const SELDOM: Duration = Duration::from_secs(10);
/// When what the journal did not take is offered to it again.
const AGAIN: Duration = Duration::from_secs(1);
/// How many events wait for the journal at most; past that the oldest are forgotten.
const WAITING: usize = 10_000;

/// What is still to be written down.
#[derive(Debug, Default)]
pub(super) struct Flips {
    events: Vec<Event>,
    /// Something has happened since health was last kept.
    unkept: bool,
    kept_at: Option<Instant>,
    names: HashSet<Name>,
}

/// What the journal keeps of the health of services.
pub(super) fn kept(record: &dyn Record) -> HashMap<Name, Kept> {
    let kept = record.kept(KEPT).unwrap_or_default();
    let read = |(key, value): (String, Value)| {
        let name = key.strip_prefix(KEPT)?.parse().ok()?;
        // Of another version, perhaps: then nothing is known, as at the first start.
        Some((name, serde_json::from_value(value).ok()?))
    };
    kept.into_iter().filter_map(read).collect()
}

impl Flips {
    /// Writes down what has happened since the last look.
    pub(super) fn look(&mut self, pipeline: &mut Pipeline) {
        let events = pipeline.balancer.take_events();
        self.unkept |= !events.is_empty();
        self.events.extend(events);
        if !self.events.is_empty() {
            match pipeline.record_events(self.events.clone()) {
                Ok(()) => self.events.clear(),
                Err(error) => {
                    let surplus = self.events.len().saturating_sub(WAITING);
                    self.events.drain(..surplus);
                    tracing::error!(%error, surplus, "cannot record what happened to hosts");
                }
            }
        }
        let is_due = self.kept_at.is_none_or(|at| at.elapsed() >= SELDOM);
        if self.unkept && is_due {
            self.keep(pipeline);
        }
    }

    /// Keeps the health of all services.
    pub(super) fn keep(&mut self, pipeline: &mut Pipeline) {
        self.unkept = false;
        self.kept_at = Some(Instant::now());
        let health = pipeline.balancer.health();
        let names: HashSet<Name> = health.keys().cloned().collect();
        let gone: Vec<Name> = self.names.difference(&names).cloned().collect();
        let gone = gone.into_iter().map(|name| (name, None));
        let there = health.into_iter();
        let there = there.map(|(name, kept)| (name, serde_json::to_value(kept).ok()));
        for (name, value) in there.chain(gone) {
            let key = format!("{KEPT}{name}");
            if let Err(error) = pipeline.record.keep(&key, value.as_ref()) {
                tracing::warn!(%error, "cannot keep what is known of hosts");
            }
        }
        self.names = names;
    }

    /// How long may be waited before the next look, if not for ever.
    pub(super) fn patience(&self) -> Option<Duration> {
        if !self.events.is_empty() {
            return Some(AGAIN);
        }
        let since = self.kept_at.map_or(SELDOM, |at| at.elapsed());
        self.unkept.then(|| SELDOM.saturating_sub(since))
    }
}
