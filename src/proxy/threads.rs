//! Data threads: one current-thread runtime each, on which a program of its own runs sessions.
//! An embedder needs none of them: its sessions run where it calls us from.

use std::{io, sync::Arc, thread, time::Instant};

use tokio_util::sync::CancellationToken;

use super::lane::Lane;

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
        let stop = CancellationToken::new();
        let epoch = Instant::now();
        let mut lanes = Vec::with_capacity(count);
        for index in 0..count {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            lanes.push(Arc::new(Lane::new(
                runtime.handle().clone(),
                epoch,
                access_log,
            )));
            let stop = stop.clone();
            thread::Builder::new()
                .name(format!("data-{index}"))
                .spawn(move || runtime.block_on(stop.cancelled_owned()))?;
        }
        Ok(Self { lanes, stop })
    }

    /// Where their sessions run.
    pub fn lanes(&self) -> Vec<Arc<Lane>> {
        self.lanes.clone()
    }
}

impl Drop for DataThreads {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
