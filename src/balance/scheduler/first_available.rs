//! First available: the first host in the view that is not full.
//! It must not walk over the full ones: a [`Ranking`] knows the first that is not.

use std::sync::Arc;

use super::{Ask, Memory, Scheduler};
use crate::balance::{
    host::Candidate,
    ranking::{Order, Ranking},
};

#[derive(Debug)]
pub(super) struct FirstAvailable(Arc<Ranking>);

impl FirstAvailable {
    pub(super) fn new(hosts: &[Candidate], memory: &Arc<Memory>) -> Self {
        Self(Arc::new(Ranking::new(Order::Place, hosts, memory)))
    }
}

impl Scheduler for FirstAvailable {
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

    #[test]
    fn hosts_fill_up_in_order_and_the_first_with_room_is_next() {
        let (mut hosts, memory) = hosts(&[1, 256, 1]);
        for candidate in &mut hosts {
            candidate.max_sessions = 2;
        }
        let scheduler = FirstAvailable::new(&hosts, &memory);
        scheduler.settle(&hosts);
        let mut leases = Vec::new();
        for expected in [0, 0, 1, 1, 2, 2] {
            assert_eq!(scheduler.pick(&hosts, &ask(0)), Some(expected));
            leases.push(Lease::take(&hosts[expected]).unwrap());
        }
        leases.remove(2);
        assert_eq!(scheduler.pick(&hosts, &ask(0)), Some(1));
        leases.remove(0);
        assert_eq!(scheduler.pick(&hosts, &ask(0)), Some(0));
    }
}
