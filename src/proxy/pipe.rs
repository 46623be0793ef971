//! Pipes, through which bulk data goes from socket to socket without being copied.
//! It must not hold more of them than the kernel gives an ordinary user.

use std::{
    cell::RefCell,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// How much a pipe is asked to hold.
const SIZE: usize = 256 * 1024;
/// What it must hold to be worth having. The kernel gives less to a user who has many.
const LEAST: usize = 64 * 1024;
/// How many pipes the process may have: their 32 MiB are half of what the kernel allows an
/// unprivileged user (`fs.pipe-user-pages-soft`), and a limit of the process is what it is about.
const MOST: usize = 128;
/// How many empty pipes a thread keeps for the next one who needs them.
const KEPT: usize = 16;

static PIPES: AtomicUsize = AtomicUsize::new(0);

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
        let counted = PIPES.fetch_update(Relaxed, Relaxed, |n| (n < MOST).then_some(n + 1));
        counted.ok()?;
        let pipe = Self::open();
        if pipe.is_none() {
            PIPES.fetch_sub(1, Relaxed);
        }
        pipe.map(Box::new)
    }

    fn open() -> Option<Self> {
        let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
        let size = match fcntl_setpipe_size(&write, SIZE) {
            Ok(size) => size,
            Err(_) => rustix::pipe::fcntl_getpipe_size(&write).ok()?,
        };
        if size < LEAST {
            return None;
        }
        Some(Self {
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
        PIPES.fetch_sub(1, Relaxed);
    }
}

fn flags() -> SpliceFlags {
    SpliceFlags::MOVE | SpliceFlags::NONBLOCK
}
