//! What the sessions of one data thread share: the clock and the bell that calls them.
//! It must not hold anything of a single session.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::Notify};

use super::access_log::AccessLog;

/// A place where sessions run: a thread of the program's own, or the runtime of an embedder.
#[derive(Debug)]
pub struct Lane {
    runtime: Handle,
    epoch: Instant,
    bell: Notify,
    rings: AtomicU64,
    access_log: Arc<AccessLog>,
    beats: AtomicU64,
}

impl Lane {
    /// A lane whose sessions run on `runtime`, with a clock that counts from `epoch`. All lanes of
    /// a balancer have one epoch, and one `access_log`.
    pub fn new(runtime: Handle, epoch: Instant, access_log: Arc<AccessLog>) -> Self {
        Self {
            runtime,
            epoch,
            bell: Notify::new(),
            rings: AtomicU64::new(0),
            access_log,
            beats: AtomicU64::new(0),
        }
    }

    /// Where its sessions run.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// `moment` in milliseconds on the clock of the schedulers.
    pub fn millis(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.epoch).as_millis() as u64
    }

    /// `moment` in nanoseconds on the same clock.
    pub fn nanos(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.epoch).as_nanos() as u64
    }

    /// How long this clock has run.
    pub fn uptime(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Has every session look whether it was asked to end.
    pub fn ring(&self) {
        self.rings.fetch_add(1, SeqCst);
        self.bell.notify_waiters();
    }

    /// How often the bell has rung: whoever sees a new number has a ring to answer.
    pub(super) fn rings(&self) -> u64 {
        self.rings.load(SeqCst)
    }

    pub(super) fn bell(&self) -> &Notify {
        &self.bell
    }

    /// A sign of life of the thread that this lane is.
    pub(super) fn beat(&self) {
        self.beats.fetch_add(1, Relaxed);
    }

    /// Signs of life of its thread so far: one every [`TICK`](super::threads::TICK). The runtime
    /// of an embedder gives none.
    pub fn beats(&self) -> u64 {
        self.beats.load(Relaxed)
    }

    /// Where its sessions leave a line when they end.
    pub fn access_log(&self) -> &AccessLog {
        &self.access_log
    }
}
