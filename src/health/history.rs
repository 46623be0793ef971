//! What the probes of one host have said, and what follows: up, down, or not known yet.
//! It must not probe, nor know what time it is; both are told. Pure.
//!
//! Only so many results in a row change anything, so that a host never flips by one lost packet.
//! A host that keeps falling has to pass more probes before it is believed again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::millis;
use crate::model::topology::Probe;

/// How many results are remembered, to be shown.
pub const REMEMBERED: usize = 8;
/// How long a fall counts against a host.
const FLAPPING: u64 = 600_000;
/// How many falls within that time are nothing unusual.
const UNSUSPICIOUS: usize = 2;
/// How often the passes that are needed are doubled at most.
const DOUBLINGS: usize = 3;

/// When the probes are believed. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// From one probe to the next.
    pub interval: u64,
    /// The same while in doubt.
    pub fast_interval: u64,
    /// What one probe may take.
    pub timeout: u64,
    /// Failures in a row that take a host down.
    pub fall: u32,
    /// Passes in a row that bring it up.
    pub rise: u32,
}

impl Rules {
    /// Those of `probe`.
    pub fn of(probe: &Probe) -> Self {
        let interval = millis(probe.interval);
        Self {
            interval,
            fast_interval: probe.fast_interval.map_or(interval, millis),
            timeout: millis(probe.timeout),
            fall: u32::from(probe.fall.get()),
            rise: u32::from(probe.rise.get()),
        }
    }

    /// How long a host that fails may go unnoticed by every probe that is not late.
    pub fn round(&self) -> u64 {
        self.interval + self.interval / 10 + self.timeout
    }
}

/// What the probes say of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It passes.
    Up,
    /// It fails.
    Down,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When, in milliseconds.
    pub at: u64,
    /// Whether the host passed.
    pub passed: bool,
    /// What was seen.
    pub what: String,
}

/// The probes of one host.
#[derive(Clone, Debug, Default)]
pub struct History {
    said: Said,
    since: u64,
    /// Results in a row that contradict what is said.
    streak: u32,
    /// The last ones, oldest first.
    results: VecDeque<Seen>,
    /// The last falls, oldest first.
    falls: VecDeque<u64>,
}

impl History {
    /// A history of which only this is known: `said`, since `since`.
    pub fn remembered(said: Said, since: u64) -> Self {
        Self {
            said,
            since,
            ..Self::default()
        }
    }

    /// What is said now.
    pub fn said(&self) -> Said {
        self.said
    }

    /// Since when.
    pub fn since(&self) -> u64 {
        self.since
    }

    /// The last results, oldest first.
    pub fn results(&self) -> impl Iterator<Item = &Seen> {
        self.results.iter()
    }

    /// The last result that was as `passed` says.
    pub fn last(&self, passed: bool) -> Option<&Seen> {
        self.results.iter().rfind(|seen| seen.passed == passed)
    }

    /// Takes in a result; returns what is said from now on, where that changed.
    pub fn observe(&mut self, rules: &Rules, result: Seen) -> Option<Said> {
        let (at, passed) = (result.at, result.passed);
        if self.results.len() == REMEMBERED {
            self.results.pop_front();
        }
        self.results.push_back(result);
        let next = match (self.said, passed) {
            (Said::Up, true) | (Said::Down, false) => {
                self.streak = 0;
                return None;
            }
            (Said::Unknown | Said::Up, false) => Said::Down,
            (Said::Unknown | Said::Down, true) => Said::Up,
        };
        self.streak += 1;
        // The first pass is enough where nothing has been said against the host yet.
        let at_once = self.said == Said::Unknown && passed;
        if !at_once && self.streak < self.needed(rules, at) {
            return None;
        }
        if next == Said::Down {
            if self.falls.len() == UNSUSPICIOUS + DOUBLINGS {
                self.falls.pop_front();
            }
            self.falls.push_back(at);
        }
        (self.said, self.since, self.streak) = (next, at, 0);
        Some(next)
    }

    /// Results in a row that change what is said: failures, or passes where it is down.
    fn needed(&self, rules: &Rules, now: u64) -> u32 {
        match self.said {
            Said::Unknown | Said::Up => rules.fall.max(1),
            Said::Down => {
                let doublings = self.lately(now).saturating_sub(UNSUSPICIOUS);
                rules.rise.max(1) << doublings.min(DOUBLINGS)
            }
        }
    }

    /// How often it has fallen lately.
    fn lately(&self, now: u64) -> usize {
        let lately = |at: &&u64| now.saturating_sub(**at) < FLAPPING;
        self.falls.iter().filter(lately).count()
    }

    /// How long until the next probe, before chance is added, in milliseconds.
    pub fn pause(&self, rules: &Rules) -> u64 {
        if self.streak > 0 || self.said == Said::Unknown {
            rules.fast_interval
        } else {
            rules.interval
        }
    }

