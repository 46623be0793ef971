//! Spreading: after a host came back or was added, some lasting sessions of the others are closed,
//! so that they come back and find it.
//! It must not close a session itself, nor more than the configuration allows.

use std::{collections::HashSet, sync::Arc};

use super::running::Surroundings;
use crate::{
    balance::{Host, View},
    model::topology::Rebalance,
};

/// In which steps sessions are asked to end, in milliseconds: in every other one only those that
/// are idle, in the next also others, as far as there were not enough.
const STEP: u64 = 500;

/// Whether sessions are being spread.
#[derive(Debug, Default)]
pub(super) struct Spread(Option<Job>);

#[derive(Debug)]
struct Job {
    /// When the next step is due, in milliseconds since 1970.
    next: u64,
    /// Sessions that are still to end in all; not counted before the first step.
    left: Option<u32>,
    /// Who was asked in the last step, and for how many.
    asked: Vec<(Arc<Host>, u32)>,
    only_idle: bool,
}

impl Spread {
    /// Has sessions spread from `begins` on.
    pub(super) fn begin(&mut self, begins: u64) {
        self.0 = Some(Job {
            next: begins,
            left: None,
            asked: Vec::new(),
            only_idle: true,
        });
    }

    /// Whether there is something to do from time to time.
    pub(super) fn is_going_on(&self) -> bool {
        self.0.is_some()
    }

    /// Asks sessions of the hosts in `view` to end, where that is due. Returns whether sessions
    /// have to be rung for.
    pub(super) fn tick(&mut self, rules: &Rebalance, view: &View, around: Surroundings) -> bool {
        let Some(job) = &mut self.0 else {
            return false;
        };
        if around.now < job.next {
            return false;
        }
        job.next = around.now + STEP;
        let unended = job.settle();
        let hosts: Vec<(u32, u16)> = view
            .hosts()
            .iter()
            .map(|candidate| (candidate.host.active(), candidate.weight))
            .collect();
        let excess = excess(&hosts);
        let all: u32 = excess.iter().sum();
        let left = job.left.unwrap_or(all).min(all);
        job.left = Some(left);
        if left == 0 {
            self.0 = None;
            return false;
        }
        let budget = if job.only_idle {
            rules.rate.get()
        } else {
            unended
        };
        let idle = if job.only_idle {
            rules.idle.duration().as_millis() as u64
        } else {
            0
        };
        job.only_idle = !job.only_idle;
        let before =
            (around.now - around.base).saturating_sub(rules.min_age.duration().as_millis() as u64);
        let shares = shares(&excess, budget.min(left));
        for (candidate, share) in view.hosts().iter().zip(shares) {
            if share > 0 {
                candidate.host.shedding().ask(share, before, idle);
                job.asked.push((Arc::clone(&candidate.host), share));
            }
        }
        !job.asked.is_empty()
    }

    /// Ends it; what was asked and not done is not to be done any more.
    pub(super) fn stop(&mut self) {
        if let Some(job) = &mut self.0 {
            job.settle();
        }
        self.0 = None;
    }
}

impl Job {
    /// Takes back what was asked; returns how many sessions did not end.
    fn settle(&mut self) -> u32 {
        let mut unended = 0;
        for (host, asked) in self.asked.drain(..) {
            let left = host.shedding().left().min(asked);
            host.shedding().ask(0, 0, 0);
            unended += left;
            self.left = self.left.map(|all| all.saturating_sub(asked - left));
        }
        unended
    }
}

/// Whether `new` has a host that `old`, of the same group, had not.
pub(super) fn has_grown(old: &View, new: &View) -> bool {
    let known: HashSet<u64> = old.hosts().iter().map(|host| host.host.serial()).collect();
    let is_new = |serial| !known.contains(&serial);
    old.group == new.group
        && !known.is_empty()
        && new.hosts().iter().any(|host| is_new(host.host.serial()))
}

/// How many sessions each host has above its fair share, of which each has so many with a weight.
fn excess(hosts: &[(u32, u16)]) -> Vec<u32> {
    let sessions: u64 = hosts.iter().map(|(active, _)| u64::from(*active)).sum();
    let weights: u64 = hosts.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let above = |(active, weight): &(u32, u16)| {
        let fair = (sessions * u64::from(*weight)).div_ceil(weights.max(1));
        u64::from(*active).saturating_sub(fair) as u32
    };
    hosts.iter().map(above).collect()
}

/// How `budget` is shared among hosts in proportion to what each has too many of.
fn shares(excess: &[u32], budget: u32) -> Vec<u32> {
    let all: u64 = excess.iter().map(|excess| u64::from(*excess)).sum();
    let mut left = u64::from(budget).min(all);
    let share = |excess: &u32| {
        let fair = (u64::from(budget) * u64::from(*excess)).div_ceil(all.max(1));
        let share = fair.min(u64::from(*excess)).min(left);
        left -= share;
        share as u32
    };
    excess.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_above_the_fair_share_by_weight_is_too_many() {
        assert_eq!(excess(&[(30, 1), (30, 1), (0, 1)]), [10, 10, 0]);
        assert_eq!(excess(&[(60, 1), (0, 2)]), [40, 0]);
        assert_eq!(excess(&[(7, 1), (7, 1), (6, 1)]), [0, 0, 0]);
        assert_eq!(excess(&[]), [0; 0]);
    }

    proptest! {
        #[test]
        fn no_more_than_the_budget_and_no_more_than_anybody_has_is_taken(
            excess in proptest::collection::vec(0..1000_u32, 0..20),
            budget in 0..5000_u32,
        ) {
            let shares = shares(&excess, budget);
            let all: u32 = excess.iter().sum();
            prop_assert_eq!(shares.iter().sum::<u32>(), budget.min(all));
            prop_assert!(shares.iter().zip(&excess).all(|(share, most)| share <= most));
        }
    }
}
