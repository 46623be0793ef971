//! Least connections: the fewest sessions for its weight; ties go to the least recently used.
//! It must not read the load of every host at a pick: a [`Ranking`] keeps their order.

use std::sync::Arc;

use super::{Ask, Memory, Scheduler};
use crate::balance::{
    host::Candidate,
    ranking::{Order, Ranking},
};

#[derive(Debug)]
pub(super) struct LeastConnections(Arc<Ranking>);

impl LeastConnections {
    pub(super) fn new(hosts: &[Candidate], memory: &Arc<Memory>) -> Self {
        Self(Arc::new(Ranking::new(Order::Load, hosts, memory)))
    }
}

impl Scheduler for LeastConnections {
    fn pick(&self, hosts: &[Candidate], ask: &Ask<'_>) -> Option<usize> {
        self.0.best(hosts, ask)
    }

    fn settle(&self, hosts: &[Candidate]) {
        self.0.attach(hosts);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::balance::host::Lease;

    fn settled(hosts: &[Candidate], memory: &Arc<Memory>) -> LeastConnections {
        let scheduler = LeastConnections::new(hosts, memory);
        scheduler.settle(hosts);
        scheduler
    }

    #[test]
    fn the_host_with_the_fewest_sessions_for_its_weight_is_picked() {
        let (hosts, memory) = hosts(&[1, 3]);
        let scheduler = settled(&hosts, &memory);
        let mut leases = Vec::new();
        for _ in 0..8 {
            let index = scheduler.pick(&hosts, &ask(0)).unwrap();
            leases.push(Lease::take(&hosts[index]).unwrap());
        }
        assert_eq!((hosts[0].host.active(), hosts[1].host.active()), (2, 6));
        leases.retain(|lease| lease.host().serial() == hosts[1].host.serial());
        assert_eq!(scheduler.pick(&hosts, &ask(0)), Some(0));
    }

    #[test]
    fn ties_go_to_the_least_recently_used_even_across_views() {
        let (hosts, memory) = hosts(&[1, 1, 1]);
        let mut picked = Vec::new();
        for _ in 0..5 {
            let scheduler = settled(&hosts, &memory);
            let index = scheduler.pick(&hosts, &ask(0)).unwrap();
            drop(Lease::take(&hosts[index]));
            picked.push(index);
        }
        assert_eq!(picked, [0, 1, 2, 0, 1]);
    }

    #[test]
    fn sessions_that_come_between_building_and_settling_count() {
        let (hosts, memory) = hosts(&[1, 1]);
        let scheduler = LeastConnections::new(&hosts, &memory);
        let _lease = Lease::take(&hosts[0]).unwrap();
        scheduler.settle(&hosts);
        assert_eq!(scheduler.pick(&hosts, &ask(0)), Some(1));
    }

    #[test]
    fn a_host_that_left_keeps_no_ranking_alive() {
        let (hosts, memory) = hosts(&[1, 1]);
        let scheduler = settled(&hosts, &memory);
        let ranking = Arc::downgrade(&scheduler.0);
        let host = Arc::clone(&hosts[0].host);
        let lease = Lease::take(&hosts[0]).unwrap();
        drop((hosts, scheduler));
        assert!(ranking.upgrade().is_none());
        drop(lease);
        assert_eq!(host.active(), 0);
    }

    #[test]
    fn full_hosts_come_last() {
        let (mut hosts, memory) = hosts(&[256, 1]);
        hosts[0].max_sessions = 1;
        let scheduler = settled(&hosts, &memory);
        let _leases = [&hosts[0], &hosts[1], &hosts[1]].map(|h| Lease::take(h).unwrap());
        assert_eq!(scheduler.pick(&hosts, &ask(0)), Some(1));
    }

    #[test]
    fn threads_that_take_and_drop_at_once_leave_the_order_right() {
        let (hosts, memory) = hosts(&[1; 9]);
        let scheduler = settled(&hosts, &memory);
        std::thread::scope(|scope| {
            for seed in 0..4 {
                let (hosts, scheduler) = (&hosts, &scheduler);
                scope.spawn(move || {
                    let mut held = std::collections::VecDeque::new();
                    for random in 0..5000 {
                        let index = scheduler.pick(hosts, &ask(random)).unwrap();
                        held.extend(Lease::take(&hosts[index]));
                        if held.len() > 10 + seed {
                            held.pop_front();
                        }
                    }
                });
            }
        });
        assert_eq!(memory.sessions(), 0);
        let mut leases = Vec::new();
        for _ in 0..9 {
            let index = scheduler.pick(&hosts, &ask(0)).unwrap();
            leases.push(Lease::take(&hosts[index]).unwrap());
        }
        assert!(hosts.iter().all(|candidate| candidate.host.active() == 1));
    }
}
