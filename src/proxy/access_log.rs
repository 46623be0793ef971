//! The access log: sessions leave their lines here, and a thread of its own writes them.
//! It must not have a session wait, nor let those who are refused fill a disk.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{ending::Ending, limiter::Limiter, peer::Peer};
use crate::{
    balance::{Host, counters::Counter},
    model::{address::HostAddress, name::Name},
};

/// Lines that may wait to be written; more are lost, and counted.
const WAITING: usize = 16_384;
/// Lines about connections that were refused, in a second. More are counted up in one line.
const REFUSED: u32 = 100;
const SECOND: Duration = Duration::from_secs(1);
/// How long lines gather before they are written, so that each need not wake a thread.
const GATHER: Duration = Duration::from_millis(10);
/// How often a flush looks whether there is room for it in the queue.
const AGAIN: Duration = Duration::from_millis(5);

/// Where sessions leave their lines. One for all lanes of a balancer.
#[derive(Debug, Default)]
pub struct AccessLog {
    on: AtomicBool,
    queue: OnceLock<SyncSender<Line>>,
    lost: Counter,
}

/// What is left to be written.
#[derive(Debug)]
pub(super) enum Line {
    /// A session has ended.
    Ended(Box<Ended>),
    /// A connection was not served.
    Refused(Box<Refused>),
    /// Somebody waits until all before it is written.
    Flush(oneshot::Sender<()>),
}

/// A session that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) client: Peer,
    pub(super) peer: Peer,
    pub(super) host: Arc<Host>,
    /// Where, of the addresses that the host's name leads to.
    pub(super) at: Option<SocketAddr>,
    /// Bytes to the host and to the client.
    pub(super) bytes: (u64, u64),
    pub(super) connect_time: Duration,
    pub(super) session_time: Duration,
    pub(super) ending: Ending,
}

/// A connection that was not served.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) client: Peer,
    pub(super) peer: Peer,
    pub(super) service: Name,
    pub(super) session_time: Duration,
    pub(super) why: String,
}

impl AccessLog {
    /// Whether sessions leave lines, from now on. The thread that writes them starts with the
    /// first time that they do; where the system gives none, the log says so and they do not.
    pub fn turn(&self, on: bool) {
        if on && self.queue.get().is_none() {
            let (queue, lines) = sync_channel(WAITING);
            let thread = thread::Builder::new().name("access-log".to_owned());
            if let Err(error) = thread.spawn(move || write_all(&lines)) {
                tracing::error!(%error, "there is no thread for the access log");
                return;
            }
            // Where two are turned on at once, the thread of the other has nothing to write.
            let _ = self.queue.set(queue);
        }
        self.on.store(on, Relaxed);
    }

    /// Whether sessions leave lines.
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// Lines that were lost because too many waited.
    pub fn lost(&self) -> u64 {
        self.lost.get()
    }

    pub(super) fn leave(&self, line: Line) {
        let left = self.queue.get().map(|queue| queue.try_send(line));
        if !matches!(left, Some(Ok(()))) {
            self.lost.increment();
        }
    }

    /// Waits until what was left is written, at most for `patience`.
    pub async fn flush(&self, patience: Duration) {
        let Some(queue) = self.queue.get() else {
            return;
        };
        let (done, written) = oneshot::channel();
        let flushed = async {
            let mut line = Line::Flush(done);
            while let Err(TrySendError::Full(back)) = queue.try_send(line) {
                line = back;
                tokio::time::sleep(AGAIN).await;
            }
            // Where nobody writes any more, there is nothing to wait for.
            let _ = written.await;
        };
        // Past that, the rest is not waited for.
        let _ = tokio::time::timeout(patience, flushed).await;
    }
}

/// Writes what is left, until nobody can leave anything.
fn write_all(lines: &Receiver<Line>) {
    let mut limiter = Limiter::new(REFUSED, SECOND);
    loop {
        match lines.recv_timeout(SECOND) {
            Ok(first) => {
                write(first, &mut limiter);
                thread::park_timeout(GATHER);
                let waiting = lines.try_iter().take(WAITING);
                waiting.for_each(|line| write(line, &mut limiter));
            }
            Err(RecvTimeoutError::Timeout) => say(limiter.suppressed(Instant::now())),
            Err(RecvTimeoutError::Disconnected) => return say(limiter.rest()),
        }
    }
}

fn write(line: Line, limiter: &mut Limiter) {
    let now = Instant::now();
    say(limiter.suppressed(now));
    match line {
        Line::Ended(ended) => ended.write(),
        Line::Refused(refused) if limiter.may(now) => refused.write(),
        Line::Refused(_) => {}
        Line::Flush(done) => {
            say(limiter.rest());
            // Whoever waited may have lost patience.
            let _ = done.send(());
        }
    }
}

/// How many lines about refused connections were not written.
fn say(suppressed: Option<u64>) {
    if let Some(number) = suppressed {
        tracing::info!(target: "pointsman::access", "refused: suppressed {number} lines");
    }
}

impl Ended {
    fn write(&self) {
        let wanted = self.host.reach().address();
        let address = self.at.map_or_else(|| wanted.clone(), HostAddress::from);
        tracing::info!(
            target: "pointsman::access",
            client = %self.client, peer = %self.peer,
            host = %self.host.path(),
            %address,
            to_host = self.bytes.0,
            to_client = self.bytes.1,
            connect_ms = millis(self.connect_time),
            session_ms = millis(self.session_time),
            by = %self.ending.by(),
            "{}", self.ending,
        );
    }
}

impl Refused {
    fn write(&self) {
        tracing::info!(
            target: "pointsman::access",
            client = %self.client, peer = %self.peer,
            service = %self.service,
            session_ms = millis(self.session_time),
            "refused: {}", self.why,
        );
    }
}

/// Milliseconds, to the microsecond.
fn millis(length: Duration) -> f64 {
    length.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Line {
        let address = Peer::Ip(SocketAddr::from(([127, 0, 0, 1], 1)));
        Line::Refused(Box::new(Refused {
            client: address,
            peer: address,
            service: "web".parse().unwrap(),
            session_time: SECOND,
            why: "full".to_owned(),
        }))
    }

    #[tokio::test]
    async fn what_cannot_wait_is_lost_and_counted_and_nobody_waits() {
        let log = AccessLog::default();
        let (queue, lines) = sync_channel(2);
        log.queue.set(queue).unwrap();
        for _ in 0..5 {
            log.leave(refused());
        }
        assert_eq!(log.lost(), 3);
        let began = Instant::now();
        log.flush(Duration::from_millis(20)).await;
        assert!(
            began.elapsed() < SECOND,
            "nobody reads, and that is no reason to stay"
        );
        assert_eq!(lines.try_iter().count(), 2);
    }

    #[tokio::test]
    async fn what_was_left_is_written_when_the_flush_returns() {
        let log = AccessLog::default();
        log.flush(SECOND).await;
        assert!(!log.is_on());
        log.turn(true);
        for _ in 0..1000 {
            log.leave(refused());
        }
        log.flush(Duration::from_secs(10)).await;
        assert_eq!(log.lost(), 0);
        log.turn(false);
        assert!(!log.is_on());
    }
}
