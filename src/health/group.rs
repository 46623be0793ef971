//! The health of a group's hosts: what probes and sessions say of each, in one verdict.
//! It must not probe, count sessions or move them, nor know what time it is. Pure.

use std::collections::HashMap;

use super::{
    Mode, Outcome, Verdict,
    brake::Brake,
    history::{History, Rules, Said, Seen},
    memory::{Remembered, asks_the_same},
    news::{Flip, News, Signal},
    outlier::{self, Outlier},
    release::Release,
    wishes::Wishes,
};
use crate::model::{
    address::HostAddress,
    name::Name,
    topology::{self, Admin},
};

mod doubts;

/// A group's hosts.
#[derive(Debug, Default)]
pub struct Group {
    pub(super) wanted: Wanted,
    pub(super) hosts: HashMap<Name, Host>,
    pub(super) brake: Brake,
    release: Release,
    news: Vec<News>,
    changed: bool,
}

/// What the configuration says of all of them.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) probe: Option<topology::Probe>,
    pub(super) rules: Option<Rules>,
    pub(super) outlier: Option<topology::Outlier>,
    panic: Option<topology::Share>,
    slow_start: bool,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) address: HostAddress,
    /// Whether it is known where it is: a name may lead nowhere yet.
    located: bool,
    /// Whether the operator wants it to take sessions.
    pub(super) in_use: bool,
    pub(super) history: History,
    pub(super) outlier: Outlier,
    pub(super) wishes: Wishes,
    /// Why it could not be asked the last time.
    pub(super) not_asked: Option<String>,
    pub(super) fall: Fall,
    /// Since when it has been back.
    pub(super) back_since: Option<u64>,
}

/// How far a host that the probes call down is believed to be so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fall {
    /// The probes alone say so, and are believed.
    #[default]
    Probed,
    /// The probes are doubted; it is used.
    Doubted,
    /// Its sessions failed too.
    Confirmed,
}

impl Group {
    /// Makes this the group as `wanted` has it. What is known of a host stays while its address
    /// does, and, where it comes from probes, what they ask. Of new hosts `known` may know more.
    pub fn become_like(&mut self, wanted: &topology::Group, known: &Remembered) {
        let same_probe = asks_the_same(self.wanted.probe.as_ref(), wanted.probe.as_ref());
        let mut old = std::mem::take(&mut self.hosts);
        for host in &wanted.hosts {
            let address = &host.address;
            let kept = old.remove(&host.name).filter(|old| old.address == *address);
            let mut kept = kept.unwrap_or_else(|| known.host(&host.name, address, wanted));
            let located = kept.located;
            if !same_probe && self.wanted.probe.is_some() {
                (kept.history, kept.wishes) = (History::default(), Wishes::default());
            }
            if wanted.outlier.is_none() {
                kept.outlier = Outlier::default();
            }
            // Nobody looks after a host that is out of use; what was known of it grows old.
            if host.admin == Admin::Disabled {
                kept = Host::new(address.clone(), History::default(), Outlier::default());
            }
            kept.located = located;
            kept.in_use = host.admin == Admin::Enabled && host.weight.get() > 0;
            self.hosts.insert(host.name.clone(), kept);
        }
        self.wanted = Wanted {
            rules: wanted.probe.as_ref().map(Rules::of),
            probe: wanted.probe.clone(),
            outlier: wanted.outlier,
            panic: wanted.panic,
            slow_start: wanted.slow_start.is_some(),
        };
        // Whoever changes what is wanted shows what follows as well.
        self.changed = false;
    }

    /// Whether anything is ever said of its hosts.
    pub fn is_watched(&self) -> bool {
        self.wanted.rules.is_some() || self.wanted.outlier.is_some()
    }

    /// Whether failed sessions mean anything.
    pub fn heeds_sessions(&self) -> bool {
        self.wanted.outlier.is_some() || self.wanted.panic.is_some()
    }

    /// Takes in what came of a probe at `now`. Returns how long after its beginning the next one
    /// is to begin, in milliseconds and before chance is added; `None` for a host that is not
    /// probed.
    pub fn observe(&mut self, name: &Name, now: u64, outcome: Outcome) -> Option<u64> {
        let rules = self.wanted.rules?;
        let host = self.hosts.get_mut(name)?;
        let passed = match outcome.verdict {
            Verdict::Passed => true,
            Verdict::Failed => false,
            // It says nothing about the host.
            Verdict::NotAsked => {
                host.not_asked = Some(outcome.reason);
                return Some(host.history.pause(&rules));
            }
        };
        host.not_asked = None;
        let before = (host.history.said(), host.wishes);
        let seen = Seen {
            at: now,
            passed,
            what: outcome.reason.clone(),
        };
        let flipped = host.history.observe(&rules, seen);
        host.wishes.heed(outcome.advice);
        self.changed |= before.1 != host.wishes;
        let (before, reason) = (before.0, outcome.reason);
        match flipped {
            Some(Said::Up) => {
                host.fall = Fall::default();
                if before == Said::Down && self.wanted.slow_start {
                    host.back_since = Some(now);
                }
                self.tell(name, Flip::Up, Signal::Probe, reason);
            }
            Some(Said::Down) => {
                host.fall = Fall::default();
                self.tell(name, Flip::Down, Signal::Probe, reason);
            }
            Some(Said::Unknown) | None => {}
        }
        let host = self.hosts.get_mut(name)?;
        if passed && host.outlier.is_over(now) {
            let reason = "its time was over and a probe passed".to_owned();
            self.readmit(name, now, Signal::Probe, reason);
        }
        let host = self.hosts.get(name)?;
        let waits = host.outlier.is_over(now);
        let pause = host.history.pause(&rules);
        Some(if waits { rules.fast_interval } else { pause })
    }

