//! Least latency: the lower of two drawn by weight, by connect time and load (peak EWMA).
//! It must not shun a host for ever that was slow once.

use super::{Ask, Scheduler, draw::Alias};
use crate::balance::host::Candidate;

/// What a connect to a host of which nothing is known is taken to last, in microseconds, while it
/// has sessions: the first one finds out, and a crowd does not follow it before it has.
const UNKNOWN: f64 = 1_000_000.0;

#[derive(Debug)]
pub(super) struct LeastLatency(Alias);

impl LeastLatency {
    pub(super) fn new(hosts: &[Candidate]) -> Self {
        Self(Alias::new(hosts))
    }
}

impl Scheduler for LeastLatency {
    fn pick(&self, hosts: &[Candidate], ask: &Ask<'_>) -> Option<usize> {
        let (first, second) = self.0.pair(hosts, ask)?;
        let Some(second) = second else {
            return Some(first);
        };
        let (one, other) = (&hosts[first], &hosts[second]);
        let second_wins = match (one.is_full(), other.is_full()) {
            (true, false) => true,
            (false, true) => false,
            (true, true) | (false, false) => cost(other, ask.now) < cost(one, ask.now),
        };
        Some(if second_wins { second } else { first })
    }
}

fn cost(candidate: &Candidate, now: u64) -> f64 {
    let active = f64::from(candidate.host.active());
    let latency = match candidate.host.latency.micros(now) {
        Some(micros) => micros,
        None if active == 0.0 => 0.0,
        None => UNKNOWN,
    };
    latency * (active + 1.0) / f64::from(candidate.weight)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::testing::*, *};
    use crate::balance::host::Lease;

    fn picked(hosts: &[Candidate], now: u64) -> usize {
        let scheduler = LeastLatency::new(hosts);
        let picked: std::collections::HashSet<_> = (0..50)
            .map(|random| {
                let ask = Ask { now, ..ask(random) };
                scheduler.pick(hosts, &ask).unwrap()
            })
            .collect();
        assert_eq!(picked.len(), 1, "either of two is picked");
        picked.into_iter().next().unwrap()
    }

    fn connect(candidate: &Candidate, millis: u64) -> Lease {
        let lease = Lease::take(candidate).unwrap();
        lease.connected(Duration::from_millis(millis), 0);
        lease
    }

    #[test]
    fn connect_time_load_and_weight_all_count() {
        let (mut hosts, _) = hosts(&[1, 1]);
        drop((connect(&hosts[0], 10), connect(&hosts[1], 25)));
        assert_eq!(picked(&hosts, 0), 0);
        let _leases = [connect(&hosts[0], 10), connect(&hosts[0], 10)];
        assert_eq!(picked(&hosts, 0), 1);
        hosts[0].weight = 2;
        assert_eq!(picked(&hosts, 0), 0);
    }

    #[test]
    fn a_host_of_which_nothing_is_known_gets_one_session_until_it_has_connected() {
        let (hosts, _) = hosts(&[1, 1]);
        drop(connect(&hosts[0], 10));
        assert_eq!(picked(&hosts, 0), 1);
        let connecting = Lease::take(&hosts[1]).unwrap();
        assert_eq!(picked(&hosts, 0), 0);
        connecting.connected(Duration::from_millis(2), 0);
        assert_eq!(picked(&hosts, 0), 1);
    }

    #[test]
    fn a_host_that_was_slow_or_failed_is_tried_again_later() {
        let (hosts, _) = hosts(&[1, 1]);
        Lease::take(&hosts[1]).unwrap().failed(Duration::ZERO, 0);
        let busy = connect(&hosts[0], 100);
        assert_eq!(picked(&hosts, 0), 0);
        busy.connected(Duration::from_millis(100), 60_000);
        assert_eq!(picked(&hosts, 60_000), 1);
    }
}
