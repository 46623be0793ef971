//! Schedulers: which of the hosts that may take a session takes this one.
//! They must not know why a host is or is not among them, nor hold one back.
//!
//! To add one: a kind in [`crate::model::topology::Scheduler`], an arm in [`build`], a file here.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::host::Candidate;
use crate::model::topology::{Scheduler as Kind, Sticky as StickyOptions};

mod draw;
mod first_available;
mod latency;
mod least_connections;
mod least_latency;
mod power_of_two;
mod random;
mod round_robin;
mod source_hash;
mod sticky;
mod turns;
mod weighted_random;
mod weighted_round_robin;

pub use latency::Latency;

/// An algorithm, built for the hosts of one view.
pub trait Scheduler: Send + Sync + fmt::Debug {
    /// The index in `hosts` of the one that takes this session: always one that is not excluded,
    /// and `None` only when all are. `hosts` are those that it was built for, in the same order.
    ///
    /// It may pick one that is full; it is then asked again with that one excluded. It takes
    /// constant or logarithmic time in the number of hosts (and linear in that of excluded ones).
    fn pick(&self, hosts: &[Candidate], ask: &Ask<'_>) -> Option<usize>;

    /// Called once, after the view that it was built for has become visible: whatever it derived
    /// from live counters at its building may have changed meanwhile.
    fn settle(&self, hosts: &[Candidate]) {
        for candidate in hosts {
            candidate.host.rank_in(None);
        }
    }
}

/// What a pick may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Who is calling.
    pub client: IpAddr,
    /// Milliseconds on a clock that never goes back.
    pub now: u64,
    /// 64 random bits.
    pub random: u64,
    /// Serials of hosts not to be picked: tried in vain, or full. Few.
    pub excluded: &'a [u64],
}

impl Ask<'_> {
    pub(super) fn excludes(&self, candidate: &Candidate) -> bool {
        !self.excluded.is_empty() && self.excluded.contains(&candidate.host.serial())
    }

    /// The indices of `hosts` from `start` on and round: as many as it takes to come past all
    /// excluded hosts and `more`.
    fn following(
        &self,
        hosts: &[Candidate],
        start: usize,
        more: usize,
    ) -> impl Iterator<Item = usize> + use<> {
        let n = hosts.len();
        let steps = (self.excluded.len() + more + 1).min(n);
        (start..start + steps).map(move |index| if index < n { index } else { index - n })
    }
}

/// What a group remembers from view to view.
#[derive(Debug, Default)]
pub struct Memory {
    sessions: AtomicU64,
    /// Whose turn it is. What the number means is up to the scheduler, which takes any number
    /// that another has left; it only grows.
    turn: AtomicU64,
    sticky: sticky::Remembered,
}

impl Memory {
    /// Sessions that hold a lease on any host of the group.
    pub fn sessions(&self) -> u64 {
        self.sessions.load(Relaxed)
    }

    pub(super) fn session_added(&self) {
        self.sessions.fetch_add(1, Relaxed);
    }

    pub(super) fn session_removed(&self) {
        self.sessions.fetch_sub(1, Relaxed);
    }

    /// The turn, and the next one is the turn from now on.
    pub(super) fn tick(&self) -> u64 {
        self.turn.fetch_add(1, Relaxed)
    }
}

/// The scheduler of `kind`, for a view of `hosts` of the group that `memory` belongs to.
pub fn build(
    kind: Kind,
    sticky: Option<StickyOptions>,
    hosts: &[Candidate],
    memory: &Arc<Memory>,
) -> Box<dyn Scheduler> {
    let scheduler: Box<dyn Scheduler> = match kind {
        Kind::Random => Box::new(random::Random),
        Kind::RoundRobin => Box::new(round_robin::RoundRobin(Arc::clone(memory))),
        Kind::WeightedRoundRobin => {
            Box::new(weighted_round_robin::WeightedRoundRobin::new(hosts, memory))
        }
        Kind::WeightedRandom => Box::new(weighted_random::WeightedRandom::new(hosts)),
        Kind::LeastConnections => Box::new(least_connections::LeastConnections::new(hosts, memory)),
        Kind::PowerOfTwo => Box::new(power_of_two::PowerOfTwo::new(hosts)),
        Kind::LeastLatency => Box::new(least_latency::LeastLatency::new(hosts)),
        Kind::SourceHash { load_factor } => {
            Box::new(source_hash::SourceHash::new(load_factor, hosts, memory))
        }
        Kind::FirstAvailable => Box::new(first_available::FirstAvailable::new(hosts, memory)),
    };
    match sticky {
        Some(options) => Box::new(sticky::Sticky::new(options, scheduler, hosts, memory)),
        None => scheduler,
    }
}

/// The loads of two hosts for their weights, as numbers that compare just as those do: a / v and
/// b / w as a × w and b × v.
fn loads(one: &Candidate, other: &Candidate) -> (u64, u64) {
    (
        u64::from(one.host.active()) * u64::from(other.weight),
        u64::from(other.host.active()) * u64::from(one.weight),
    )
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
