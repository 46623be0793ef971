//! Weighted random: any host, in proportion to weight.
//! It must not take longer for some weights than for others.

use super::{
    Ask, Scheduler,
    draw::{Alias, Chance},
};
use crate::balance::host::Candidate;

#[derive(Debug)]
pub(super) struct WeightedRandom(Alias);

impl WeightedRandom {
    pub(super) fn new(hosts: &[Candidate]) -> Self {
        Self(Alias::new(hosts))
    }
}

impl Scheduler for WeightedRandom {
    fn pick(&self, hosts: &[Candidate], ask: &Ask<'_>) -> Option<usize> {
        self.0.draw(hosts, ask, None, &mut Chance::new(ask))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn shares_follow_weights() {
        let (hosts, _) = hosts(&[1, 3, 4, 256]);
        let shares = shares(&WeightedRandom::new(&hosts), &hosts, 264_000);
        for (share, expected) in shares.iter().zip([1000, 3000, 4000, 256_000]) {
            assert!(share.abs_diff(expected) < 250, "{shares:?}");
        }
    }
}
