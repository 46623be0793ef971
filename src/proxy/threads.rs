//! Data threads: one event loop each, on which a program of its own runs sessions.
//! An embedder needs none of them: its sessions run on the runtime that it calls us from.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{access_log::AccessLog, event_loop::EventLoop, lane::Lane};

/// How often a data thread wakes for itself, and gives a sign of life.
pub const TICK: Duration = Duration::from_millis(250);

/// Threads that run sessions until dropped.
#[derive(Debug)]
pub struct DataThreads {
    lanes: Vec<Arc<Lane>>,
}

impl DataThreads {
    /// Starts `count` threads, called `data-0`, `data-1` and so on.
    ///
    /// # Errors
    /// When the system gives no thread or no poller.
    pub fn start(count: usize, access_log: bool) -> io::Result<Self> {
        let log = Arc::new(AccessLog::default());
        log.turn(access_log);
        let epoch = Instant::now();
        let mut threads = Self { lanes: Vec::new() };
        for index in 0..count {
            let event_loop = EventLoop::new(epoch)?;
            let lane = Lane::new(event_loop.handle(), epoch, Arc::clone(&log));
            threads.lanes.push(Arc::new(lane));
            thread::Builder::new()
                .name(format!("data-{index}"))
                .spawn(move || {
                    if let Err(error) = event_loop.run(TICK) {
                        tracing::error!(%error, "a data thread has ended");
                    }
                })?;
        }
        Ok(threads)
    }

    /// Where their sessions run.
    pub fn lanes(&self) -> Vec<Arc<Lane>> {
        self.lanes.clone()
    }
}

impl Drop for DataThreads {
    fn drop(&mut self) {
        self.lanes.iter().for_each(|lane| lane.event_loop().close());
    }
}
