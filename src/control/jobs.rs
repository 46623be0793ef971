//! Jobs that wait: a drain for sessions to end, an unconfirmed change for its time.
//! It must not change the configuration but through the pipeline.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    pipeline::{Asked, Pipeline, now},
    record::Entry,
    tally::{Tally, Waiting},
};
use crate::model::{
    command::{Command, Request},
    event::Event,
    name::HostPath,
    principal::{Door, Principal},
    state::{Drain, State, Target},
};

/// How often a drain says how far it has come, at most.
const PROGRESS: Duration = Duration::from_secs(1);

/// How long what has failed is left alone: a roll-back that cannot bind, a file that cannot be
/// put into its place.
const AGAIN: Duration = Duration::from_secs(5);

/// What is known of the jobs beside what is recorded.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    seen: HashMap<HostPath, Seen>,
    /// Until then, what has failed is not tried again.
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Seen {
    /// Sessions when the drain began, as far as this process knows.
    first: u32,
    /// Sessions when it last said so.
    said: u32,
    at: Instant,
    closed: Option<u32>,
}

impl Jobs {
    /// Looks whether any job is over, and says how far the others have come.
    pub(super) fn look(&mut self, pipeline: &mut Pipeline) {
        if self.not_before.is_none_or(|at| at <= Instant::now()) {
            self.not_before = None;
            self.look_at_pending(pipeline);
            self.look_at_file(pipeline);
        }
        let drains = pipeline.state.jobs.drains.clone();
        self.seen
            .retain(|host, _| drains.iter().any(|drain| drain.host == *host));
        for drain in drains {
            if let Some(event) = self.look_at_drain(pipeline, &drain) {
                finish(pipeline, &drain, event);
                self.seen.remove(&drain.host);
            }
        }
    }

    fn look_at_pending(&mut self, pipeline: &mut Pipeline) {
        let Some(pending) = &pipeline.state.jobs.pending else {
            return;
        };
        if pipeline.balancer.now() < pending.until {
            return;
        }
        let reason = format!("revision {} was not confirmed in time", pending.revision);
        let rollback = Command::Rollback {
            revision: pending.restore,
        };
        pipeline.execute(vec![by_timer(rollback, &reason, &pipeline.tally)]);
        if pipeline.state.jobs.pending.is_some() {
            tracing::error!("the roll-back failed; it is tried again in {AGAIN:?}");
            self.not_before = Some(Instant::now() + AGAIN);
        }
    }

    fn look_at_file(&mut self, pipeline: &mut Pipeline) {
        let revision = pipeline.state.revision;
        pipeline.write_file(revision);
        if pipeline.unwritten.is_some() {
            self.not_before = Some(Instant::now() + AGAIN);
        }
    }

    /// The event of its end, when the drain is over.
    fn look_at_drain(&mut self, pipeline: &mut Pipeline, drain: &Drain) -> Option<Event> {
        let active = pipeline.balancer.active_on(&drain.host).unwrap_or(0);
        let first = pipeline.drained_from.remove(&drain.host);
        let fresh = || Seen {
            first: first.unwrap_or(active),
            said: active,
            at: Instant::now(),
            closed: None,
        };
        let seen = self.seen.entry(drain.host.clone()).or_insert_with(fresh);
        if active == 0 {
            let closed = seen.closed.unwrap_or(0);
            let ended = seen.first.saturating_sub(closed);
            return Some(Event::new(
                "host.drained",
                &drain.host,
                json!({"ended": ended, "closed": closed}),
            ));
        }
        if drain
            .until
            .is_some_and(|until| pipeline.balancer.now() >= until)
            && seen.closed.is_none()
        {
            seen.closed = Some(active);
            pipeline
                .balancer
                .close_sessions(&Target::Host(drain.host.clone()));
        }
        if active != seen.said && seen.at.elapsed() >= PROGRESS {
            (seen.said, seen.at) = (active, Instant::now());
            let event = Event::new(
                "host.drain-progress",
                &drain.host,
                json!({"active_sessions": active}),
            );
            if let Err(error) = pipeline.record_events(vec![event]) {
                tracing::warn!(%error, "cannot record the progress of a drain");
            }
        }
        None
    }
}

/// Records that a drain is over. Where that fails it is looked at again.
fn finish(pipeline: &mut Pipeline, drain: &Drain, event: Event) {
    let mut jobs = pipeline.state.jobs.clone();
    jobs.drains.retain(|other| other.host != drain.host);
    let entry = Entry {
        time: now(),
        jobs: Some(jobs.clone()),
        events: vec![event],
        ..Entry::default()
    };
    match pipeline.record_entry(entry) {
        Ok(()) => pipeline.state.jobs = jobs,
        Err(error) => tracing::warn!(%error, "cannot record the end of a drain"),
    }
}

impl Pipeline {
    /// Counts the sessions of hosts that `next` begins to drain, before it does.
    pub(super) fn count_drains(&mut self, next: &State) {
        let before = &self.state.jobs.drains;
        for drain in next
            .jobs
            .drains
            .iter()
            .filter(|drain| !before.contains(drain))
        {
            let active = self.balancer.active_on(&drain.host).unwrap_or(0);
            self.drained_from.insert(drain.host.clone(), active);
        }
    }
}

/// A timer of ours gives `command`.
fn by_timer(command: Command, reason: &str, tally: &Arc<Tally>) -> Asked {
    let reply = Waiting::new(tally, Door::Timer, &command, None);
    let mut request = Request::from(command);
    request.options.reason = Some(reason.to_owned());
    let principal = Principal::part("pointsman", Door::Timer);
    Asked {
        principal,
        request,
        id: "timer".to_owned(),
        before: Ok(Vec::new()),
        successor: None,
        once: None,
        reply,
    }
}
