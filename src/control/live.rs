//! Groups and hosts as they run, and the views made of them: what survives a change and what not.
//! It must not open or close anything.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use super::{running::Surroundings, terms::terms};
use crate::{
    balance::{
        Candidate, Host, View,
        host::UNLIMITED,
        portion::{Portion, Warmup},
        scheduler::{self, Memory},
        view::Terms,
    },
    health::{self, memory::Remembered},
    model::{
        name::{GroupPath, Name},
        topology::{self, Admin, WhenAllDown},
    },
};

/// A group as it runs.
#[derive(Debug, Default)]
pub(super) struct Group {
    memory: Arc<Memory>,
    hosts: HashMap<Name, Arc<Host>>,
    pub(super) health: health::group::Group,
    /// Failed sessions that were counted already, by the serial of the host.
    counted: HashMap<u64, u64>,
}

impl Group {
    /// The group as `wanted` has it. Hosts known under the same name and address are kept, with
    /// their counters and sessions.
    pub(super) fn become_like(
        self,
        path: &GroupPath,
        wanted: &topology::Group,
        remembered: &Remembered,
    ) -> Self {
        let Self {
            memory,
            hosts: mut known,
            mut health,
            counted,
        } = self;
        let hosts = wanted.hosts.iter().map(|host| {
            let live = match known.remove(&host.name) {
                Some(live) if *live.reach().address() == host.address => live,
                Some(_) | None => Arc::new(Host::new(
                    path.host(&host.name),
                    host.address.clone(),
                    Arc::clone(&memory),
                )),
            };
            (host.name.clone(), live)
        });
        let hosts = hosts.collect();
        health.become_like(wanted, remembered);
        Self {
            memory,
            hosts,
            health,
            counted,
        }
    }

    /// The host called `name`.
    pub(super) fn host(&self, name: &Name) -> Option<Arc<Host>> {
        self.hosts.get(name).cloned()
    }

    /// The host called `name` is reached at `addresses` from now on; or only if it is nowhere yet,
    /// unless `always`. Returns whether it can be reached where it could not before, or the reverse.
    pub(super) fn lead(&mut self, name: &Name, addresses: &[IpAddr], always: bool) -> bool {
        let Some(host) = self.hosts.get(name) else {
            return false;
        };
        let was_known = host.reach().is_known();
        if always || !was_known {
            host.reach().leads_to(addresses);
            self.health.locate(name, host.reach().is_known());
        }
        host.reach().is_known() != was_known
    }

    /// Tells the health of the hosts which sessions have failed since this was last called.
    pub(super) fn count_failures(&mut self, now: u64) {
        if !self.health.heeds_sessions() {
            self.counted.clear();
            return;
        }
        let before = std::mem::take(&mut self.counted);
        for (name, host) in &self.hosts {
            let failures = host.counters.failures();
            // What was before anybody counted does not count.
            let counted = before.get(&host.serial()).copied().unwrap_or(failures);
            let new = u32::try_from(failures.saturating_sub(counted)).unwrap_or(u32::MAX);
            self.health.count(name, now, new);
            self.counted.insert(host.serial(), failures);
        }
    }

    /// The hosts that may take sessions: those that are enabled, have a weight and are in health;
    /// without any, all but the last condition, where that is wanted.
    fn candidates(&self, wanted: &topology::Group, around: Surroundings) -> Vec<Candidate> {
        let in_health = |host: &topology::Host| self.health.is_usable(&host.name);
        let mut found = Vec::new();
        if self.health.is_released() {
            found = self.candidates_that(wanted, around, in_health);
        }
        if found.is_empty() && wanted.when_all_down == WhenAllDown::UseAll {
            found = self.candidates_that(wanted, around, |_| true);
        }
        found
    }

    fn candidates_that(
        &self,
        wanted: &topology::Group,
        around: Surroundings,
        may: impl Fn(&topology::Host) -> bool,
    ) -> Vec<Candidate> {
        let takes = |host: &&topology::Host| {
            host.admin == Admin::Enabled && host.weight.get() > 0 && may(host)
        };
        let candidate = |host: &topology::Host| {
            let wishes = self.health.wishes(&host.name);
            let most = host.max_sessions.map_or(UNLIMITED, |count| count.get());
            let weight = u64::from(host.weight.get()) * u64::from(wishes.percent.max(100)) / 100;
            Some(Candidate {
                host: self
                    .host(&host.name)
                    .filter(|host| host.reach().is_known())?,
                weight: weight.min(MAX_WEIGHT) as u16,
                max_sessions: most.min(wishes.max_sessions.unwrap_or(UNLIMITED)),
                portion: self.portion(wanted, host, around),
            })
        };
        let hosts = wanted.hosts.iter().filter(takes);
        hosts.filter_map(candidate).collect()
    }

    /// How much the host takes, where that is not all.
    fn portion(
        &self,
        wanted: &topology::Group,
        host: &topology::Host,
        around: Surroundings,
    ) -> Option<Arc<Portion>> {
        let warmup = wanted.slow_start.zip(self.health.back_since(&host.name));
        let warmup = warmup.map(|(slow, since)| Warmup {
            since: since.saturating_sub(around.base),
            window: slow.window.duration().as_millis() as u64,
            exponent: slow.exponent,
        });
        let warmup = warmup.filter(|warmup| warmup.at(around.now - around.base) < 1.0);
        let percent = self.health.wishes(&host.name).percent.min(100) as u8;
        let portion = Portion { percent, warmup };
        (percent < 100 || warmup.is_some()).then(|| Arc::new(portion))
    }
}

/// What a weight can be at most, also where a host asks for more.
const MAX_WEIGHT: u64 = 256;

/// What sessions of `wanted` are to look at, of which the group `active` serves. What is
/// counted for the limits of `before` goes on to be counted.
pub(super) fn view(
    wanted: &topology::Service,
    active: Option<&topology::Group>,
    groups: &HashMap<Name, Group>,
    around: Surroundings,
    before: Option<&Terms>,
) -> View {
    let live = active.and_then(|group| groups.get(&group.name));
    let (name, kind, sticky) = match active {
        Some(group) => (group.name.clone(), group.scheduler, group.sticky),
        // Not in a checked topology; a service without a group has nobody to serve it.
        None => (wanted.name.clone(), topology::Scheduler::default(), None),
    };
    let hosts = active
        .zip(live)
        .map_or_else(Vec::new, |(group, live)| live.candidates(group, around));
    let memory = live
        .map(|live| Arc::clone(&live.memory))
        .unwrap_or_default();
    let scheduler = scheduler::build(kind, sticky, &hosts, &memory);
    let terms = terms(wanted, around.room, before);
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
