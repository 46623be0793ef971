//! The event loop that sessions run on: tasks, the readiness of descriptors and timers, by one
//! epoll. It must not know what a session is.
//!
//! A thread of ours drives it by [`EventLoop::run`]; inside another program the tokio runtime that
//! is there does, by [`embedded`]. Tasks of one loop never run at the same time.

pub(super) mod embedded;
mod readiness;
mod tasks;
mod timers;

use std::{
    future::Future,
    io,
    mem::MaybeUninit,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

pub(super) use readiness::Watched;
pub(super) use timers::Sleep;

use readiness::{BATCH, Poller};
use tasks::{Queue, Tasks};
use timers::Timers;

/// How many batches of events are taken before timers have their turn: more than there are
/// descriptors, of which each has its place in one.
const BATCHES: usize = 4096;

/// Tasks, and the means to run them. Dropped, it drops its tasks, and those that are still to come.
#[derive(Debug)]
pub struct EventLoop {
    handle: Handle,
    tasks: Tasks,
}

/// What tasks, and other threads, have of an event loop.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Arc<Queue>,
    poller: Poller,
    timers: Timers,
    epoch: Instant,
    /// When the loop last woke, in milliseconds since the epoch.
    now: AtomicU64,
    turns: AtomicU64,
    alive: AtomicUsize,
}

/// What comes when the tasks have run.
enum Next {
    /// Some can run again already: others are only looked for.
    Look,
    /// Nothing, until something happens or this moment comes.
    Wait(Option<u64>),
}

impl EventLoop {
    /// A loop without tasks, whose clock counts from `epoch`.
    ///
    /// # Errors
    /// When there are no descriptors for it.
    pub fn new(epoch: Instant) -> io::Result<Self> {
        let queue = Arc::new(Queue::new()?);
        let shared = Shared {
            poller: Poller::new(queue.bell())?,
            queue,
            timers: Timers::default(),
            epoch,
            now: AtomicU64::new(millis_since(epoch)),
            turns: AtomicU64::new(0),
            alive: AtomicUsize::new(0),
        };
        Ok(Self {
            handle: Handle(Arc::new(shared)),
            tasks: Tasks::default(),
        })
    }

    /// What others may have of it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs its tasks on this thread until [`Handle::close`], and wakes every `tick` at least.
    ///
    /// # Errors
    /// When the system cannot wait for descriptors.
    pub fn run(mut self, tick: Duration) -> io::Result<()> {
        let tick = tick.as_millis() as u64;
        while !self.handle.0.queue.is_closed() {
            let wait = match self.run_tasks() {
                Next::Look => 0,
                Next::Wait(None) => tick,
                Next::Wait(Some(moment)) => self.until(moment).min(tick),
            };
            self.look(wait)?;
        }
        Ok(())
    }

    /// Runs each task that can run once, and those that these have begun.
    fn run_tasks(&mut self) -> Next {
        let shared = &self.handle.0;
        self.tasks.run(&shared.queue);
        shared.alive.store(self.tasks.len(), Relaxed);
        if shared.queue.park() {
            Next::Wait(shared.timers.first())
        } else {
            Next::Look
        }
    }

    /// Milliseconds from when the loop last woke to `moment`.
    fn until(&self, moment: u64) -> u64 {
        moment.saturating_sub(self.handle.now())
    }

    /// Waits for something to happen, for `wait` milliseconds at most, and wakes the tasks that it
    /// is for. Returns whether more may have happened.
    ///
    /// Timers come last: where this process was stopped, and time has passed unseen, what has
    /// happened meanwhile is seen before anybody's time is over.
    fn look(&self, wait: u64) -> io::Result<bool> {
        let shared = &self.handle.0;
        let mut room = [MaybeUninit::uninit(); BATCH];
        let happened = shared.poller.wait(&mut room, wait);
        shared.queue.unpark();
        shared.turns.fetch_add(1, Relaxed);
        let mut happened = happened?;
        for _ in 0..BATCHES {
            let Some(events) = happened else {
                return Ok(true);
            };
            shared.poller.tell(events);
            if events.len() < BATCH {
                break;
            }
            happened = shared.poller.wait(&mut room, 0)?;
        }
        let now = millis_since(shared.epoch);
        shared.now.store(now, Relaxed);
        shared.timers.fire(now);
        Ok(false)
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.handle.close();
    }
}

impl Handle {
    /// Has the loop run `task`, and drop it when it is done. One that is closed drops it at once.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.queue.spawn(Box::pin(task));
    }

    /// When the loop last woke, in milliseconds since its epoch.
    pub fn now(&self) -> u64 {
        self.0.now.load(Relaxed)
    }

    /// The first moment on its clock that is `length` from now or more.
    fn moment_after(&self, length: Duration) -> u64 {
        let since = self.0.epoch.elapsed().saturating_add(length);
        u64::try_from(since.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// How often it has woken.
    pub fn turns(&self) -> u64 {
        self.0.turns.load(Relaxed)
    }

    /// How many tasks it has.
    pub fn tasks(&self) -> usize {
        self.0.alive.load(Relaxed)
    }

    /// Has every task run once more.
    pub fn wake_all(&self) {
        self.0.queue.wake_all();
    }

    /// Has a loop that is driven by [`embedded`] end with the last of its tasks.
    pub fn retire(&self) {
        self.0.queue.retire();
    }

    /// Has the loop end, and drop the tasks that it has.
    pub fn close(&self) {
        self.0.queue.close();
    }

    /// What `future` comes to within `limit`, if anything.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let mut sleep = Sleep::for_at_least(self, limit);
        tokio::select! {
            biased;
            done = future => Some(done),
            () = sleep.wait() => None,
        }
    }
}

fn millis_since(epoch: Instant) -> u64 {
    epoch.elapsed().as_millis() as u64
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
