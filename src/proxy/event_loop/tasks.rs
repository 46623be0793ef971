//! The tasks of an event loop, and the queue of those that are to run.
//! It must not know what they wait for.

use std::{
    future::Future,
    io, mem,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::AcqRel},
    },
    task::{Context, Poll, Wake, Waker},
};

use rustix::event::{EventfdFlags, eventfd};
use slab::Slab;

use super::lock;

pub(super) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Which tasks are to run. Each is in it once at most, so that it is as long as there are tasks.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Wakes the loop where it waits for descriptors.
    bell: OwnedFd,
}

#[derive(Default)]
struct Waiting {
    ready: Vec<usize>,
    spawned: Vec<Task>,
    /// All are to run.
    all: bool,
    /// The loop waits, or is about to, and has to be woken.
    parked: bool,
    retired: bool,
    closed: bool,
}

impl Queue {
    /// # Errors
    /// When there is no descriptor for it.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            waiting: Mutex::default(),
            bell: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
        })
    }

    /// Becomes readable, once for each time, when a loop that waits is to wake.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    pub(super) fn spawn(&self, task: Task) {
        // Dropped outside the lock, where it comes too late: what it drops may wake others.
        let late = self.change(|waiting| {
            if waiting.closed {
                return Some(task);
            }
            waiting.spawned.push(task);
            None
        });
        drop(late);
    }

    pub(super) fn wake_all(&self) {
        self.change(|waiting| waiting.all = true);
    }

    pub(super) fn retire(&self) {
        self.change(|waiting| waiting.retired = true);
    }

    pub(super) fn is_retired(&self) -> bool {
        lock(&self.waiting).retired
    }

    pub(super) fn close(&self) {
        let late = self.change(|waiting| {
            waiting.closed = true;
            mem::take(&mut waiting.spawned)
        });
        drop(late);
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.waiting).closed
    }

    /// Says that the loop is going to wait; false where it need not.
    pub(super) fn park(&self) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting.parked = waiting.ready.is_empty()
            && waiting.spawned.is_empty()
            && !waiting.all
            && !waiting.closed;
        waiting.parked
    }

    /// Says that the loop does not wait any more.
    pub(super) fn unpark(&self) {
        lock(&self.waiting).parked = false;
    }

    fn change<R>(&self, change: impl FnOnce(&mut Waiting) -> R) -> R {
        let mut waiting = lock(&self.waiting);
        let result = change(&mut waiting);
        let parked = mem::take(&mut waiting.parked);
        drop(waiting);
        if parked {
            // Fails only where the counter is full, and then it is readable anyway.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
        result
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("ready", &self.ready)
            .field("spawned", &self.spawned.len())
            .finish_non_exhaustive()
    }
}

/// Puts one task into the queue, unless it is there.
#[derive(Debug)]
struct Bell {
    key: usize,
    rung: AtomicBool,
    queue: Arc<Queue>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // What was written before is seen by the task: it takes the ring back before it runs.
        if !self.rung.swap(true, AcqRel) {
            self.queue.change(|waiting| waiting.ready.push(self.key));
        }
    }
}

struct Slot {
    task: Task,
    bell: Arc<Bell>,
    waker: Waker,
}

/// All tasks of a loop.
#[derive(Default)]
pub(super) struct Tasks {
    slots: Slab<Slot>,
    /// What was in the queue; empty between turns, and kept for its room.
    turn: Vec<usize>,
}

impl Tasks {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Runs those that are in `queue` now once each, and then those that were spawned.
    pub(super) fn run(&mut self, queue: &Arc<Queue>) {
        let mut turn = mem::take(&mut self.turn);
        let all = {
            let mut waiting = lock(&queue.waiting);
            mem::swap(&mut waiting.ready, &mut turn);
            mem::take(&mut waiting.all)
        };
        if all {
            turn.extend(self.slots.iter().map(|(key, _)| key));
        }
        for key in turn.drain(..) {
            self.poll(key);
        }
        self.turn = turn;
        let spawned = mem::take(&mut lock(&queue.waiting).spawned);
        for task in spawned {
            let key = self.insert(task, queue);
            self.poll(key);
        }
    }

    fn insert(&mut self, task: Task, queue: &Arc<Queue>) -> usize {
        let entry = self.slots.vacant_entry();
        let key = entry.key();
        let bell = Arc::new(Bell {
            key,
            rung: AtomicBool::new(false),
            queue: Arc::clone(queue),
        });
        let waker = Waker::from(Arc::clone(&bell));
        entry.insert(Slot { task, bell, waker });
        key
    }

    /// Runs a task. One that was called by a ring for another that had its place before finds
    /// nothing to do.
    fn poll(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.bell.rung.swap(false, AcqRel);
        let mut cx = Context::from_waker(&slot.waker);
        let task = slot.task.as_mut();
        // The others are not to end with one that panics, be it when it is dropped.
        let polled = catch_unwind(AssertUnwindSafe(|| task.poll(&mut cx)));
        if let Ok(Poll::Pending) = polled {
            return;
        }
        let slot = self.slots.remove(key);
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(slot)));
        if polled.is_err() || dropped.is_err() {
            tracing::error!("a task of the data plane has panicked; the others go on");
        }
    }
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks")
            .field("alive", &self.len())
            .finish_non_exhaustive()
    }
}
