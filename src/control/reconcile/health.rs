//! What runs and the health of its hosts: what is probed, what came of it, what is due.
//! It must not probe, nor wait; it is told what came of a probe.

use std::{
    collections::{HashMap, VecDeque},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use super::{Kept, Runtime, Surroundings};
use crate::{
    health::{
        Means, Outcome, Target, Verdict,
        checker::{CannotProbe, Checker, Ready, Wanted},
        report::Report,
    },
    model::{
        address::Endpoint,
        event::Event,
        name::{GroupPath, HostPath, Name},
        topology::{Admin, Group, Service, Topology},
    },
};

/// How many events wait at most for somebody to ask for them; past that the oldest are forgotten.
const WAITING: usize = 10_000;

/// What a clock that starts now lacks to milliseconds since 1970.
pub(super) fn base() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

fn path(service: &Service, group: &Group) -> GroupPath {
    GroupPath {
        service: service.name.clone(),
        group: group.name.clone(),
    }
}

/// Forgets the oldest events where nobody asks for them.
pub(super) fn forget_surplus(happened: &mut VecDeque<Event>) {
    let surplus = happened.len().saturating_sub(WAITING);
    if surplus > 0 {
        tracing::error!(surplus, "events are forgotten; nobody asks for them");
        happened.drain(..surplus);
    }
}

impl Runtime {
    /// Milliseconds since 1970, on a clock that never goes back.
    pub(in crate::control) fn now(&self) -> u64 {
        let lane = self.lanes.first();
        self.base + lane.map_or(0, |lane| lane.millis(Instant::now()))
    }

    pub(super) fn around(&self) -> Surroundings {
        Surroundings {
            room: self.room,
            base: self.base,
            now: self.now(),
        }
    }

    /// Has `checker` probe what is wanted from now on.
    pub(in crate::control) fn set_checker(&mut self, checker: Checker) {
        self.checker = Some(checker);
    }

    /// Makes the probes of `next` that are not there yet, by `means` where new ones are to come.
    ///
    /// # Errors
    /// The first that cannot be made.
    pub(in crate::control) fn prepare_probes(
        &self,
        next: &Topology,
        means: Option<&Means>,
    ) -> Result<Ready, CannotProbe> {
        let Some(checker) = &self.checker else {
            return Ok(Ready::default());
        };
        let groups = next.services.iter().flat_map(|service| {
            let groups = service.groups.iter();
            groups.map(|group| (path(service, group), group))
        });
        let probes = groups.filter_map(|(path, group)| Some((path, group.probe.as_ref()?)));
        checker.prepare(probes, means)
    }

    /// Has `ready` used by the next commit or [`Self::check_again`].
    pub(in crate::control) fn take_in_probes(&mut self, ready: Ready) {
        if let Some(checker) = &mut self.checker {
            checker.take_in(ready);
        }
    }

    /// What probes have from the settings, from the next commit or [`Self::check_again`] on.
    pub(in crate::control) fn set_means(&mut self, means: Means) {
        if let Some(checker) = &mut self.checker {
            checker.set_means(means);
        }
    }

    /// Has hosts probed with what was set since the last commit.
    pub(in crate::control) fn check_again(&mut self) {
        if self.checker.as_ref().is_some_and(Checker::is_stale) {
            let topology = std::mem::take(&mut self.topology);
            self.check(&topology);
            self.topology = topology;
        }
    }

    /// Has the hosts of `next` probed.
    pub(super) fn check(&mut self, next: &Topology) {
        let Some(checker) = &mut self.checker else {
            return;
        };
        let mut wanted = Vec::new();
        for service in &next.services {
            for group in &service.groups {
                let Some(probe) = &group.probe else { continue };
                let path = path(service, group);
                let hosts = group.hosts.iter();
                let probed = hosts.filter(|host| host.admin != Admin::Disabled);
                let targets = probed.map(|host| Target {
                    host: path.host(&host.name),
                    address: host.address.clone(),
                });
                wanted.push(Wanted {
                    targets: targets.collect(),
                    probe: probe.clone(),
                    group: path,
                });
            }
        }
        checker.become_like(wanted);
    }

    /// Takes in what came of a probe that asked at `at`. Returns how long after its beginning the next one is to
    /// begin, in milliseconds, unless there is to be none; and whether there is something to do
    /// for [`Self::tick`].
    pub(in crate::control) fn observe(
        &mut self,
        target: &Target,
        at: Option<&Endpoint>,
        outcome: Outcome,
    ) -> Option<(u64, bool)> {
        let now = self.now();
        let path = &target.host;
        let running = self.services.get_mut(&path.service)?;
        let group = running.groups.get_mut(&path.group)?;
        // What was asked of the host that stood there before says nothing about this one.
        let host = group.host(&path.host)?;
        if *host.reach().address() != target.address {
            return None;
        }
        if outcome.verdict == Verdict::Failed
            && let Some(Endpoint::Ip(address)) = at
        {
            host.reach().failed(*address);
        }
        let pause = group.health.observe(&path.host, now, outcome)?;
        Some((pause, group.health.has_changed()))
    }

    /// Does what is due, in effect when this returns. Returns whether anything happened that
    /// [`Self::take_events`] gives.
    pub(in crate::control) fn tick(&mut self) -> bool {
        let around = self.around();
        let mut rings = false;
        for service in &self.topology.services {
            if let Some(running) = self.services.get_mut(&service.name) {
                self.happened.extend(running.tick(service, around));
                rings |= running.spread(service, around);
            }
        }
        if rings {
            self.lanes.iter().for_each(|lane| lane.ring());
        }
        forget_surplus(&mut self.happened);
        !self.happened.is_empty()
    }

    /// Whether anything has to be looked at from time to time.
    pub(in crate::control) fn is_watched(&self) -> bool {
        self.services.values().any(super::Running::is_watched)
    }

    /// What has happened without a command since this was last called, oldest first.
    pub(in crate::control) fn take_events(&mut self) -> Vec<Event> {
        self.happened.drain(..).collect()
    }

    /// What there is to say of a host's health.
    pub(in crate::control) fn health_of(&self, path: &HostPath) -> Option<Report> {
        let running = self.services.get(&path.service)?;
        let group = running.groups.get(&path.group)?;
        let mut report = group.health.report(&path.host, self.now());
        self.remark(path, &mut report);
        Some(report)
    }

    /// The group of a service that takes new sessions: the active one, or its backup.
    pub(in crate::control) fn serving(&self, service: &Name) -> Option<Name> {
        let running = self.services.get(service)?;
        let group = running.serving(self.topology.service(service)?);
        group.map(|group| group.name.clone())
    }

    /// How much of the sessions that a host is picked for it takes: 0.0 to 1.0. `None`
    /// where new sessions do not go to it.
    pub(in crate::control) fn takes_sessions(&self, path: &HostPath) -> Option<f64> {
        let running = self.services.get(&path.service)?;
        let view = running.service.view();
        let host = view.hosts().iter().find(|host| host.host.path() == path)?;
        let now = self.now().saturating_sub(self.base);
        Some(host.portion.as_ref().map_or(1.0, |portion| portion.at(now)))
    }

    /// What is to be kept of the health of each service over a restart.
    pub(in crate::control) fn health(&self) -> HashMap<Name, Kept> {
        let now = self.now();
        let services = self.services.iter();
        services
            .filter(|(_, running)| running.is_watched())
            .map(|(name, running)| (name.clone(), running.remember(now)))
            .collect()
    }

    /// What was kept of the health of services, to be believed when they are run.
    pub(in crate::control) fn restore_health(&mut self, kept: HashMap<Name, Kept>) {
        self.kept = kept;
    }
}
