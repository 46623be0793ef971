//! The load: each kind of work, over a fixed number of sessions at once, until it is told to stop.
//! It must not know which contestant it loads.

use crate::hosts::{BLOCK, HEAD, MESSAGE, runtime};
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
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// So many latencies are kept for each thread; what comes after counts, but is not in the percentiles.
const KEPT: usize = 4_000_000;

/// What a session does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Connect, 64 bytes there, 1 KiB back, closed by the host; again and again.
    Connect,
    /// 1 KiB there and back, again and again in one session.
    Request,
    /// As much as will go from the host to the client.
    Down,
    /// As much as will go from the client to the host.
    Up,
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
    /// Starts the work over `sessions` sessions in at most `threads` threads.
    pub(crate) fn start(
        work: Work,
        sessions: usize,
        threads: usize,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let (tally, stop) = (Arc::<Tally>::default(), CancellationToken::new());
        let threads = threads.clamp(1, sessions);
        let mut handles = Vec::new();
        for thread in 0..threads {
            let share = sessions / threads + usize::from(thread < sessions % threads);
            let (tally, stop, runtime) = (Arc::clone(&tally), stop.clone(), runtime()?);
            handles.push(thread::spawn(move || {
                runtime.block_on(run(work, share, address, tally, stop));
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

async fn run(
    work: Work,
    sessions: usize,
    to: SocketAddr,
    tally: Arc<Tally>,
    stop: CancellationToken,
) {
    let mine = Arc::new(Mutex::new(Vec::with_capacity(1 << 16)));
    let mut set = JoinSet::new();
    for _ in 0..sessions {
        let (tally, kept) = (Arc::clone(&tally), Arc::clone(&mine));
        set.spawn(async move {
            loop {
                let session = Session {
                    to,
                    tally: &tally,
                    kept: &kept,
                };
                if session.run(work).await.is_err() {
                    tally.failed.fetch_add(1, Relaxed);
                    sleep(Duration::from_millis(10)).await;
                }
            }
        });
    }
    stop.cancelled().await;
    set.shutdown().await;
    let mine = std::mem::take(&mut *mine.lock().unwrap_or_else(PoisonError::into_inner));
    tally
        .latencies
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(mine);
}

struct Session<'a> {
    to: SocketAddr,
    tally: &'a Tally,
    kept: &'a Mutex<Vec<u32>>,
}

impl Session<'_> {
    /// Goes on until something fails.
    async fn run(&self, work: Work) -> io::Result<()> {
        match work {
            Work::Connect => loop {
                let from = Instant::now();
                short(self.to).await?;
                self.done(from);
            },
            Work::Request => {
                let mut stream = open(self.to, b'r').await?;
                let mut message = [b'r'; MESSAGE];
                stream.write_all(&message[HEAD..]).await?;
                stream.read_exact(&mut message).await?;
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
            Work::Up => {
                let mut stream = open(self.to, b'u').await?;
                let block = vec![b'u'; BLOCK];
                loop {
                    self.moved(stream.write(&block).await?)?;
                }
            }
        }
    }

    fn done(&self, from: Instant) {
        self.tally.done.fetch_add(1, Relaxed);
        if self.tally.keeping.load(Relaxed) {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < KEPT {
                kept.push(u32::try_from(from.elapsed().as_nanos()).unwrap_or(u32::MAX));
            }
        }
    }

    fn moved(&self, bytes: usize) -> io::Result<()> {
        self.tally.done.fetch_add(bytes as u64, Relaxed);
        if bytes == 0 {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(())
        }
    }
}

/// Connects and sends the head.
async fn open(to: SocketAddr, kind: u8) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&[kind; HEAD]).await?;
    Ok(stream)
}

/// One short connection: all of the answer, then the end.
async fn short(to: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(&[b'c'; HEAD]).await?;
    let (mut answer, mut length) = ([0; 2 * MESSAGE], 0);
    loop {
        match stream.read(&mut answer[length..]).await? {
            0 if length == MESSAGE => return Ok(()),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => length += n,
        }
    }
}

/// Whether a short connection works.
pub(crate) async fn answers(to: SocketAddr) -> bool {
    matches!(timeout(Duration::from_secs(1), short(to)).await, Ok(Ok(())))
}

/// Opens sessions that have sent and received one message each and are silent from then on.
pub(crate) async fn idle(to: SocketAddr, sessions: usize) -> io::Result<Vec<TcpStream>> {
    let mut held = Vec::with_capacity(sessions);
    while held.len() < sessions {
        let mut batch = JoinSet::new();
        for _ in 0..64.min(sessions - held.len()) {
            batch.spawn(timeout(Duration::from_secs(5), async move {
                let mut stream = open(to, b'r').await?;
                let mut message = [b'r'; MESSAGE];
                stream.write_all(&message[HEAD..]).await?;
                stream.read_exact(&mut message).await?;
                io::Result::Ok(stream)
            }));
        }
        while let Some(opened) = batch.join_next().await {
            held.push(opened.map_err(io::Error::other)???);
        }
    }
    Ok(held)
}
