//! A ranking: an order of hosts by load that is kept while their load changes.
//! It must not hold a host, only its load: the host points back here.
//!
//! A tournament tree: the hosts are the leaves, each inner node names the better of its two
//! children, and the root is the winner. A change of load walks from its leaf to the root.

use std::{
    cmp::Ordering,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use super::{
    host::{Candidate, Load},
    scheduler::{Ask, Memory},
};

/// What makes a host better than another. Full hosts come last in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Fewer sessions for its weight, counting the one to come; then the least recently used.
    Load,
    /// Standing earlier in the view.
    Place,
}

/// The order.
#[derive(Debug)]
pub struct Ranking {
    order: Order,
    memory: Arc<Memory>,
    /// The root of the tree, readable without its lock.
    winner: AtomicUsize,
    tree: Mutex<Tree>,
}

#[derive(Debug)]
struct Tree {
    leaves: Box<[Leaf]>,
    keys: Box<[Key]>,
    /// Slots; node `i` has the children `2i` and `2i + 1`, and slot `s` is the leaf `n + s`. The
    /// first is not used.
    nodes: Box<[u32]>,
}

#[derive(Debug)]
struct Leaf {
    load: Arc<Load>,
    weight: u16,
    max_sessions: u32,
}

/// What a host is compared by, as it was at the last refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    full: bool,
    weight: u16,
    active: u32,
    used: u64,
}

impl Ranking {
    /// The order of `hosts` as they are now. It is kept only once they have been told of it, by
    /// [`Ranking::attach`].
    pub(super) fn new(order: Order, hosts: &[Candidate], memory: &Arc<Memory>) -> Self {
        let leaves: Box<[Leaf]> = hosts
            .iter()
            .map(|candidate| Leaf {
                load: Arc::clone(candidate.host.load()),
                weight: candidate.weight,
                max_sessions: candidate.max_sessions,
            })
            .collect();
        let keys = leaves
            .iter()
            .map(|leaf| leaf.key(order, leaf.load.settled()))
            .collect();
        let n = hosts.len();
        let mut tree = Tree {
            leaves,
            keys,
            nodes: (0..2 * n).map(|i| i.saturating_sub(n) as u32).collect(),
        };
        for node in (1..n).rev() {
            tree.nodes[node] = tree.better(tree.nodes[2 * node], tree.nodes[2 * node + 1]);
        }
        Self {
            order,
            memory: Arc::clone(memory),
            winner: AtomicUsize::new(tree.winner()),
            tree: Mutex::new(tree),
        }
    }

    /// Makes `hosts`, for which this was built, tell it from now on when their load changes.
    ///
    /// Nothing is missed: a lease changes the load and then looks for a ranking to tell; this
    /// sets the ranking and then reads the load. Both touch the load with a read-modify-write, so
    /// one comes first: either this reads the changed load, or the lease finds this ranking.
    pub(super) fn attach(self: &Arc<Self>, hosts: &[Candidate]) {
        for (slot, candidate) in hosts.iter().enumerate() {
            candidate.host.rank_in(Some((Arc::downgrade(self), slot)));
            self.refresh(slot);
        }
    }

    /// The load of the host in `slot` has changed. It is read under the lock: of two that change
    /// it at once, the one that comes here last sees both changes.
    pub(super) fn refresh(&self, slot: usize) {
        let mut tree = self.lock();
        let Some(leaf) = tree.leaves.get(slot) else {
            return;
        };
        let active = leaf.load.settled();
        if self.order == Order::Load && active > tree.keys[slot].active {
            // Above zero, which stands for never.
            leaf.load.used.store(self.memory.tick() + 1, Relaxed);
        }
        let key = leaf.key(self.order, active);
        if key != tree.keys[slot] {
            tree.keys[slot] = key;
            tree.replay(slot);
            self.winner.store(tree.winner(), Relaxed);
        }
    }

    /// The best of `hosts` that is not excluded, and with a lock only where the best of all is
    /// excluded or full.
    pub(super) fn best(&self, hosts: &[Candidate], ask: &Ask<'_>) -> Option<usize> {
        let winner = self.winner.load(Relaxed);
        let candidate = hosts.get(winner)?;
        if !ask.excludes(candidate) && !candidate.is_full() {
            return Some(winner);
        }
        self.lock().best(1, &|slot| ask.excludes(&hosts[slot]))
    }

    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leaf {
    fn key(&self, order: Order, active: u32) -> Key {
        let full = active >= self.max_sessions;
        match order {
            Order::Load => Key {
                full,
                weight: self.weight,
                active,
                used: self.load.used.load(Relaxed),
            },
            // All that are not full are alike, so that their place decides.
            Order::Place => Key {
                full,
                weight: 1,
                active: 0,
                used: 0,
            },
        }
    }
}

impl Tree {
    fn winner(&self) -> usize {
        self.nodes.get(1).map_or(0, |slot| *slot as usize)
    }

    fn better(&self, left: u32, right: u32) -> u32 {
        let order = self.keys[left as usize]
            .cmp_load(&self.keys[right as usize])
            .then(left.cmp(&right));
        if order.is_le() { left } else { right }
    }

    /// Plays again the matches that `slot` takes part in.
    fn replay(&mut self, slot: usize) {
        let mut node = (self.keys.len() + slot) / 2;
        while node > 0 {
            let winner = self.better(self.nodes[2 * node], self.nodes[2 * node + 1]);
            // Another won here before and still does: further up, nothing can have changed.
            if winner == self.nodes[node] && winner as usize != slot {
                return;
            }
            self.nodes[node] = winner;
            node /= 2;
        }
    }

    /// The best slot below `node` that is not excluded. It looks only below nodes whose winner is
    /// excluded: logarithmic for each of those.
    fn best(&self, node: usize, excluded: &dyn Fn(usize) -> bool) -> Option<usize> {
        let winner = *self.nodes.get(node)? as usize;
        if !excluded(winner) {
            return Some(winner);
        }
        if node >= self.keys.len() {
            return None;
        }
        match (
            self.best(2 * node, excluded),
            self.best(2 * node + 1, excluded),
        ) {
            (Some(left), Some(right)) => Some(self.better(left as u32, right as u32) as usize),
            (left, right) => left.or(right),
        }
    }
}

impl Key {
    fn cmp_load(&self, other: &Self) -> Ordering {
        // (a + 1) / v < (b + 1) / w  ⇔  (a + 1) × w < (b + 1) × v, which is exact.
        let mine = (u64::from(self.active) + 1) * u64::from(other.weight);
        let others = (u64::from(other.active) + 1) * u64::from(self.weight);
        self.full
            .cmp(&other.full)
            .then(mine.cmp(&others))
            .then(self.used.cmp(&other.used))
    }
}
