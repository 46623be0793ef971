//! The beginning of a node: its first configuration, found, recorded and run.
//! It must not take in commands; the controller does.

use super::{
    balancer::Balancer,
    controller::{Begin, StartError},
    pipeline::now,
    record::{Entry, Record, Revision},
};
use crate::model::{
    event::Event,
    principal::Door,
    state::{Jobs as WaitingJobs, State},
    topology::Admin,
};

/// Runs and records the first configuration.
pub(super) fn begin(
    balancer: &Balancer,
    record: &mut dyn Record,
    first: Begin,
) -> Result<State, StartError> {
    let (state, entry) = match first {
        Begin::Recorded(last) => (last.state, None),
        Begin::New {
            topology,
            digest,
            last,
        } => {
            let before = last.map(|last| last.state).unwrap_or_default();
            let mut drains = before.jobs.drains;
            drains.retain(|drain| {
                let host = topology.host(&drain.host);
                host.is_some_and(|host| host.admin == Admin::Draining)
            });
            // Who edited the file has decided: what waited to be confirmed waits no longer.
            let pending = None;
            let state = State {
                revision: before.revision + 1,
                topology: topology.clone(),
                jobs: WaitingJobs { pending, drains },
            };
            let diff = crate::model::compare::compare(&before.topology, &topology);
            let revision = Revision {
                revision: state.revision,
                time: now(),
                author: "file".to_owned(),
                door: Door::File,
                reason: None,
                diff: diff.lines,
            };
            let data = serde_json::json!({"revision": state.revision, "author": "file", "door": Door::File, "diff": revision.diff});
            let mut events = diff.events;
            events.push(Event::new("config.changed", state.revision, data));
            let entry = Entry {
                time: revision.time,
                revision: Some((revision, topology)),
                jobs: Some(state.jobs.clone()),
                file_digest: digest,
                events,
                ..Entry::default()
            };
            (state, Some(entry))
        }
    };
    let (prepared, probes) = balancer.check_and_prepare(state.topology.clone())?;
    if let Some(entry) = entry {
        record.record(&[entry])?;
    }
    balancer.commit(prepared, probes);
    Ok(state)
}
