//! Which descriptors are ready, as epoll(7) says, edge by edge.
//! It must not read or write them.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
};
use slab::Slab;

use super::{Handle, lock};

/// How many events are taken at a time.
pub(super) const BATCH: usize = 256;
/// What the queue's bell is known by; no key is as large.
const BELL: u64 = u64::MAX;

/// What is watched for from the start. Whether a descriptor takes bytes is assumed until it does
/// not: most never refuse any.
const USUAL: EventFlags = EventFlags::IN
    .union(EventFlags::RDHUP)
    .union(EventFlags::PRI)
    .union(EventFlags::ET);

/// An epoll, and those who are to be told.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    sources: Mutex<Sources>,
}

#[derive(Debug, Default)]
struct Sources {
    slots: Slab<Arc<Source>>,
    /// How many there have been, so that no event is taken for one of a descriptor that had the
    /// same place before.
    generation: u32,
}

/// What is known of one descriptor.
#[derive(Debug)]
struct Source {
    /// The flags of [`EventFlags`] that hold.
    ready: AtomicU32,
    /// Those that are watched for; none at first.
    interest: AtomicU32,
    /// Place and generation; what epoll(7) calls data.
    data: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

impl Poller {
    /// A poller that only `bell` can wake.
    ///
    /// # Errors
    /// When there is no descriptor for it.
    pub(super) fn new(bell: BorrowedFd<'_>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        // Never read: each write is an edge of its own.
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, bell, EventData::new_u64(BELL), flags)?;
        Ok(Self {
            epoll,
            sources: Mutex::default(),
        })
    }

    /// Readable when something has happened.
    pub(super) fn epoll(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Waits until something happens, for `millis` at most; `None` where a signal came before.
    ///
    /// # Errors
    /// When the system cannot wait.
    pub(super) fn wait<'a>(
        &self,
        room: &'a mut [MaybeUninit<Event>; BATCH],
        millis: u64,
    ) -> io::Result<Option<&'a [Event]>> {
        let timeout = Timespec {
            tv_sec: (millis / 1000) as i64,
            tv_nsec: (millis % 1000) as i64 * 1_000_000,
        };
        match epoll::wait(&self.epoll, room, Some(&timeout)) {
            Ok((events, _)) => Ok(Some(events)),
            Err(Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes what has happened, and wakes those who wait for it.
    pub(super) fn tell(&self, events: &[Event]) {
        let sources = lock(&self.sources);
        for event in events {
            let (data, flags) = (event.data.u64(), event.flags);
            let source = sources.slots.get(place(data));
            // Of one that has gone nobody wants to hear.
            if let Some(source) = source.filter(|source| source.data.load(Relaxed) == data) {
                source.ready.fetch_or(flags.bits(), Relaxed);
                if let Some(waker) = &*lock(&source.waker) {
                    waker.wake_by_ref();
                }
            }
        }
    }

    /// How many are watched.
    #[cfg(test)]
    pub(super) fn watched(&self) -> usize {
        lock(&self.sources).slots.len()
    }

    fn add(
        &self,
        fd: BorrowedFd<'_>,
        source: &Arc<Source>,
        interest: EventFlags,
    ) -> io::Result<()> {
        let mut sources = lock(&self.sources);
        sources.generation = sources.generation.wrapping_add(1);
        let generation = sources.generation;
        let entry = sources.slots.vacant_entry();
        let data = u64::from(generation) << 32 | entry.key() as u64;
        epoll::add(&self.epoll, fd, EventData::new_u64(data), interest)?;
        source.data.store(data, Relaxed);
        entry.insert(Arc::clone(source));
        Ok(())
    }
}

/// The place of a source, of what epoll(7) calls data.
fn place(data: u64) -> usize {
    data as u32 as usize
}

/// A descriptor, and what its event loop knows of it. Only one task may wait for it.
#[derive(Debug)]
pub(in crate::proxy) struct Watched {
    fd: OwnedFd,
    source: Arc<Source>,
    handle: Handle,
    /// Closing it does not end the watch, because there are duplicates of it.
    duplicated: bool,
}

impl Watched {
    /// Watches for nothing until somebody waits: what never has to wait costs no system call.
    pub(in crate::proxy) fn new(fd: OwnedFd, handle: &Handle) -> Self {
        let source = Source {
            ready: AtomicU32::new(EventFlags::OUT.bits()),
            interest: AtomicU32::new(0),
            data: AtomicU64::new(BELL),
            waker: Mutex::default(),
        };
        Self {
            fd,
            source: Arc::new(source),
            handle: handle.clone(),
            duplicated: false,
        }
    }

    /// Watches from the start a descriptor of which there are duplicates.
    ///
    /// # Errors
    /// When the system cannot watch it.
    pub(in crate::proxy) fn duplicate(fd: OwnedFd, handle: &Handle) -> io::Result<Self> {
        let mut watched = Self::new(fd, handle);
        watched.duplicated = true;
        watched.watch_for(EventFlags::empty())?;
        Ok(watched)
    }

    /// All that is known to hold, once any of `wanted` does.
    ///
    /// # Errors
    /// When the system cannot watch it.
    pub(in crate::proxy) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        wanted: EventFlags,
    ) -> Poll<io::Result<EventFlags>> {
        let ready = self.ready();
        if ready.intersects(wanted) {
            return Poll::Ready(Ok(ready));
        }
        self.wait(cx, wanted)?;
        Poll::Pending
    }

    /// Has the task woken by what happens next, be it any of `wanted` or anything usual.
    ///
    /// # Errors
    /// When the system cannot watch it.
    pub(in crate::proxy) fn wait(&self, cx: &Context<'_>, wanted: EventFlags) -> io::Result<()> {
        let mut waker = lock(&self.source.waker);
        if !waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
        drop(waker);
        self.watch_for(wanted & EventFlags::OUT)
    }

    /// All that is known to hold. What nobody has waited for yet is not known.
    pub(in crate::proxy) fn ready(&self) -> EventFlags {
        EventFlags::from_bits_retain(self.source.ready.load(Relaxed))
    }

    /// Says that `flags` do not hold any more, until they are seen to again.
    pub(in crate::proxy) fn clear(&self, flags: EventFlags) {
        self.source.ready.fetch_and(!flags.bits(), Relaxed);
    }

    fn watch_for(&self, more: EventFlags) -> io::Result<()> {
        let before = EventFlags::from_bits_retain(self.source.interest.load(Relaxed));
        let wanted = before | USUAL | more;
        if before == wanted {
            return Ok(());
        }
        let poller = &self.handle.0.poller;
        if before.is_empty() {
            poller.add(self.fd.as_fd(), &self.source, wanted)?;
        } else {
            let data = EventData::new_u64(self.source.data.load(Relaxed));
            epoll::modify(&poller.epoll, &self.fd, data, wanted)?;
        }
        self.source.interest.store(wanted.bits(), Relaxed);
        Ok(())
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.source.interest.load(Relaxed) == 0 {
            return;
        }
        let poller = &self.handle.0.poller;
        if self.duplicated {
            // Fails only where it is not watched.
            let _ = epoll::delete(&poller.epoll, &self.fd);
        }
        let place = place(self.source.data.load(Relaxed));
        // The source is dropped after the lock: its waker may be the last to hold a task.
        let _source = lock(&poller.sources).slots.try_remove(place);
    }
}
