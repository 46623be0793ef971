//! Random: any host, all alike.
//! It must not look at weights.

use super::{Ask, Scheduler, draw};
use crate::balance::host::Candidate;

#[derive(Debug)]
pub(super) struct Random;

impl Scheduler for Random {
    fn pick(&self, hosts: &[Candidate], ask: &Ask<'_>) -> Option<usize> {
        let mut chance = draw::Chance::new(ask);
        draw::draw(hosts, ask, None, || draw::below(chance.bits(), hosts.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn all_hosts_are_picked_alike_whatever_their_weight() {
        let (hosts, _) = hosts(&[1, 256, 1, 1]);
        let shares = shares(&Random, &hosts, 40_000);
        assert!(
            shares.iter().all(|s| s.abs_diff(10_000) < 400),
            "{shares:?}"
        );
    }

    #[test]
    fn the_share_of_an_excluded_host_is_spread_over_all_others() {
        let (hosts, _) = hosts(&[1; 5]);
        let excluded = [hosts[2].host.serial()];
        let mut shares = [0_u32; 5];
        for random in 0..40_000 {
            let ask = Ask {
                excluded: &excluded,
                ..ask(random)
            };
            shares[Random.pick(&hosts, &ask).unwrap()] += 1;
        }
        assert_eq!(shares[2], 0);
        assert!(
            shares.iter().all(|s| *s == 0 || s.abs_diff(10_000) < 400),
            "{shares:?}"
        );
    }
}
