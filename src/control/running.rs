//! A service as it runs: its groups, which of them serves, and the view made of that.
//! It must not open or close anything, nor wait; what it is told acts at once.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};

use super::{
    kept::Kept,
    live::{self, Group},
    spread::{Spread, has_grown},
    status_json,
};
use crate::{
    balance::{Service, View},
    health::{
        failover::{Failover, Turn},
        memory::Remembered,
        news::{Flip, News, Signal},
    },
    model::{
        event::Event,
        name::{GroupPath, Name},
        topology,
    },
};

/// A service as it runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) service: Arc<Service>,
    pub(super) groups: HashMap<Name, Group>,
    /// The group that was made the active one.
    active: Option<Name>,
    failover: Failover,
    /// Whether it was told that no host can take a connection.
    exhausted: bool,
    /// It has had no host yet, and nobody was told: names may be on their way.
    is_new: bool,
    spread: Spread,
}

/// What a service is made with, besides what is wanted of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    /// Sessions that fit, where a service sets no limit.
    pub(super) room: u32,
    /// What the clock of the lanes lacks to milliseconds since 1970.
    pub(super) base: u64,
    /// The time now, in milliseconds since 1970 on a clock that never goes back.
    pub(super) now: u64,
}

impl Running {
    /// The service as `wanted` has it: what stays of `old` is kept. Of what is new, `kept` may
    /// know something.
    pub(super) fn new(
        wanted: &topology::Service,
        old: Option<Self>,
        kept: &Kept,
        around: Surroundings,
    ) -> Self {
        // However old it is: what was told is to be taken back.
        let was_exhausted = kept.exhausted;
        let kept = Some(kept).filter(|kept| kept.is_believed(around.now));
        let active = wanted.active_group().map(|group| group.name.clone());
        let (service, mut known, failover) = match old {
            // Which group serves is decided anew where another one was made the active one.
            Some(old) => {
                let failover = Some(old.failover).filter(|_| old.active == active);
                (
                    Some((old.service, (old.exhausted, old.is_new), old.spread)),
                    old.groups,
                    failover,
                )
            }
            None => {
                let over = kept.is_some_and(|kept| kept.over);
                (None, HashMap::new(), Some(Failover::remembered(over)))
            }
        };
        let failover = failover
            .filter(|_| wanted.backup.is_some())
            .unwrap_or_default();
        let nothing = Remembered::default();
        let groups = wanted.groups.iter().map(|group| {
            let path = GroupPath {
                service: wanted.name.clone(),
                group: group.name.clone(),
            };
            let remembered = kept.and_then(|kept| kept.groups.get(&group.name));
            let live = known.remove(&group.name).unwrap_or_default();
            let live = live.become_like(&path, group, remembered.unwrap_or(&nothing));
            (group.name.clone(), live)
        });
        let groups: HashMap<Name, Group> = groups.collect();
        let before = service.as_ref().map(|(service, ..)| service.view());
        let view = view(wanted, &groups, &failover, around, before.as_deref());
        let Some((service, (exhausted, is_new), spread)) = service else {
            return Self {
                exhausted: was_exhausted,
                is_new: view.hosts().is_empty() && !was_exhausted,
                service: Arc::new(Service::new(wanted.name.clone(), view)),
                groups,
                active,
                failover,
                spread: Spread::default(),
            };
        };
        let mut running = Self {
            service,
            groups,
            active,
            failover,
            exhausted,
            is_new,
            spread,
        };
        running.swap(view, wanted, around);
        running
    }

    /// Whether its health has to be looked at from time to time.
    pub(super) fn is_watched(&self) -> bool {
        let watched = |group: &Group| group.health.is_watched();
        self.spread.is_going_on() || self.groups.values().any(watched)
    }

