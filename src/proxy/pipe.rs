//! Pipes, through which bulk data goes from socket to socket without being copied.
//! It must not hold more of them than the kernel gives an ordinary user.

use std::{
    cell::RefCell,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// How much a pipe is asked to hold: as much as an ordinary user may ask for
/// (`fs.pipe-max-size`). Each move wakes both sides, and that is what bulk data costs.
const LARGE: usize = 1024 * 1024;
/// The same once large ones have taken half of [`MOST`], so that more sessions have one.
const SMALL: usize = 256 * 1024;
/// What it must hold to be worth having. The kernel gives less to a user who has many.
const LEAST: usize = 64 * 1024;
/// What all pipes of the process may hold: half of what the kernel allows an unprivileged user
/// (`fs.pipe-user-pages-soft`), and a limit of the process is what it is about.
const MOST: usize = 32 * 1024 * 1024;
/// How many empty pipes a thread keeps for the next one who needs them.
const KEPT: usize = 16;

/// What all pipes can hold together.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    #[expect(clippy::vec_box, reason = "they go in and out as they are, and a session has room for one only as a pointer")]
    static POOL: RefCell<Vec<Box<Pipe>>> = const { RefCell::new(Vec::new()) };
}

/// A pipe and how many bytes are in it.
#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    size: usize,
    held: usize,
}

impl Pipe {
    /// An empty pipe, unless there are as many as may be, or the kernel has none that is worth it.
    pub(super) fn take() -> Option<Box<Self>> {
        POOL.with_borrow_mut(Vec::pop).or_else(Self::create)
    }

    fn create() -> Option<Box<Self>> {
        let taken = TAKEN.fetch_update(Relaxed, Relaxed, |taken| {
            let more = taken + wanted(taken);
            (more <= MOST).then_some(more)
        });
        let wanted = wanted(taken.ok()?);
        let pipe = Self::open(wanted);
        let size = pipe.as_ref().map_or(0, |pipe| pipe.size);
        // In this order, so that it is never taken for less.
        TAKEN.fetch_add(size, Relaxed);
        TAKEN.fetch_sub(wanted, Relaxed);
        pipe.map(Box::new)
    }

    fn open(wanted: usize) -> Option<Self> {
        let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
        // Where the kernel allows less, what is next, and at last what it gave.
        let set = [wanted, SMALL]
            .into_iter()
            .find_map(|size| fcntl_setpipe_size(&write, size).ok());
        let size = set.or_else(|| rustix::pipe::fcntl_getpipe_size(&write).ok())?;
        (size >= LEAST).then_some(Self {
            read,
            write,
            size,
            held: 0,
        })
    }

    /// Gives the pipe back for others to use; one that holds bytes is closed instead.
    pub(super) fn give_back(self: Box<Self>) {
        POOL.with_borrow_mut(|pool| {
            if self.held == 0 && pool.len() < KEPT {
                pool.push(self);
            } else {
                drop(self);
            }
        });
    }

    /// How many bytes are in it.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Moves what is in the socket into this pipe, which is empty.
    ///
    /// # Errors
    /// `WouldBlock` when the socket has nothing.
    pub(super) fn fill(&mut self, from: BorrowedFd<'_>) -> io::Result<usize> {
        let moved = splice(from, None, &self.write, None, self.size, flags())?;
        self.held += moved;
        Ok(moved)
    }

    /// Moves what is in this pipe into the socket.
    ///
    /// # Errors
    /// `WouldBlock` when the socket takes nothing.
    pub(super) fn drain(&mut self, to: BorrowedFd<'_>) -> io::Result<usize> {
        let moved = splice(&self.read, None, to, None, self.held, flags())?;
        self.held -= moved;
        Ok(moved)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        TAKEN.fetch_sub(self.size, Relaxed);
    }
}

/// How large the next pipe is to be, where so much is taken.
fn wanted(taken: usize) -> usize {
    if taken < MOST / 2 { LARGE } else { SMALL }
}

fn flags() -> SpliceFlags {
    SpliceFlags::MOVE | SpliceFlags::NONBLOCK
}
