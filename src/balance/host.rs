//! A host as it runs: its counters and the leases on it, which outlive every view that shows it.
//! It must not know how to reach a host, nor who decides about it.

use std::{
    sync::{
        Arc, Weak,
        atomic::{
            AtomicU32, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;

use super::{
    closing::Closing,
    counters::{HostCounters, take_slot},
    portion::Portion,
    ranking::Ranking,
    reach::Reach,
    scheduler::{Latency, Memory},
    shedding::Shedding,
};
use crate::model::{address::HostAddress, name::HostPath};

/// No limit on sessions.
pub const UNLIMITED: u32 = u32::MAX;

static NEXT_SERIAL: AtomicU64 = AtomicU64::new(1);

/// A host as it runs. One value for as long as its path and address stay the same.
#[derive(Debug)]
pub struct Host {
    path: HostPath,
    reach: Reach,
    serial: u64,
    memory: Arc<Memory>,
    load: Arc<Load>,
    closing: Closing,
    shedding: Shedding,
    ranking: ArcSwapOption<(Weak<Ranking>, usize)>,
    /// When weighted round robin is to pick it next; see there.
    pub(super) position: AtomicU64,
    /// How long connects have taken lately.
    pub(super) latency: Latency,
    /// What is counted of it.
    pub counters: HostCounters,
}

/// What changes of a host with every session. A value of its own, so that a ranking can hold it
/// without holding the host, which may point to the ranking.
#[derive(Debug, Default)]
pub(super) struct Load {
    active: AtomicU32,
    /// When a ranking last saw a session added, on the ticks of the group's [`Memory`].
    pub(super) used: AtomicU64,
}

impl Load {
    /// Sessions that hold a lease now. A write that adds nothing, not a load: whoever changes the
    /// number after it has been read here then also sees what was written before the reading.
    pub(super) fn settled(&self) -> u32 {
        self.active.fetch_add(0, AcqRel)
    }
}

/// A host as a scheduler sees it: one that may take sessions.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The host.
    pub host: Arc<Host>,
    /// Its share of new sessions: 1 to 256.
    pub weight: u16,
    /// Sessions at a time, [`UNLIMITED`] for no limit.
    pub max_sessions: u32,
    /// How much it takes of what a scheduler would give it; `None` for all.
    pub portion: Option<Arc<Portion>>,
}

impl Host {
    /// A host without sessions, in the group that `memory` belongs to.
    pub fn new(path: HostPath, address: HostAddress, memory: Arc<Memory>) -> Self {
        Self {
            path,
            reach: Reach::new(address),
            serial: NEXT_SERIAL.fetch_add(1, Relaxed),
            memory,
            load: Arc::default(),
            closing: Closing::default(),
            shedding: Shedding::default(),
            ranking: ArcSwapOption::empty(),
            position: AtomicU64::new(0),
            latency: Latency::default(),
            counters: HostCounters::default(),
        }
    }

    /// Its name everywhere.
    pub fn path(&self) -> &HostPath {
        &self.path
    }

    /// Where it is reached.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// A number that no other host of this process has or had.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Sessions that hold a lease on it now: those connecting to it are counted too.
    pub fn active(&self) -> u32 {
        self.load.active.load(Acquire)
    }

    pub(super) fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// Asks the sessions on it that started at `moment` or before to end; see [`Closing`].
    pub fn close_sessions(&self, moment: u64) {
        self.closing.ask(moment);
    }

    /// Whether a session on it that started at `started` was asked to end.
    pub fn is_closing(&self, started: u64) -> bool {
        self.closing.is_asked(started)
    }

    /// Which of its sessions are to end so that they come back elsewhere; see [`Shedding`].
    pub fn shedding(&self) -> &Shedding {
        &self.shedding
    }

    /// Makes `ranking` the one that is told when this host's load changes; it stands there at
    /// place `slot`. `None`: nobody needs to be told. A weak reference, because a host may outlive
    /// the view that the ranking belongs to.
    pub(super) fn rank_in(&self, ranking: Option<(Weak<Ranking>, usize)>) {
        self.ranking.store(ranking.map(Arc::new));
    }

    fn load_changed(&self) {
        if let Some((ranking, slot)) = self.ranking.load().as_deref()
            && let Some(ranking) = ranking.upgrade()
        {
            ranking.refresh(*slot);
        }
    }
}

impl Candidate {
    /// Whether it has as many sessions as it may.
    pub fn is_full(&self) -> bool {
        self.host.active() >= self.max_sessions
    }
}

/// A place on a host: counted from the pick, so that connects in progress are load, until dropped.
#[derive(Debug)]
pub struct Lease {
    host: Arc<Host>,
}

impl Lease {
    /// Takes a place on the host, unless it is full.
    pub fn take(candidate: &Candidate) -> Option<Self> {
        let host = &candidate.host;
        if !take_slot(&host.load.active, candidate.max_sessions) {
            host.counters.full.increment();
            return None;
        }
        host.memory.session_added();
        host.load_changed();
        Some(Self {
            host: Arc::clone(host),
        })
    }

    /// The host.
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Counts the connection as standing after `took`, at `now` (milliseconds on the clock of
    /// [`super::scheduler::Ask`]).
    pub fn connected(&self, took: Duration, now: u64) {
        self.host.counters.total.increment();
        self.host.counters.connect_time.record(took);
        self.host.latency.observe(took, now);
    }

    /// Counts the connection as failed after `took`, at `now`. A host that fails fast must not
    /// look like a fast host, so the failure counts as a slow connect.
    pub fn failed(&self, took: Duration, now: u64) {
        self.host.counters.connect_failures.increment();
        self.host
            .latency
            .observe(took.max(Duration::from_secs(1)), now);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.host.load.active.fetch_sub(1, AcqRel);
        self.host.memory.session_removed();
        self.host.load_changed();
    }
}
