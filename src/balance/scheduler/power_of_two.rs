//! Power of two: the less loaded of two drawn by weight.
//! It must not look at any other host.

use super::{Ask, Scheduler, draw::Alias};
use crate::balance::host::Candidate;

#[derive(Debug)]
pub(super) struct PowerOfTwo(Alias);

impl PowerOfTwo {
    pub(super) fn new(hosts: &[Candidate]) -> Self {
        Self(Alias::new(hosts))
    }
}

impl Scheduler for PowerOfTwo {
    fn pick(&self, hosts: &[Candidate], ask: &Ask<'_>) -> Option<usize> {
        let (first, second) = self.0.pair(hosts, ask)?;
        let Some(second) = second else {
            return Some(first);
        };
        let (one, other) = (&hosts[first], &hosts[second]);
        let (load, others) = super::loads(one, other);
        // A tie goes to the first, which was drawn by weight.
        let second_wins = (other.is_full(), others) < (one.is_full(), load);
        Some(if second_wins { second } else { first })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::balance::host::Lease;

    #[test]
    fn the_less_loaded_for_its_weight_of_two_wins() {
        let (hosts, _) = hosts(&[2, 5]);
        let scheduler = PowerOfTwo::new(&hosts);
        let _leases = [0, 1, 1].map(|index: usize| Lease::take(&hosts[index]).unwrap());
        // 1/2 against 2/5.
        assert!((0..100).all(|r| scheduler.pick(&hosts, &ask(r)) == Some(1)));
        let _lease = Lease::take(&hosts[1]).unwrap();
        // 1/2 against 3/5.
        assert!((0..100).all(|r| scheduler.pick(&hosts, &ask(r)) == Some(0)));
    }

    #[test]
    fn loads_stay_near_each_other_where_random_ones_would_not() {
        let (hosts, _) = hosts(&[1; 100]);
        let scheduler = PowerOfTwo::new(&hosts);
        let leases: Vec<_> = (0..10_000)
            .filter_map(|r| Lease::take(&hosts[scheduler.pick(&hosts, &ask(r))?]))
            .collect();
        assert_eq!(leases.len(), 10_000);
        let most = hosts.iter().map(|h| h.host.active()).max().unwrap();
        assert!(most <= 105, "{most}");
    }
}