    /// Does what is due: counts failed sessions, ends ejections, fails over or back. What follows
    /// for new sessions is in effect when this returns; it returns what happened.
    pub(super) fn tick(&mut self, wanted: &topology::Service, around: Surroundings) -> Vec<Event> {
        let mut changed = false;
        let mut events = Vec::new();
        for (name, group) in &mut self.groups {
            group.count_failures(around.now);
            changed |= group.health.tick(around.now);
            let path = GroupPath {
                service: wanted.name.clone(),
                group: name.clone(),
            };
            let news = group.health.take_news();
            let told = |news| event(&path, group, news, around.now);
            events.extend(news.into_iter().map(told));
        }
        if let Some(turned) = self.fail_over(wanted, around.now) {
            changed = true;
            events.push(turned);
        }
        if changed {
            self.show(wanted, around);
        }
        events.extend(self.exhaustion(wanted));
        events
    }

    /// Shows new sessions what holds now.
    fn show(&mut self, wanted: &topology::Service, around: Surroundings) {
        let before = self.service.view();
        let view = view(wanted, &self.groups, &self.failover, around, Some(&before));
        self.swap(view, wanted, around);
    }

    fn swap(&mut self, view: View, wanted: &topology::Service, around: Surroundings) {
        if wanted.rebalance.is_some() && has_grown(&self.service.view(), &view) {
            // A host that comes back slowly is not to be sent everything at once by this.
            let serving = serving(wanted, &self.failover);
            let slow = serving.and_then(|group| group.slow_start);
            let slow = slow.map_or(0, |slow| slow.window.duration().as_millis() as u64);
            self.spread.begin(around.now + slow);
        }
        self.service.show(view);
    }

    /// Asks sessions to end, where hosts have to be evened out. Returns whether they have to be
    /// rung for.
    pub(super) fn spread(&mut self, wanted: &topology::Service, around: Surroundings) -> bool {
        match &wanted.rebalance {
            Some(rules) => self.spread.tick(rules, &self.service.view(), around),
            None => {
                self.spread.stop();
                false
            }
        }
    }

    fn fail_over(&mut self, wanted: &topology::Service, now: u64) -> Option<Event> {
        let rules = wanted.backup.as_ref()?;
        let active = wanted.active_group()?;
        if active.name == rules.group {
            return None;
        }
        let usable = |name: &Name| {
            let health = self.groups.get(name).map(|group| &group.health);
            health.map_or(0, |health| {
                if health.is_released() {
                    health.usable()
                } else {
                    0
                }
            })
        };
        let (up, spare) = (usable(&active.name), usable(&rules.group));
        let turn = self.failover.look(rules, now, up, spare)?;
        let (by, from, to) = match turn {
            Turn::Over => ("failover", &active.name, &rules.group),
            Turn::Back => ("hand-back", &rules.group, &active.name),
        };
        let path = GroupPath {
            service: wanted.name.clone(),
            group: to.clone(),
        };
        let data = json!({"by": by, "from": from, "hosts_up": up, "min_up": rules.min_up});
        tracing::warn!(group = %path, by, "another group serves");
        Some(Event::new("group.activated", path, data))
    }

    fn exhaustion(&mut self, wanted: &topology::Service) -> Option<Event> {
        let view = self.service.view();
        let exhausted = view.hosts().is_empty();
        self.is_new &= exhausted;
        if exhausted == self.exhausted || self.is_new {
            return None;
        }
        self.exhausted = exhausted;
        let group = serving(wanted, &self.failover);
        let hosts = group.map_or(0, |group| group.hosts.len());
        let data = json!({"group": view.group, "hosts_up": view.hosts().len(), "hosts": hosts});
        let kind = if exhausted {
            tracing::error!(service = %wanted.name, "no host can take a connection");
            "service.exhausted"
        } else {
            tracing::warn!(service = %wanted.name, "hosts can take connections again");
            "service.restored"
        };
        Some(Event::new(kind, &wanted.name, data))
    }

    /// Names of its hosts lead nowhere: that it has none is told from now on.
    pub(super) fn wait_for_no_name(&mut self) {
        self.is_new = false;
    }

