//! What the sessions of one event loop share: the loop, its clock and the bell that calls them.
//! It must not hold anything of a single session.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::runtime::Handle as Runtime;

use super::{
    access_log::AccessLog,
    event_loop::{EventLoop, Handle, embedded},
};

/// A place where sessions run: a thread of the program's own, or a task of an embedder's runtime.
#[derive(Debug)]
pub struct Lane {
    event_loop: Handle,
    epoch: Instant,
    rings: AtomicU64,
    access_log: Arc<AccessLog>,
}

impl Lane {
    /// A lane whose sessions run on `event_loop`, with a clock that counts from `epoch`, which is
    /// that of the loop. All lanes of a balancer have one epoch, and one `access_log`.
    pub fn new(event_loop: Handle, epoch: Instant, access_log: Arc<AccessLog>) -> Self {
        Self {
            event_loop,
            epoch,
            rings: AtomicU64::new(0),
            access_log,
        }
    }

    /// As many lanes as `runtime` has threads, each a task of it, until [`Self::retire`].
    ///
    /// # Errors
    /// When there are no descriptors for them.
    pub fn on_runtime(runtime: &Runtime) -> io::Result<Vec<Arc<Self>>> {
        let (epoch, log) = (Instant::now(), Arc::default());
        let mut lanes: Vec<Arc<Self>> = Vec::new();
        for _ in 0..runtime.metrics().num_workers() {
            let started = EventLoop::new(epoch).and_then(|event_loop| {
                let lane = Self::new(event_loop.handle(), epoch, Arc::clone(&log));
                embedded::start(event_loop, runtime).map(|()| Arc::new(lane))
            });
            match started {
                Ok(lane) => lanes.push(lane),
                Err(error) => {
                    lanes.iter().for_each(|lane| lane.retire());
                    return Err(error);
                }
            }
        }
        Ok(lanes)
    }

    /// Where its sessions run.
    pub fn event_loop(&self) -> &Handle {
        &self.event_loop
    }

    /// Lets a lane of a runtime end with the last of its sessions.
    pub fn retire(&self) {
        self.event_loop.retire();
    }

    /// When it last woke, in milliseconds on the clock of the schedulers.
    pub(super) fn now(&self) -> u64 {
        self.event_loop.now()
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
        self.event_loop.wake_all();
    }

    /// How often the bell has rung: whoever sees a new number has a ring to answer.
    pub(super) fn rings(&self) -> u64 {
        self.rings.load(SeqCst)
    }

    /// Signs of life of its thread so far: one every [`TICK`](super::threads::TICK) at least. The
    /// runtime of an embedder gives none while there is nothing to do.
    pub fn beats(&self) -> u64 {
        self.event_loop.turns()
    }

    /// Where its sessions leave a line when they end.
    pub fn access_log(&self) -> &AccessLog {
        &self.access_log
    }
}