    /// What would change what is said, as a sentence.
    pub fn outlook(&self, rules: &Rules, now: u64) -> String {
        let (streak, needed) = (self.streak, self.needed(rules, now));
        match self.said {
            Said::Unknown => format!(
                "one passed probe brings it up, {} failed in a row take it down; {streak} so far",
                rules.fall
            ),
            Said::Up => format!("{needed} failed probes in a row take it down; {streak} so far"),
            Said::Down if needed > rules.rise.max(1) => format!(
                "{needed} passed probes in a row bring it up; {streak} so far. It takes more than \
                 the usual {} because it has fallen {} times in ten minutes",
                rules.rise,
                self.lately(now)
            ),
            Said::Down => format!("{needed} passed probes in a row bring it up; {streak} so far"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules {
        interval: 2000,
        fast_interval: 500,
        timeout: 1000,
        fall: 3,
        rise: 2,
    };

    fn feed(history: &mut History, at: u64, results: &str) -> Vec<Option<Said>> {
        let results = results.bytes().enumerate().map(|(index, byte)| Seen {
            at: at + index as u64,
            passed: byte == b'+',
            what: String::new(),
        });
        results.map(|seen| history.observe(&RULES, seen)).collect()
    }

    #[test]
    fn the_first_pass_brings_a_host_up() {
        let mut history = History::default();
        assert_eq!(feed(&mut history, 0, "+"), [Some(Said::Up)]);
    }

    #[test]
    fn a_pass_after_failures_brings_up_a_host_of_which_nothing_was_known() {
        let mut history = History::default();
        assert_eq!(feed(&mut history, 0, "--+"), [None, None, Some(Said::Up)]);
    }

    #[test]
    fn results_that_are_not_in_a_row_change_nothing() {
        let mut history = History::remembered(Said::Up, 0);
        assert_eq!(feed(&mut history, 0, "--+--+--"), [None; 8]);
        assert_eq!(feed(&mut history, 9, "-"), [Some(Said::Down)]);
        assert_eq!(feed(&mut history, 10, "+-+-+-"), [None; 6]);
        assert_eq!(feed(&mut history, 20, "++"), [None, Some(Said::Up)]);
        assert_eq!(history.since(), 21);
    }

    #[test]
    fn probes_come_faster_while_in_doubt() {
        let mut history = History::default();
        assert_eq!(history.pause(&RULES), 500);
        feed(&mut history, 0, "+");
        assert_eq!(history.pause(&RULES), 2000);
        feed(&mut history, 1, "-");
        assert_eq!(history.pause(&RULES), 500);
        feed(&mut history, 2, "--");
        assert_eq!(history.pause(&RULES), 2000);
    }

    #[test]
    fn a_host_that_keeps_falling_has_to_pass_more_probes() {
        let mut history = History::remembered(Said::Up, 0);
        for passes in [2, 2, 4, 8, 16, 16] {
            feed(&mut history, 0, "---");
            let before = feed(&mut history, 0, &"+".repeat(passes - 1));
            assert!(before.iter().all(Option::is_none), "{passes}: {before:?}");
            assert_eq!(feed(&mut history, 0, "+"), [Some(Said::Up)], "{passes}");
        }
        feed(&mut history, 0, "---");
        assert!(history.outlook(&RULES, 1).contains("16 passed"));
        let later = FLAPPING + 10;
        assert_eq!(feed(&mut history, later, "++"), [None, Some(Said::Up)]);
    }

    #[test]
    fn only_the_last_results_are_remembered() {
        let mut history = History::default();
        feed(&mut history, 0, &"-".repeat(1000));
        assert_eq!(history.results().count(), REMEMBERED);
    }

    proptest! {
        #[test]
        fn nothing_flips_a_host_without_enough_results_in_a_row(
            results in proptest::collection::vec(any::<bool>(), 0..300),
            fall in 1..6_u32,
            rise in 1..6_u32,
        ) {
            let rules = Rules { fall, rise, ..RULES };
            let mut history = History::default();
            let mut row = (true, 0);
            for (at, passed) in results.into_iter().enumerate() {
                row = if row.0 == passed { (passed, row.1 + 1) } else { (passed, 1) };
                let before = history.said();
                let seen = Seen { at: at as u64, passed, what: String::new() };
                let flipped = history.observe(&rules, seen);
                match flipped {
                    Some(Said::Down) => prop_assert!(!passed && row.1 >= fall),
                    Some(Said::Up) if before == Said::Unknown => prop_assert!(passed),
                    Some(Said::Up) => prop_assert!(passed && row.1 >= rise),
                    Some(Said::Unknown) => prop_assert!(false, "nothing is forgotten"),
                    None => prop_assert_eq!(history.said(), before),
                }
            }
        }
    }
}
