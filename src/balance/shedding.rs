//! A request that some of a host's sessions end, so that they come back elsewhere.
//! It must not wake anybody, nor end a session; whoever asks rings, and the session ends itself.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use super::counters::take_back;

/// How many sessions are to end, and which may.
#[derive(Debug, Default)]
pub struct Shedding {
    budget: AtomicU32,
    /// Only those that started before: milliseconds, as [`super::closing::Closing`] has them.
    started_before: AtomicU64,
    /// Only those without a byte for so many milliseconds.
    idle_for: AtomicU64,
}

impl Shedding {
    /// Asks `budget` sessions to end that started before `started_before` and have been idle for
    /// `idle_for`. What was asked before counts no more.
    pub fn ask(&self, budget: u32, started_before: u64, idle_for: u64) {
        self.budget.store(0, SeqCst);
        self.started_before.store(started_before, SeqCst);
        self.idle_for.store(idle_for, SeqCst);
        self.budget.store(budget, SeqCst);
    }

    /// How many are still to end.
    pub fn left(&self) -> u32 {
        self.budget.load(SeqCst)
    }

    /// Whether the session that started at `started` and has been idle for `idle` is to end: it
    /// then counts as one of them.
    pub fn takes(&self, started: u64, idle: u64) -> bool {
        self.left() > 0
            && started < self.started_before.load(SeqCst)
            && idle >= self.idle_for.load(SeqCst)
            && take_back(&self.budget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_sessions_end_than_were_asked_to_and_only_those_that_may() {
        let shedding = Shedding::default();
        assert!(!shedding.takes(0, 1000));
        shedding.ask(2, 100, 10);
        assert!(!shedding.takes(100, 10));
        assert!(!shedding.takes(99, 9));
        assert!(shedding.takes(99, 10));
        assert!(shedding.takes(0, 1000));
        assert!(!shedding.takes(0, 1000));
        shedding.ask(5, 100, 0);
        assert_eq!(shedding.left(), 5);
        shedding.ask(0, 0, 0);
        assert!(!shedding.takes(0, 0));
    }
}
