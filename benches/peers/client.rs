//! The load: each kind of work, over a fixed number of sessions at once, until it is told to stop.
//! It must not know which contestant it loads.

use crate::{
    churn,
    dial::{open, short, talking},
    hosts::{BLOCK, runtime},
};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// So many latencies are kept for each thread; what comes after counts, but is not in the percentiles.
const KEPT: usize = 4_000_000;

/// What a session does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Connect, 64 bytes there, 1 KiB back, closed by the host; again and again.
    Connect,
    /// The same, at half the rate of the slowest contestant, however long each takes.
    Churn,
    /// So many bytes there and back, again and again in one session.
    Request(usize),
    /// As much as will go from the host to the client.
    Down,
    /// As much as will go from the client to the host.
    Up,
    /// Both, half of the sessions each.
    Both,
}

impl Work {
    /// Whether bytes are counted rather than operations.
    pub(crate) fn is_bulk(self) -> bool {
        matches!(self, Self::Down | Self::Up | Self::Both)
    }
}

/// What all threads of one load count together.
#[derive(Default)]
pub(crate) struct Tally {
    /// Operations done, or bytes moved.
    pub(crate) done: AtomicU64,
    /// Operations that failed.
    pub(crate) failed: AtomicU64,
    /// Whether latencies are kept.
    pub(crate) keeping: AtomicBool,
    /// The latencies kept, in nanoseconds.
    latencies: Mutex<Vec<u32>>,
}

/// A load that runs until it is stopped.
pub(crate) struct Load {
    pub(crate) tally: Arc<Tally>,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts the work over `sessions` sessions in at most `threads` threads; [`Work::Churn`] at
    /// `rate` connections a second instead.
    pub(crate) fn start(
        work: Work,
        sessions: usize,
        rate: f64,
        threads: usize,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let (tally, stop) = (Arc::<Tally>::default(), CancellationToken::new());
        let threads = threads.clamp(1, sessions.max(1));
        let mut handles = Vec::new();
        for thread in 0..threads {
            let share = sessions / threads + usize::from(thread < sessions % threads);
            let (tally, stop, runtime) = (Arc::clone(&tally), stop.clone(), runtime()?);
            handles.push(thread::spawn(move || {
                let work = Mine {
                    work,
                    share,
                    rate: rate / threads as f64,
                };
                runtime.block_on(run(work, address, tally, stop));
            }));
        }
        Ok(Self {
            tally,
            stop,
            threads: handles,
        })
    }

    /// Stops, and gives the latencies kept, sorted.
    pub(crate) fn stop(self) -> Vec<u32> {
        self.stop.cancel();
        for thread in self.threads {
            // A thread that panicked has said so; its operations are missing, and that shows.
            let _ = thread.join();
        }
        let mut kept = self
            .tally
            .latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut latencies = std::mem::take(&mut *kept);
        latencies.sort_unstable();
        latencies
    }
}

/// One thread's part of the work.
struct Mine {
    work: Work,
    share: usize,
    rate: f64,
}

async fn run(mine: Mine, to: SocketAddr, tally: Arc<Tally>, stop: CancellationToken) {
    let kept = Arc::new(Mutex::new(Vec::with_capacity(1 << 16)));
    let counting = Counting { tally, kept };
    if mine.work == Work::Churn {
        churn::run(mine.rate, to, counting.clone(), stop).await;
    } else {
        closed_loop(mine.work, mine.share, to, &counting, stop).await;
    }
    let Counting { tally, kept } = counting;
    let kept = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
    tally
        .latencies
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(kept);
}

async fn closed_loop(
    work: Work,
    sessions: usize,
    to: SocketAddr,
    counting: &Counting,
    stop: CancellationToken,
) {
    let mut set = JoinSet::new();
    for number in 0..sessions {
        let counting = counting.clone();
        let work = match (work == Work::Both, number % 2) {
            (true, 0) => Work::Down,
            (true, _) => Work::Up,
            (false, _) => work,
        };
        set.spawn(async move {
            loop {
                let session = Session {
                    to,
                    counting: &counting,
                };
                if session.run(work).await.is_err() {
                    counting.tally.failed.fetch_add(1, Relaxed);
                    sleep(Duration::from_millis(10)).await;
                }
            }
        });
    }
    stop.cancelled().await;
    set.shutdown().await;
}

/// Where a thread's sessions count.
#[derive(Clone)]
pub(crate) struct Counting {
    pub(crate) tally: Arc<Tally>,
    kept: Arc<Mutex<Vec<u32>>>,
}

pub(crate) struct Session<'a> {
    pub(crate) to: SocketAddr,
    pub(crate) counting: &'a Counting,
}

impl Session<'_> {
    /// Goes on until something fails.
    async fn run(&self, work: Work) -> io::Result<()> {
        match work {
            Work::Connect | Work::Churn => loop {
                self.once(Instant::now()).await?;
            },
            Work::Request(size) => {
                let mut message = vec![b'r'; size];
                let mut stream = talking(self.to, &mut message).await?;
                loop {
                    let from = Instant::now();
                    stream.write_all(&message).await?;
                    stream.read_exact(&mut message).await?;
                    self.done(from);
                }
            }
            Work::Down => {
                let mut stream = open(self.to, b'd').await?;
                let mut block = vec![0; BLOCK];
                loop {
                    self.moved(stream.read(&mut block).await?)?;
                }
            }
            Work::Up | Work::Both => {
                let mut stream = open(self.to, b'u').await?;
                let block = vec![b'u'; BLOCK];
                loop {
                    self.moved(stream.write(&block).await?)?;
                }
            }
        }
    }

    /// One short connection, which was due at `from`.
    pub(crate) async fn once(&self, from: Instant) -> io::Result<()> {
        short(self.to).await?;
        self.done(from);
        Ok(())
    }

    fn done(&self, from: Instant) {
        let Counting { tally, kept } = self.counting;
        tally.done.fetch_add(1, Relaxed);
        if tally.keeping.load(Relaxed) {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < KEPT {
                kept.push(u32::try_from(from.elapsed().as_nanos()).unwrap_or(u32::MAX));
            }
        }
    }

    fn moved(&self, bytes: usize) -> io::Result<()> {
        self.counting.tally.done.fetch_add(bytes as u64, Relaxed);
        if bytes == 0 {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(())
        }
    }
}
