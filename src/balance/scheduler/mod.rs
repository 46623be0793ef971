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

mod latency;
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
    fn excludes(&self, candidate: &Candidate) -> bool {
        !self.excluded.is_empty() && self.excluded.contains(&candidate.host.serial())
    }
}

/// What a group remembers from view to view.
#[derive(Debug, Default)]
pub struct Memory {
    sessions: AtomicU64,
    /// Whose turn it is; what the number means is up to the scheduler.
    turn: AtomicU64,
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
}

/// The scheduler of `kind`, for a view of `hosts` of the group that `memory` belongs to.
pub fn build(
    _kind: Kind,
    _sticky: Option<StickyOptions>,
    _hosts: &[Candidate],
    memory: &Arc<Memory>,
) -> Box<dyn Scheduler> {
    Box::new(First(Arc::clone(memory)))
}

#[derive(Debug)]
struct First(Arc<Memory>);

impl Scheduler for First {
    fn pick(&self, hosts: &[Candidate], ask: &Ask<'_>) -> Option<usize> {
        let n = hosts.len();
        let turn = self.0.turn.fetch_add(1, Relaxed) as usize;
        (0..n)
            .map(|i| (turn + i) % n)
            .find(|i| !ask.excludes(&hosts[*i]))
    }
}
