//! A host's health as it is told: what it is, why, since when, and what would change it.
//! It must not change it. Pure.

use super::{
    Mode,
    group::{Fall, Group, Host},
    history::{Said, Seen},
};
use crate::model::name::Name;

/// What the balancer has seen of a host, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Its probes pass.
    Up,
    /// Its probes fail.
    Down,
    /// Its sessions failed.
    Ejected,
    /// It is not probed, or not yet.
    Unknown,
}

impl Health {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Ejected => "ejected",
            Self::Unknown => "unknown",
        }
    }
}

/// All that there is to say of a host's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// In one word.
    pub health: Health,
    /// Why, in a line.
    pub reason: String,
    /// Since when, in milliseconds since 1970; `None` where it was never otherwise.
    pub since: Option<u64>,
    /// The last results of its probes, oldest first.
    pub results: Vec<Seen>,
    /// What would change it, and what else is to be known, in sentences.
    pub outlook: Vec<String>,
}

impl Group {
    /// What there is to say of the host called `name` at `now`.
    pub fn report(&self, name: &Name, now: u64) -> Report {
        let Some(host) = self.hosts.get(name) else {
            return Report {
                health: Health::Unknown,
                reason: "nothing is known of it".to_owned(),
                since: None,
                results: Vec::new(),
                outlook: Vec::new(),
            };
        };
        let (health, reason, since) = self.verdict(host);
        Report {
            health,
            reason,
            since,
            results: host.history.results().cloned().collect(),
            outlook: self.outlook(host, now),
        }
    }

    fn verdict(&self, host: &Host) -> (Health, String, Option<u64>) {
        let last = |passed| {
            let seen = host.history.last(passed).map(|seen| seen.what.clone());
            seen.unwrap_or_else(|| "as it was before the start".to_owned())
        };
        let since = Some(host.history.since());
        match (host.history.said(), host.outlier.ejected()) {
            (Said::Down, _) => (Health::Down, last(false), since),
            (Said::Up | Said::Unknown, Some(ejected)) => {
                let reason = ejected.reason.clone();
                (Health::Ejected, reason, Some(ejected.since))
            }
            (Said::Up, None) => (Health::Up, last(true), since),
            (Said::Unknown, None) if self.wanted.rules.is_none() => {
                (Health::Unknown, "it is not probed".to_owned(), None)
            }
            (Said::Unknown, None) => {
                let reason = "it has not been probed often enough yet";
                (Health::Unknown, reason.to_owned(), None)
            }
        }
    }

    fn outlook(&self, host: &Host, now: u64) -> Vec<String> {
        let mut sentences = Vec::new();
        if let Some(why) = &host.not_asked {
            sentences.push(format!("it could not be probed the last time: {why}"));
        }
        match host.wishes.mode {
            Mode::Ready => {}
            Mode::Drain => sentences.push("it asks for no new sessions".to_owned()),
            Mode::Maintenance => sentences.push("it says that it is being worked on".to_owned()),
        }
        if host.wishes.percent != 100 {
            let percent = host.wishes.percent;
            sentences.push(format!("it asks for {percent}% of its weight"));
        }
        if let Some(most) = host.wishes.max_sessions {
            sentences.push(format!("it asks for at most {most} sessions at a time"));
        }
        match host.fall {
            Fall::Probed => {}
            Fall::Doubted => sentences.push(
                "too many hosts went down at once, so the probes are doubted and it is used until \
                 one of its sessions fails"
                    .to_owned(),
            ),
            Fall::Confirmed => sentences.push("its sessions failed too".to_owned()),
        }
        if let Some(ejected) = host.outlier.ejected() {
            let left = ejected.until.saturating_sub(now).div_ceil(1000);
            let then = match &self.wanted.rules {
                Some(_) => "then the next probe that passes readmits it",
                None => "then it is readmitted",
            };
            sentences.push(format!(
                "it was ejected {} times in a row; {left} s are left, {then}",
                ejected.times
            ));
        } else if let Some(rules) = &self.wanted.outlier {
            sentences.push(format!(
                "{} failed sessions within {} eject it; {} so far",
                rules.failures.get(),
                rules.window,
                host.outlier.lately()
            ));
        }
        if let Some(rules) = &self.wanted.rules {
            sentences.push(host.history.outlook(rules, now));
        }
        sentences
    }
}
