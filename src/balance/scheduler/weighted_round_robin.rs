//! Weighted round robin: in proportion to weight, as evenly spread as can be.
//! It must not begin anew with a new view, nor make up to a host for the time it was away.
//!
//! Where each host stands is kept in the host, and how far the group has come in its memory, so
//! that the next view goes on from there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed};

use super::{
    Ask, Memory, Scheduler,
    turns::{self, Turns},
};
use crate::balance::host::Candidate;

#[derive(Debug)]
pub(super) struct WeightedRoundRobin {
    memory: Arc<Memory>,
    /// Held only for the few steps that one turn takes: the order is exact because one pick comes
    /// after the other.
    turns: Mutex<Turns>,
}

impl WeightedRoundRobin {
    pub(super) fn new(hosts: &[Candidate], memory: &Arc<Memory>) -> Self {
        Self {
            memory: Arc::clone(memory),
            turns: Mutex::new(remembered(hosts, memory)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next turn of each host: the one it had, if that is still to come and of its weight, else
/// its first from now on.
fn remembered(hosts: &[Candidate], memory: &Memory) -> Turns {
    let time = memory.turn.load(Relaxed);
    let next = |candidate: &Candidate| {
        let (position, weight) = (candidate.host.position.load(Relaxed), candidate.weight);
        if position >= time && turns::is_deadline(position, weight) {
            position
        } else {
            turns::first_after(time, weight)
        }
    };
    Turns::new(hosts.iter().map(|host| (next(host), host.weight)))
}

impl Scheduler for WeightedRoundRobin {
    fn pick(&self, hosts: &[Candidate], ask: &Ask<'_>) -> Option<usize> {
        let mut turns = self.lock();
        let taken = turns.take(
            |index| ask.excludes(&hosts[index]),
            |taken| hosts[taken.index].host.position.store(taken.next, Relaxed),
        )?;
        // Sessions that still look at an older view must not turn back the time of all. If they
        // turn back a host, it is taken for one that was away.
        self.memory.turn.fetch_max(taken.deadline, Relaxed);
        Some(taken.index)
    }

    fn settle(&self, hosts: &[Candidate]) {
        // The view before this one has gone on since this was built.
        let mut turns = self.lock();
        *turns = remembered(hosts, &self.memory);
        for (index, deadline) in turns.deadlines() {
            // So that the next view knows of a turn that this one has not come to.
            hosts[index].host.position.store(deadline, Relaxed);
            hosts[index].host.rank_in(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    fn view(hosts: &[Candidate], memory: &Arc<Memory>) -> WeightedRoundRobin {
        let scheduler = WeightedRoundRobin::new(hosts, memory);
        scheduler.settle(hosts);
        scheduler
    }

    #[test]
    fn one_three_four_are_exact_and_interleaved_over_eight_picks_and_for_ever() {
        let (hosts, memory) = hosts(&[1, 3, 4]);
        let scheduler = view(&hosts, &memory);
        let first = picks(&scheduler, &hosts, 8);
        assert_eq!(first, [2, 1, 2, 0, 1, 2, 1, 2]);
        for _ in 0..1000 {
            assert_eq!(picks(&scheduler, &hosts, 8), first);
        }
    }

    #[test]
    fn a_new_view_before_every_pick_changes_nothing() {
        for weights in [vec![1, 3, 4, 256, 7], vec![1; 10], vec![2, 2, 1]] {
            let (hosts_a, memory_a) = hosts(&weights);
            let (hosts_b, memory_b) = hosts(&weights);
            let all = picks(&view(&hosts_a, &memory_a), &hosts_a, 1000);
            let one_by_one: Vec<_> = (0..1000)
                .flat_map(|_| picks(&view(&hosts_b, &memory_b), &hosts_b, 1))
                .collect();
            assert_eq!(all, one_by_one);
        }
    }

    #[test]
    fn picks_between_building_and_settling_are_not_repeated() {
        let (hosts, memory) = hosts(&[1, 1, 1]);
        let old = view(&hosts, &memory);
        let new = WeightedRoundRobin::new(&hosts, &memory);
        assert_eq!(picks(&old, &hosts, 2), [0, 1]);
        new.settle(&hosts);
        assert_eq!(picks(&new, &hosts, 1), [2]);
    }

    #[test]
    fn a_host_that_comes_back_gets_its_share_and_no_more() {
        let (hosts, memory) = hosts(&[2, 2, 2]);
        picks(&view(&hosts, &memory), &hosts, 5);
        picks(&view(&hosts[1..], &memory), &hosts[1..], 1001);
        let after = picks(&view(&hosts, &memory), &hosts, 12);
        let share = after.iter().filter(|index| **index == 0).count();
        assert!((3..=5).contains(&share), "{after:?}");
        assert!(
            after.windows(2).filter(|w| w[0] == w[1]).count() <= 1,
            "{after:?}"
        );
    }

    #[test]
    fn a_changed_weight_holds_from_the_next_pick_on() {
        let (mut hosts, memory) = hosts(&[1, 1]);
        picks(&view(&hosts, &memory), &hosts, 101);
        hosts[0].weight = 9;
        let share = picks(&view(&hosts, &memory), &hosts, 10);
        assert!(
            share.iter().filter(|index| **index == 0).count() >= 8,
            "{share:?}"
        );
    }

    #[test]
    fn a_turn_counter_left_by_round_robin_is_as_good_a_start_as_any() {
        let (hosts, memory) = hosts(&[1, 3, 4]);
        memory.turn.store(123_456_789, Relaxed);
        let mut shares = [0; 3];
        for index in picks(&view(&hosts, &memory), &hosts, 800) {
            shares[index] += 1;
        }
        assert!(
            shares
                .iter()
                .zip([100_u32, 300, 400])
                .all(|(s, e)| e.abs_diff(*s) <= 1)
        );
    }
}
