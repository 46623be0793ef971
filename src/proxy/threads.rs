//! Data threads: one current-thread runtime each, on which a program of its own runs sessions.
//! An embedder needs none of them: its sessions run where it calls us from.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{access_log::AccessLog, lane::Lane};

/// How often a data thread wakes for itself, and gives a sign of life.
pub const TICK: Duration = Duration::from_millis(250);

/// Threads that run sessions until dropped.
#[derive(Debug)]
pub struct DataThreads {
    lanes: Vec<Arc<Lane>>,
    stop: CancellationToken,
}

impl DataThreads {
    /// Starts `count` threads, called `data-0`, `data-1` and so on.
    ///
    /// # Errors
    /// When the system gives no thread or no poller.
    pub fn start(count: usize, access_log: bool) -> io::Result<Self> {
        let log = Arc::new(AccessLog::default());
        log.turn(access_log);
        let stop = CancellationToken::new();
        let epoch = Instant::now();
        let mut lanes = Vec::with_capacity(count);
        for index in 0..count {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let lane = Arc::new(Lane::new(runtime.handle().clone(), epoch, Arc::clone(&log)));
            lanes.push(Arc::clone(&lane));
            let stop = stop.clone();
            thread::Builder::new()
                .name(format!("data-{index}"))
                .spawn(move || runtime.block_on(tick_until(stop.cancelled_owned(), &lane)))?;
        }
        Ok(Self { lanes, stop })
    }

    /// Where their sessions run.
    pub fn lanes(&self) -> Vec<Arc<Lane>> {
        self.lanes.clone()
    }
}

/// Ticks until `stop`. A timer that would be the first to go off wakes the runtime, which costs a
/// system call: with a tick before any of theirs, sessions never set that one.
async fn tick_until(stop: impl Future<Output = ()>, lane: &Lane) {
    let mut ticks = tokio::time::interval(TICK);
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => lane.beat(),
        }
    }
}

impl Drop for DataThreads {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
