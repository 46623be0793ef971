//! Round robin: one host after the other, all alike.
//! It must not look at weights, nor begin anew with a new view.

use std::sync::Arc;

use super::{Ask, Memory, Scheduler};
use crate::balance::host::Candidate;

#[derive(Debug)]
pub(super) struct RoundRobin(pub(super) Arc<Memory>);

impl Scheduler for RoundRobin {
    fn pick(&self, hosts: &[Candidate], ask: &Ask<'_>) -> Option<usize> {
        if hosts.is_empty() {
            return None;
        }
        let start = (self.0.tick() % hosts.len() as u64) as usize;
        ask.following(hosts, start, 0)
            .find(|index| !ask.excludes(&hosts[*index]))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn hosts_take_turns() {
        let (hosts, memory) = hosts(&[1, 9, 1]);
        assert_eq!(picks(&RoundRobin(memory), &hosts, 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn a_new_view_goes_on_where_the_old_one_was() {
        let (hosts, memory) = hosts(&[1, 1, 1]);
        assert_eq!(picks(&RoundRobin(Arc::clone(&memory)), &hosts, 2), [0, 1]);
        assert_eq!(picks(&RoundRobin(memory), &hosts, 2), [2, 0]);
    }
}
