//! One direction of a session: bytes from a source to a sink, with the end passed on after them.
//! It must not keep a buffer while it has nothing to send, nor read on while the sink is full.

use std::{
    cell::RefCell,
    io,
    os::fd::BorrowedFd,
    task::{Context, Poll, ready},
};

use super::{
    pipe::Pipe,
    socket::{Read, Socket},
};

/// How much is copied at a time; a read that fills it is taken for bulk data.
const BUFFER: usize = 64 * 1024;
/// How much a flow may move before others on its thread have their turn.
const TURN: usize = 512 * 1024;
/// A splice that moves less than this says that the bulk is over.
const TRICKLE: usize = 16 * 1024;

thread_local! {
    static SHARED: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into_boxed_slice());
}

/// Runs `work` with the buffer that all sessions of this thread share.
pub(super) fn with_buffer<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    SHARED.with_borrow_mut(|buffer| work(buffer))
}

/// One direction of a session.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Bytes that were read and that the sink had no room for: at most one buffer.
    stash: Option<Stash>,
    pipe: Option<Box<Pipe>>,
    /// Bulk data is coming: it goes through a pipe whenever there is some.
    bulk: bool,
    /// The source may have bytes although it is not known to be ready.
    eager: bool,
    /// Bytes passed on since somebody last asked.
    moved: u64,
    sent: bool,
    /// Small messages are to go out at once from the second one on. The first does so anyway.
    hurry: bool,
    source_done: bool,
    done: bool,
}

#[derive(Debug)]
struct Stash {
    bytes: Box<[u8]>,
    sent: usize,
}

/// What ended a flow too early, and at which end.
#[derive(Debug)]
pub(super) enum Fault {
    Source(io::Error),
    Sink(io::Error),
}

impl Flow {
    /// A flow whose sink does not send small messages at once yet.
    pub(super) fn hurrying() -> Self {
        Self {
            hurry: true,
            ..Self::default()
        }
    }