    /// Counts `failures` more of the host's sessions that failed at `now`.
    pub fn count(&mut self, name: &Name, now: u64, failures: u32) {
        let Some(host) = self.hosts.get_mut(name) else {
            return;
        };
        if failures > 0 && host.fall == Fall::Doubted {
            host.fall = Fall::Confirmed;
            self.changed = true;
        }
        let Some(rules) = self.wanted.outlier else {
            return;
        };
        let too_many = host.outlier.count(&rules, now, failures);
        if !too_many || host.history.said() == Said::Down || !host.in_use {
            return;
        }
        let failed = host.outlier.lately();
        let ejected = |host: &&Host| host.in_use && host.outlier.ejected().is_some();
        let ejected = self.hosts.values().filter(ejected).count();
        if !outlier::may_eject(&rules, self.in_use(), ejected, self.usable()) {
            return;
        }
        let reason = format!("{failed} sessions failed within {}", rules.window);
        if let Some(host) = self.hosts.get_mut(name) {
            host.outlier.eject(&rules, now, reason.clone());
        }
        self.tell(name, Flip::Ejected, Signal::Outlier, reason);
    }

    /// The host's name leads somewhere from now on, or nowhere.
    pub fn locate(&mut self, name: &Name, somewhere: bool) {
        if let Some(host) = self.hosts.get_mut(name) {
            self.changed |= host.located != somewhere;
            host.located = somewhere;
        }
    }

    /// Does what is due at `now`. Returns whether anything has changed since this was last called
    /// that new sessions have to know.
    pub fn tick(&mut self, now: u64) -> bool {
        if self.wanted.rules.is_none() {
            let over =
                |(name, host): (&Name, &Host)| host.outlier.is_over(now).then(|| name.clone());
            let over: Vec<Name> = self.hosts.iter().filter_map(over).collect();
            for name in over {
                let reason = "its time was over".to_owned();
                self.readmit(&name, now, Signal::Outlier, reason);
            }
        }
        self.keep_to_the_share(now);
        self.look_at_brake(now);
        let was_free = self.release.is_free();
        let round = self.wanted.rules.map_or(0, |rules| rules.round());
        self.release.look(now, self.in_use(), self.usable(), round);
        std::mem::take(&mut self.changed) || was_free != self.release.is_free()
    }

    /// Whether there is something for [`Self::tick`] to do.
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// What has happened since this was last called.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Whether new sessions may use the group at all; see [`Release`].
    pub fn is_released(&self) -> bool {
        self.release.is_free()
    }

    /// Whether new sessions may go to the host, as far as its health goes.
    pub fn is_usable(&self, name: &Name) -> bool {
        self.hosts.get(name).is_none_or(Host::is_usable)
    }

    /// What the host has said of itself.
    pub fn wishes(&self, name: &Name) -> Wishes {
        let host = self.hosts.get(name);
        host.map_or_else(Wishes::default, |host| host.wishes)
    }

    /// Since when the host has been back, where its sessions come slowly.
    pub fn back_since(&self, name: &Name) -> Option<u64> {
        self.hosts.get(name)?.back_since
    }

    /// Hosts that the operator wants to take sessions.
    pub fn in_use(&self) -> usize {
        self.hosts.values().filter(|host| host.in_use).count()
    }

    /// Those of them that can.
    pub fn usable(&self) -> usize {
        let usable = |host: &&Host| host.in_use && host.is_usable();
        self.hosts.values().filter(usable).count()
    }

    fn readmit(&mut self, name: &Name, now: u64, by: Signal, reason: String) {
        if let Some(host) = self.hosts.get_mut(name) {
            host.outlier.readmit(now);
            if self.wanted.slow_start {
                host.back_since = Some(now);
            }
            self.tell(name, Flip::Readmitted, by, reason);
        }
    }

    /// Where hosts were taken away, more may be ejected than the share of those that are left.
    fn keep_to_the_share(&mut self, now: u64) {
        let Some(rules) = self.wanted.outlier else {
            return;
        };
        let ejected = |(name, host): (&Name, &Host)| {
            let ejected = host.outlier.ejected().filter(|_| host.in_use)?;
            Some((ejected.until, name.clone()))
        };
        let mut ejected: Vec<_> = self.hosts.iter().filter_map(ejected).collect();
        let most = rules.max_ejected.of(self.in_use());
        if ejected.len() > most {
            ejected.sort();
            let surplus = ejected.len() - most;
            for (_, name) in ejected.drain(..surplus) {
                let reason = format!("no more than {} may be ejected", rules.max_ejected);
                self.readmit(&name, now, Signal::Outlier, reason);
            }
        }
    }

    fn tell(&mut self, host: &Name, what: Flip, by: Signal, reason: String) {
        self.changed = true;
        let host = host.clone();
        self.news.push(News::Host {
            host,
            what,
            by,
            reason,
        });
    }
}

impl Host {
    pub(super) fn new(address: HostAddress, history: History, outlier: Outlier) -> Self {
        Self {
            located: address.name().is_none(),
            address,
            in_use: false,
            history,
            outlier,
            wishes: Wishes::default(),
            not_asked: None,
            fall: Fall::default(),
            back_since: None,
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.history.said() == Said::Down
    }

    pub(super) fn is_usable(&self) -> bool {
        let down = self.is_down() && self.fall != Fall::Doubted;
        self.located && !down && self.outlier.ejected().is_none() && self.wishes.mode == Mode::Ready
    }
}
