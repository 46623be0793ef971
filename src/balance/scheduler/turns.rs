//! The order in which hosts take turns by weight: earliest deadline first.
//! It must not know what the turns are for.
//!
//! Time runs in cycles. In each, a host of weight w has w turns, evenly spread: turn k is due at
//! (2k + 1) / 2w of the cycle. So a cycle has as many turns as the weights add up to, each host
//! has exactly its share of them, and nothing is carried over that could drift.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
};

/// Moments are whole cycles and, in the lower bits, a part of a cycle. Two different deadlines of
/// weights up to 256 lie at least 1 / (2 × 256 × 256) apart, so with 17 bits rounding down keeps
/// them different and in order, and makes only equal ones equal: the order is exact. The 47 bits
/// of cycles last for four years at a million cycles a second.
const PART_BITS: u32 = 17;

/// A host's next turn. In order of the deadline, then of the index.
type Turn = Reverse<(u64, u32, u16)>;

/// The next turn of each host.
#[derive(Debug)]
pub(super) struct Turns(BinaryHeap<Turn>);

/// A turn that was taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) index: usize,
    /// When it was due.
    pub(super) deadline: u64,
    /// When the next turn of the same host is due.
    pub(super) next: u64,
}

impl Turns {
    /// Hosts by `(deadline, weight)`, in the order of their indices.
    pub(super) fn new(hosts: impl Iterator<Item = (u64, u16)>) -> Self {
        let turns: Vec<Turn> = hosts
            .zip(0..)
            .map(|((deadline, weight), index)| Reverse((deadline, index, weight.max(1))))
            .collect();
        Self(turns.into())
    }

    /// The hosts, in no order, with the deadlines of their next turns.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = (usize, u64)> {
        let turns = self.0.iter();
        turns.map(|Reverse((deadline, index, _))| (*index as usize, *deadline))
    }

    /// Takes the first turn of a host that is not to be skipped. Those that are keep their turn.
    /// `taking` is called before the order is mended, so that what it writes to memory that is
    /// far away is under way meanwhile.
    pub(super) fn take(
        &mut self,
        skip: impl Fn(usize) -> bool,
        taking: impl FnOnce(Taken),
    ) -> Option<Taken> {
        let mut skipped = Vec::new();
        let taken = loop {
            let Some(mut top) = self.0.peek_mut() else {
                break None;
            };
            let Reverse((deadline, index, weight)) = *top;
            if skip(index as usize) {
                skipped.push(PeekMut::pop(top));
                continue;
            }
            let next = first_after(deadline, weight);
            let taken = Taken {
                index: index as usize,
                deadline,
                next,
            };
            taking(taken);
            *top = Reverse((next, index, weight));
            break Some(taken);
        };
        for turn in skipped {
            self.0.push(turn);
        }
        taken
    }
}

/// The first deadline of a host of `weight` after the moment `time`.
pub(super) fn first_after(time: u64, weight: u16) -> u64 {
    let (cycle, turn) = turn_at(time, weight);
    match deadline(cycle, turn, weight) {
        due if due > time => due,
        _ if turn + 1 < u64::from(weight) => deadline(cycle, turn + 1, weight),
        _ => deadline(cycle + 1, 0, weight),
    }
}

/// Whether a turn of a host of `weight` can be due at just that moment.
pub(super) fn is_deadline(time: u64, weight: u16) -> bool {
    let (cycle, turn) = turn_at(time, weight);
    deadline(cycle, turn, weight) == time
}

/// The turn whose share of a cycle `time` lies in: that is from k / w to (k + 1) / w.
fn turn_at(time: u64, weight: u16) -> (u64, u64) {
    let part = time & ((1 << PART_BITS) - 1);
    (time >> PART_BITS, (part * u64::from(weight)) >> PART_BITS)
}

fn deadline(cycle: u64, turn: u64, weight: u16) -> u64 {
    let part = ((2 * turn + 1) << (PART_BITS - 1)) / u64::from(weight);
    (cycle << PART_BITS) | part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_in_the_order_of_the_exact_fractions() {
        let mut all: Vec<(u64, u64, u64)> = (1..=256_u64)
            .flat_map(|w| (0..w).map(move |k| (deadline(0, k, w as u16), 2 * k + 1, w)))
            .collect();
        all.sort_unstable();
        for pair in all.windows(2) {
            let ((due, above, below), (next_due, next_above, next_below)) = (pair[0], pair[1]);
            let exact = (above * next_below).cmp(&(next_above * below));
            assert_eq!(exact, due.cmp(&next_due), "{pair:?}");
        }
    }

    #[test]
    fn each_deadline_follows_the_one_before() {
        for weight in 1..=256_u16 {
            let mut time = 0;
            for cycle in 0..3 {
                for turn in 0..u64::from(weight) {
                    time = first_after(time, weight);
                    assert_eq!(time, deadline(cycle, turn, weight));
                    assert!(is_deadline(time, weight) && !is_deadline(time + 1, weight));
                }
            }
        }
    }
}