    /// Puts `bytes` before everything that is still to come.
    pub(super) fn begin_with(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.stash = Some(Stash {
                bytes: bytes.into(),
                sent: 0,
            });
        }
    }

    /// What [`Self::begin_with`] put there, to be sent ahead of the flow's own running.
    pub(super) fn pending(&self) -> &[u8] {
        self.stash
            .as_ref()
            .map_or(&[], |stash| &stash.bytes[stash.sent..])
    }

    /// Counts `bytes` of what is pending as passed on.
    pub(super) fn passed_on(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.sent = true;
        self.moved += bytes as u64;
        if let Some(stash) = &mut self.stash {
            stash.sent += bytes;
            if stash.sent == stash.bytes.len() {
                self.stash = None;
            }
        }
    }

    /// The source will send nothing more.
    pub(super) fn source_is_done(&mut self) {
        self.source_done = true;
    }

    /// Nothing has been passed on, not even the end.
    pub(super) fn is_untouched(&self) -> bool {
        !self.sent && !self.done
    }

    /// Everything has been passed on, the end too.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Bytes passed on since this was last called.
    pub(super) fn take_moved(&mut self) -> u64 {
        std::mem::take(&mut self.moved)
    }

    /// Moves what can be moved. Ready when the end has been passed on. `last` says that the other
    /// direction is done, so that closing the sink, which follows, passes the end on by itself.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &Socket,
        sink: &Socket,
        last: bool,
    ) -> Poll<Result<(), Fault>> {
        let mut left = TURN;
        loop {
            match self.poll_flush(cx, sink) {
                Poll::Ready(flushed) => flushed?,
                Poll::Pending => return self.poll_blocked(cx, source),
            }
            if self.source_done {
                if !last {
                    sink.finish().map_err(Fault::Sink)?;
                }
                self.done = true;
                return Poll::Ready(Ok(()));
            }
            if left == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.bulk && self.pipe.is_none() {
                self.pipe = Pipe::take();
            }
            let filled = match self.pipe {
                Some(_) => self.poll_fill(cx, source),
                None => Poll::Pending,
            };
            let bytes = match filled {
                Poll::Ready(filled) => filled?,
                Poll::Pending => ready!(self.poll_copy(cx, source, sink))?,
            };
            left = left.saturating_sub(bytes);
        }
    }

    /// Waits for the sink, and for the source to break the connection, which nobody would notice
    /// who does not read on.
    fn poll_blocked(&mut self, cx: &mut Context<'_>, source: &Socket) -> Poll<Result<(), Fault>> {
        self.eager = true;
        source
            .poll_broken(cx)
            .map(|error| Err(Fault::Source(error)))
    }

    /// Sends what was read but not yet passed on.
    fn poll_flush(&mut self, cx: &mut Context<'_>, sink: &Socket) -> Poll<Result<(), Fault>> {
        while !self.pending().is_empty() {
            let sent = ready!(self.poll_send(cx, sink)).map_err(Fault::Sink)?;
            self.passed_on(sent);
        }
        while let Some(pipe) = &mut self.pipe
            && pipe.held() > 0
        {
            let held = pipe.held();
            let sent = ready!(sink.poll_write(cx, held, |fd| pipe.drain(fd)));
            self.moved += sent.map_err(Fault::Sink)? as u64;
        }
        if !self.bulk {
            self.give_pipe_back();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, sink: &Socket) -> Poll<io::Result<usize>> {
        self.hurry_up(sink);
        sink.poll_send(cx, self.pending(), false)
    }

    fn hurry_up(&mut self, sink: &Socket) {
        if self.hurry && self.sent {
            self.hurry = false;
            sink.send_at_once();
        }
    }

    /// Reads into the shared buffer and passes it on; what the sink has no room for is stashed.
    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        source: &Socket,
        sink: &Socket,
    ) -> Poll<Result<usize, Fault>> {
        with_buffer(|buffer| {
            let Read { bytes, last, end } = match self.recv_eagerly(source, buffer) {
                Some(read) => read.map_err(Fault::Source)?,
                None => ready!(source.poll_recv(cx, buffer)).map_err(Fault::Source)?,
            };
            if bytes == 0 {
                self.source_done = true;
                return Poll::Ready(Ok(0));
            }
            self.hurry_up(sink);
            // Where the end is known to follow, it goes out in one segment with the last bytes.
            let sent = match sink.poll_send(cx, &buffer[..bytes], last) {
                Poll::Ready(Ok(sent)) => sent,
                Poll::Pending => 0,
                Poll::Ready(Err(error)) => {
                    // Another sink may be found, as long as this one has had nothing.
                    self.begin_with(&buffer[..bytes]);
                    return Poll::Ready(Err(Fault::Sink(error)));
                }
            };
            self.passed_on(sent);
            self.begin_with(&buffer[sent..bytes]);
            self.source_done = end;
            // What came while a pipe had nothing more says nothing about what follows.
            self.bulk = bytes == buffer.len() || (self.bulk && self.eager);
            if self.bulk {
                self.hurry_up(sink);
            }
            Poll::Ready(Ok(bytes))
        })
    }

    /// Receives without asking whether there is anything, where that may be.
    fn recv_eagerly(&mut self, source: &Socket, buffer: &mut [u8]) -> Option<io::Result<Read>> {
        if !self.eager {
            return None;
        }
        match source.try_recv(buffer) {
            Ok(bytes) => Some(Ok(Read::some(bytes))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.eager = false;
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Moves what the source has into the pipe. A flow that has to wait gives its pipe back.
    ///
    /// A splice stops at urgent data (RFC 9293, section 3.8.5), and says then that there is
    /// nothing, or that all is over: only a receive is believed.
    fn poll_fill(&mut self, cx: &mut Context<'_>, source: &Socket) -> Poll<Result<usize, Fault>> {
        let Some(pipe) = &mut self.pipe else {
            return Poll::Ready(Ok(0));
        };
        // A pipe has so many places, and a packet takes up one, however small it is: a full pipe
        // is not told from an empty socket by how much was moved.
        let fill = |fd: BorrowedFd<'_>| pipe.fill(fd);
        let read = if self.eager {
            source.try_read(fill)
        } else {
            source.poll_read(cx, None, fill)
        };
        let bytes = match &read {
            Poll::Ready(Ok(read)) => read.bytes,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        if bytes == 0 {
            self.give_pipe_back();
            self.eager = true;
        }
        let read = ready!(read).map_err(Fault::Source)?;
        self.bulk = read.bytes >= TRICKLE;
        Poll::Ready(Ok(read.bytes))
    }

    fn give_pipe_back(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            pipe.give_back();
        }
    }
}
