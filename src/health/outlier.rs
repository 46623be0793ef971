//! What the sessions of one host have said: whether so many failed that it is to be ejected.
//! It must not know what a session is, nor what time it is; both are told. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::millis;
use crate::model::topology::Outlier as Rules;

/// In how many parts a window is counted: what a failure's age is known to.
const PARTS: u64 = 20;

/// The failed sessions of one host.
#[derive(Clone, Debug, Default)]
pub struct Outlier {
    /// Failures by the part of the window that they were in, oldest first.
    failures: VecDeque<(u64, u32)>,
    ejected: Option<Ejection>,
    /// Ejections in a row, each before the one before it was forgotten.
    times: u32,
    readmitted: u64,
}

/// Why and for how long a host takes no sessions. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Ejection {
    /// Since when.
    pub since: u64,
    /// Until when at least.
    pub until: u64,
    /// How often it was ejected by now.
    pub times: u32,
    /// What its sessions met with.
    pub reason: String,
}

impl Outlier {
    /// As it was before.
    pub fn remembered(ejected: Ejection) -> Self {
        Self {
            times: ejected.times,
            ejected: Some(ejected),
            ..Self::default()
        }
    }

    /// Why it is ejected now, if it is.
    pub fn ejected(&self) -> Option<&Ejection> {
        self.ejected.as_ref()
    }

    /// Counts `failures` more; says whether there were so many lately that it is to be ejected.
    pub fn count(&mut self, rules: &Rules, now: u64, failures: u32) -> bool {
        let window = millis(rules.window);
        let part = (window / PARTS).max(1);
        self.forget(window, now);
        if failures > 0 {
            match self.failures.back_mut() {
                Some((at, count)) if now.saturating_sub(*at) < part => *count += failures,
                Some(_) | None => self.failures.push_back((now, failures)),
            }
        }
        self.ejected.is_none() && self.lately() >= u64::from(rules.failures.get())
    }

    fn forget(&mut self, window: u64, now: u64) {
        while let Some((at, _)) = self.failures.front()
            && now.saturating_sub(*at) >= window
        {
            self.failures.pop_front();
        }
    }

    /// Failures within the window.
    pub fn lately(&self) -> u64 {
        self.failures
            .iter()
            .map(|(_, count)| u64::from(*count))
            .sum()
    }

    /// Takes the host out: longer each time, unless the last time was long ago.
    pub fn eject(&mut self, rules: &Rules, now: u64, reason: String) {
        let longest = millis(rules.max_eject);
        if now.saturating_sub(self.readmitted) >= longest {
            self.times = 0;
        }
        self.times = self.times.saturating_add(1);
        let length = millis(rules.eject).saturating_mul(self.times.into());
        self.failures.clear();
        self.ejected = Some(Ejection {
            since: now,
            until: now.saturating_add(length.min(longest)),
            times: self.times,
            reason,
        });
    }

    /// Whether it is ejected and has been for its time.
    pub fn is_over(&self, now: u64) -> bool {
        self.ejected
            .as_ref()
            .is_some_and(|ejected| ejected.until <= now)
    }

    /// Lets it take sessions again.
    pub fn readmit(&mut self, now: u64) {
        self.ejected = None;
        self.failures.clear();
        self.readmitted = now;
    }
}

/// Whether one more host of a group may be ejected, of which `ejected` are and `usable` can be
/// used: neither beyond the share that may be, nor the last one.
pub fn may_eject(rules: &Rules, hosts: usize, ejected: usize, usable: usize) -> bool {
    ejected < rules.max_ejected.of(hosts) && usable > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::topology::Share;

    fn rules() -> Rules {
        Rules::default()
    }

    #[test]
    fn so_many_failures_within_the_window_are_too_many() {
        let mut outlier = Outlier::default();
        for at in 0..4 {
            assert!(!outlier.count(&rules(), at * 1000, 1));
        }
        assert!(outlier.count(&rules(), 4000, 1));
    }

    #[test]
    fn failures_are_forgotten_after_the_window() {
        let mut outlier = Outlier::default();
        assert!(!outlier.count(&rules(), 0, 4));
        assert!(!outlier.count(&rules(), 10_000, 4));
        assert!(outlier.count(&rules(), 19_999, 1));
    }

    #[test]
    fn a_window_takes_little_memory_whatever_fails_in_it() {
        let mut outlier = Outlier::default();
        for at in 0..100_000 {
            outlier.count(&rules(), at, 1);
        }
        assert!(outlier.failures.len() as u64 <= PARTS + 1);
        assert!(outlier.lately() >= 9_000);
    }

    #[test]
    fn each_ejection_in_a_row_is_longer_up_to_the_longest() {
        let mut outlier = Outlier::default();
        let mut now = 1_000_000;
        for length in [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300] {
            outlier.eject(&rules(), now, String::new());
            assert!(!outlier.is_over(now + length * 1000 - 1), "{length}");
            now += length * 1000;
            assert!(outlier.is_over(now), "{length}");
            outlier.readmit(now);
        }
    }

    #[test]
    fn a_host_that_behaved_for_long_begins_anew() {
        let mut outlier = Outlier::default();
        for _ in 0..3 {
            outlier.eject(&rules(), 0, String::new());
            outlier.readmit(1000);
        }
        outlier.eject(&rules(), 301_000, String::new());
        assert_eq!(outlier.ejected().unwrap().times, 1);
    }

    #[test]
    fn neither_more_than_the_share_nor_the_last_host_is_ejected() {
        let rules = Rules {
            max_ejected: Share::percent(50),
            ..rules()
        };
        assert!(may_eject(&rules, 4, 1, 3));
        assert!(!may_eject(&rules, 4, 2, 2));
        assert!(!may_eject(&rules, 3, 1, 2));
        assert!(!may_eject(&rules, 1, 0, 1));
        assert!(!may_eject(&rules, 4, 0, 1));
    }
}
