//! Draws hosts by chance: all alike, or by weight in constant time.
//! It must not look at their load.

use super::Ask;
use crate::balance::host::Candidate;

/// How often a draw is repeated because it was an excluded host, before the next one is taken.
const DRAWS: usize = 4;

/// Random bits without end, from the 64 of an ask (SplitMix64).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(ask: &Ask<'_>) -> Self {
        Self(ask.random)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A number below `n`, from the upper bits of `bits`.
pub(super) fn below(bits: u64, n: usize) -> usize {
    ((u128::from(bits) * n as u128) >> 64) as usize
}

/// Draws with `draw` until it is a host that is neither excluded nor `but`. After a few draws in
/// vain the next such host in order is taken, so that this ends whatever the weights are.
pub(super) fn draw(
    hosts: &[Candidate],
    ask: &Ask<'_>,
    but: Option<usize>,
    mut draw: impl FnMut() -> usize,
) -> Option<usize> {
    let allowed = |index: usize| Some(index) != but && !ask.excludes(&hosts[index]);
    if hosts.is_empty() {
        return None;
    }
    let mut drawn = 0;
    for _ in 0..DRAWS {
        drawn = draw();
        if allowed(drawn) {
            return Some(drawn);
        }
    }
    ask.following(hosts, drawn, but.is_some() as usize)
        .find(|index| allowed(*index))
}

/// A table that draws by weight in constant time (Vose's alias method).
#[derive(Debug)]
pub(super) struct Alias(Box<[Column]>);

/// Two hosts that share a column: the one whose index it is, and another.
#[derive(Clone, Copy, Debug)]
struct Column {
    /// Out of 2³² draws of this column, so many are its own.
    own: u32,
    other: u32,
}

impl Alias {
    pub(super) fn new(hosts: &[Candidate]) -> Self {
        let n = hosts.len() as u64;
        let total: u64 = hosts.iter().map(|host| u64::from(host.weight)).sum();
        // What each host still has to place, where a column holds `total`: exact, in integers.
        let mut left: Vec<u64> = hosts.iter().map(|h| u64::from(h.weight) * n).collect();
        let mut columns: Box<[Column]> = (0..hosts.len() as u32)
            .map(|other| Column { own: 0, other })
            .collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..hosts.len()).partition(|index| left[*index] < total);
        while let (Some(poor), Some(rich)) = (small.pop(), large.pop()) {
            columns[poor] = Column {
                own: ((u128::from(left[poor]) << 32) / u128::from(total)) as u32,
                other: rich as u32,
            };
            left[rich] -= total - left[poor];
            if left[rich] < total {
                small.push(rich);
            } else {
                large.push(rich);
            }
        }
        // What is left over fills its column, and `other` is still itself.
        Self(columns)
    }

    /// A host by weight that is neither excluded nor `but`.
    pub(super) fn draw(
        &self,
        hosts: &[Candidate],
        ask: &Ask<'_>,
        but: Option<usize>,
        chance: &mut Chance,
    ) -> Option<usize> {
        draw(hosts, ask, but, || self.column(chance.bits()))
    }

    fn column(&self, bits: u64) -> usize {
        let index = below(bits, self.0.len());
        let column = self.0[index];
        if (bits as u32) < column.own {
            index
        } else {
            column.other as usize
        }
    }

    /// Two different hosts by weight; only one where all others are excluded.
    pub(super) fn pair(
        &self,
        hosts: &[Candidate],
        ask: &Ask<'_>,
    ) -> Option<(usize, Option<usize>)> {
        let mut chance = Chance::new(ask);
        let first = self.draw(hosts, ask, None, &mut chance)?;
        Some((first, self.draw(hosts, ask, Some(first), &mut chance)))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn the_columns_of_an_alias_table_add_up_to_the_weights() {
        for weights in [
            vec![1],
            vec![1, 3, 4],
            vec![256, 1, 1, 1, 256],
            vec![7; 100],
        ] {
            let (hosts, _) = hosts(&weights);
            let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
            let alias = Alias::new(&hosts);
            let mut shares = vec![0_u64; weights.len()];
            for (index, column) in alias.0.iter().enumerate() {
                shares[index] += u64::from(column.own);
                shares[column.other as usize] += (1 << 32) - u64::from(column.own);
            }
            for (share, weight) in shares.iter().zip(&weights) {
                let exact = (u64::from(*weight) * weights.len() as u64) << 32;
                // Each column is rounded by less than one.
                assert!((share * total).abs_diff(exact) <= total * weights.len() as u64);
            }
        }
    }

    #[test]
    fn a_pair_is_of_two_different_hosts() {
        let (hosts, _) = hosts(&[256, 1]);
        let alias = Alias::new(&hosts);
        for random in 0..1000 {
            let (first, second) = alias.pair(&hosts, &ask(random)).unwrap();
            assert_eq!(first + second.unwrap(), 1);
        }
    }
}
