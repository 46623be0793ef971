//! Groups and hosts as they run, and the views made of them: what survives a change and what not.
//! It must not open or close anything.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use super::terms::terms;
use crate::{
    balance::{
        Candidate, Host, View,
        host::UNLIMITED,
        scheduler::{self, Memory},
        view::Terms,
    },
    model::{
        name::{GroupPath, Name},
        topology::{self, Admin},
    },
};

/// A group as it runs.
#[derive(Debug, Default)]
pub(super) struct Group {
    memory: Arc<Memory>,
    hosts: HashMap<Name, Arc<Host>>,
}

impl Group {
    /// The group as `wanted` has it. Hosts known under the same name and address are kept, with
    /// their counters and sessions.
    pub(super) fn become_like(self, path: &GroupPath, wanted: &topology::Group) -> Self {
        let Self {
            memory,
            hosts: mut known,
        } = self;
        let hosts = wanted.hosts.iter().map(|host| {
            let address = host.address.socket();
            let live = match known.remove(&host.name) {
                Some(live) if live.address() == address => live,
                Some(_) | None => Arc::new(Host::new(
                    path.host(&host.name),
                    address,
                    Arc::clone(&memory),
                )),
            };
            (host.name.clone(), live)
        });
        let hosts = hosts.collect();
        Self { memory, hosts }
    }

    /// The host called `name`.
    pub(super) fn host(&self, name: &Name) -> Option<Arc<Host>> {
        self.hosts.get(name).cloned()
    }

    /// The hosts that may take sessions: enabled, and with a weight.
    fn candidates(&self, wanted: &topology::Group) -> Vec<Candidate> {
        let takes = |host: &&topology::Host| host.admin == Admin::Enabled && host.weight.get() > 0;
        let candidate = |host: &topology::Host| {
            Some(Candidate {
                host: self.host(&host.name)?,
                weight: host.weight.get(),
                max_sessions: host.max_sessions.map_or(UNLIMITED, |count| count.get()),
            })
        };
        wanted
            .hosts
            .iter()
            .filter(takes)
            .filter_map(candidate)
            .collect()
    }
}

/// What sessions of `wanted` are to look at; `room` sessions fit where it sets no limit. What is
/// counted for the limits of `before` goes on to be counted.
pub(super) fn view(
    wanted: &topology::Service,
    groups: &HashMap<Name, Group>,
    room: u32,
    before: Option<&Terms>,
) -> View {
    let active = wanted.active_group();
    let live = active.and_then(|group| groups.get(&group.name));
    let (name, kind, sticky) = match active {
        Some(group) => (group.name.clone(), group.scheduler, group.sticky),
        // Not in a checked topology; a service without a group has nobody to serve it.
        None => (wanted.name.clone(), topology::Scheduler::default(), None),
    };
    let hosts = active
        .zip(live)
        .map_or_else(Vec::new, |(group, live)| live.candidates(group));
    let memory = live
        .map(|live| Arc::clone(&live.memory))
        .unwrap_or_default();
    let scheduler = scheduler::build(kind, sticky, &hosts, &memory);
    let terms = terms(wanted, room, before);
    View::new(name, terms, hosts.into(), scheduler)
}

/// Which host `client` would get from `view` at `now`, and why; `kind` is its scheduler. Asking
/// takes a turn, where the scheduler takes turns.
pub(super) fn explain_client(
    view: &View,
    kind: &str,
    client: IpAddr,
    now: u64,
) -> (String, Vec<String>) {
    let group = format!(
        "group {} is active, with {} hosts that may take sessions",
        view.group,
        view.hosts().len()
    );
    match view.preview(client, now, rand::random()) {
        Some(candidate) => {
            let path = candidate.host.path().to_string();
            let picked = format!("{kind} picks {path} for {client} now");
            (path, vec![group, picked])
        }
        None => (
            "nobody".to_owned(),
            vec![group, "no host can take a connection".to_owned()],
        ),
    }
}