    /// The group that takes new sessions.
    pub(super) fn serving<'a>(&self, wanted: &'a topology::Service) -> Option<&'a topology::Group> {
        serving(wanted, &self.failover)
    }

    /// What is to be kept of it over a restart.
    pub(super) fn remember(&self, now: u64) -> Kept {
        let groups = self.groups.iter();
        Kept {
            time: now,
            over: self.failover.is_over(),
            exhausted: self.exhausted,
            groups: groups
                .map(|(name, group)| (name.clone(), group.health.remember()))
                .collect(),
        }
    }
}

fn serving<'a>(wanted: &'a topology::Service, failover: &Failover) -> Option<&'a topology::Group> {
    let backup = wanted.backup.as_ref().filter(|_| failover.is_over());
    backup
        .and_then(|backup| wanted.group(&backup.group))
        .or_else(|| wanted.active_group())
}

fn view(
    wanted: &topology::Service,
    groups: &HashMap<Name, Group>,
    failover: &Failover,
    around: Surroundings,
    before: Option<&View>,
) -> View {
    let before = before.map(|view| &view.terms);
    live::view(wanted, serving(wanted, failover), groups, around, before)
}

/// What is told of something that happened in the group at `path`.
fn event(path: &GroupPath, group: &Group, news: News, now: u64) -> Event {
    let service = &path.service;
    match news {
        News::Host {
            host,
            what,
            by,
            reason,
        } => {
            let live = group.host(&host);
            let (kind, by) = (kind(what), word(by));
            let report = group.health.report(&host, now);
            let path = path.host(&host);
            match what {
                Flip::Down | Flip::Ejected => {
                    tracing::warn!(host = %path, by, reason, "{kind}");
                }
                Flip::Up | Flip::Readmitted => {
                    tracing::info!(host = %path, by, reason, "{kind}");
                }
            }
            let data = json!({
                "by": by,
                "reason": reason,
                "active_sessions": live.map_or(0, |host| host.active()),
                "hosts_up": group.health.usable(),
                "hosts": group.health.in_use(),
                "results": status_json::results(&report.results),
                "outlook": report.outlook,
            });
            Event::new(kind, path, data)
        }
        News::Panic(fallen) => {
            tracing::error!(group = %path, ?fallen, "too many hosts are down at once; the probes are doubted");
            Event::new("service.panic", service, panic_data(path, fallen))
        }
        News::PanicEnded(fallen) => {
            tracing::warn!(group = %path, ?fallen, "the probes are believed again");
            Event::new("service.panic-ended", service, panic_data(path, fallen))
        }
    }
}

fn panic_data(path: &GroupPath, fallen: crate::health::brake::Fallen) -> Value {
    json!({"group": path.group, "hosts_down": fallen.down, "hosts": fallen.hosts})
}

fn kind(flip: Flip) -> &'static str {
    match flip {
        Flip::Up => "host.up",
        Flip::Down => "host.down",
        Flip::Ejected => "host.ejected",
        Flip::Readmitted => "host.readmitted",
    }
}

fn word(signal: Signal) -> &'static str {
    match signal {
        Signal::Probe => "probe",
        Signal::Outlier => "outlier",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_believed_for_five_minutes_and_not_from_a_clock_that_was_wrong() {
        let host = json!({"name": "w1", "address": "10.0.0.1:80"});
        let service = json!({
            "name": "web", "listen": ["127.0.0.1:0"], "backup": {"group": "green"},
            "group": [{"name": "blue", "host": [host]}, {"name": "green", "host": [host]}],
        });
        let wanted: topology::Service = serde_json::from_value(service).unwrap();
        let kept = Kept {
            time: 10_000_000,
            over: true,
            exhausted: false,
            groups: HashMap::new(),
        };
        let believed = |now| {
            let around = Surroundings {
                room: 1,
                base: 0,
                now,
            };
            Running::new(&wanted, None, &kept, around)
                .failover
                .is_over()
        };
        for (now, expected) in [
            (10_000_000, true),
            (10_000_000 + 299_999, true),
            (10_000_000 + 300_000, false),
            (10_000_000 - 1_000, true),
            (10_000_000 - 300_000, false),
        ] {
            assert_eq!(believed(now), expected, "{now}");
        }
    }
}
