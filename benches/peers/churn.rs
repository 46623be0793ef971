//! Connections at a fixed rate, whether or not earlier ones are done: an open loop.
//! It must not wait for a contestant that is slow; that wait is part of the latency.

use crate::{
    client::{self, Session},
    contestant::pause,
};
use std::{
    net::SocketAddr,
    sync::atomic::Ordering::Relaxed,
    thread,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// How often connections are started.
const BEAT: Duration = Duration::from_millis(1);
/// So many may be open at once for each thread; what would come on top of that has failed.
const MOST: usize = 2_000;

/// Starts `rate` connections a second until `stop`. The latency of each is counted from the
/// moment at which it was due, so that a pause of ours or of the contestant's does not hide what
/// would have come meanwhile (coordinated omission).
pub(crate) async fn run(
    rate: f64,
    to: SocketAddr,
    counting: client::Counting,
    stop: CancellationToken,
) {
    let mut beats = beats(rate, stop.clone());
    let mut open = JoinSet::new();
    while let Some((due, count)) = beats.recv().await {
        while open.try_join_next().is_some() {}
        for _ in 0..count {
            if open.len() >= MOST {
                counting.tally.failed.fetch_add(1, Relaxed);
                continue;
            }
            let counting = counting.clone();
            open.spawn(async move {
                let session = Session {
                    to,
                    counting: &counting,
                };
                if session.once(due).await.is_err() {
                    counting.tally.failed.fetch_add(1, Relaxed);
                }
            });
        }
    }
    open.shutdown().await;
}

/// When connections are due, and how many. A thread of its own keeps the time: a runtime's timers
/// are good for milliseconds only.
fn beats(rate: f64, stop: CancellationToken) -> mpsc::Receiver<(Instant, usize)> {
    let (sender, receiver) = mpsc::channel(1_000);
    thread::spawn(move || {
        let (mut due, mut owed) = (Instant::now(), 0.0);
        while !stop.is_cancelled() {
            due += BEAT;
            pause(due.saturating_duration_since(Instant::now()));
            owed += rate * BEAT.as_secs_f64();
            let count = owed as usize;
            owed -= count as f64;
            // One that is a second behind has nothing more to show.
            if count > 0 && sender.try_send((due, count)).is_err() {
                return;
            }
        }
    });
    receiver
}
