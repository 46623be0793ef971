//! Sockets as the data plane uses them: non-blocking calls, and what their event loop knows.
//! It must not know what a session is.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::{
    event::epoll::EventFlags,
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
        bind, connect, getsockname, listen, recv, send, shutdown, socket_with, sockopt as options,
    },
};

use super::{
    event_loop::{Handle, Watched},
    sockopt, unix,
};
use crate::{
    balance::view::Outgoing,
    model::{address::Endpoint, topology::Tcp},
};

/// The peer has finished, or broken the connection.
const CLOSED: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP);
/// A receive does not have to wait: for bytes, the end or an error.
const READABLE: EventFlags = EventFlags::IN.union(CLOSED).union(EventFlags::ERR);
/// A send does not have to wait: for room or an error.
const WRITABLE: EventFlags = EventFlags::OUT
    .union(EventFlags::HUP)
    .union(EventFlags::ERR);

/// A connected (or connecting) socket of one event loop.
#[derive(Debug)]
pub(super) struct Socket {
    watched: Watched,
    is_unix: bool,
}

/// Bytes that were read, and whether the peer is known to have finished after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// How many; zero is the end.
    pub(super) bytes: usize,
    /// The peer will send nothing after what is in the socket now.
    pub(super) last: bool,
    /// There is nothing in the socket any more either: the end comes next, and need not be read.
    pub(super) end: bool,
}

impl Read {
    /// So many bytes, with nothing known of what follows.
    pub(super) fn some(bytes: usize) -> Self {
        Self {
            bytes,
            last: false,
            end: false,
        }
    }
}

impl Socket {
    /// Takes over a connection, of TCP or to a Unix socket.
    pub(super) fn new(fd: OwnedFd, is_unix: bool, event_loop: &Handle) -> Self {
        Self {
            watched: Watched::new(fd, event_loop),
            is_unix,
        }
    }

    /// Begins to connect to `endpoint`. With `hold_ack`, the acknowledgement that ends the
    /// handshake waits for the first bytes that are sent, 200 ms at most, and saves a segment: for
    /// a caller who has bytes to send, or will have before the host has.
    ///
    /// # Errors
    /// When there is no descriptor, no port or no route, or the host refused at once.
    pub(super) fn connecting(
        endpoint: &Endpoint,
        hold_ack: bool,
        outgoing: &Outgoing,
        event_loop: &Handle,
    ) -> io::Result<Self> {
        let address = match endpoint {
            Endpoint::Ip(address) => *address,
            Endpoint::Unix(path) => {
                let fd = unix::connecting(path)?;
                return Ok(Self::new(fd, true, event_loop));
            }
        };
        let fd = new_socket(address)?;
        keep_watch(&fd, outgoing.keepalive, outgoing.user_timeout)?;
        if let Some(source) = outgoing.source {
            sockopt::set_bind_address_no_port(&fd)?;
            bind(&fd, &SocketAddr::new(source, 0))?;
        }
        if hold_ack {
            options::set_tcp_quickack(&fd, false)?;
        }
        match connect(&fd, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(Self::new(fd, false, event_loop)),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the connection to `endpoint` stands already, as one within this machine does.
    ///
    /// # Errors
    /// When the host has refused.
    pub(super) fn stands(&self, endpoint: &Endpoint) -> io::Result<bool> {
        let Endpoint::Ip(address) = endpoint else {
            return Ok(true);
        };
        // A second call tells how the first has gone on: connect(2), `EALREADY`.
        match connect(&self.watched, address) {
            Ok(()) | Err(Errno::ISCONN) => Ok(true),
            Err(Errno::ALREADY | Errno::INPROGRESS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the connection stands.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) async fn connected(&self) -> io::Result<()> {
        // It was taken to be, as any socket is at first.
        self.watched.clear(EventFlags::OUT);
        poll_fn(|cx| self.watched.poll_ready(cx, WRITABLE)).await?;
        options::socket_error(&self.watched)??;
        Ok(())
    }

    /// Receives what is there, without asking whether anything is.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is.
    pub(super) fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(&self.watched, buffer, RecvFlags::empty())?.0)
    }

    /// Receives what is there, or waits for it; zero is the end.
    ///
    /// # Errors
    /// When the peer breaks the connection.
    pub(super) async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = poll_fn(|cx| self.poll_recv(cx, buffer)).await?;
        Ok(read.bytes)
    }

    /// Our own end: the address, or the path, that the peer called.
    ///
    /// # Errors
    /// When the connection is broken already.
    pub(super) fn local(&self) -> io::Result<Endpoint> {
        let local = getsockname(&self.watched)?;
        if local.address_family() != AddressFamily::UNIX {
            return Ok(Endpoint::Ip(local.try_into()?));
        }
        let local = SocketAddrUnix::try_from(local)?;
        let path = local
            .path_bytes()
            .and_then(|path| str::from_utf8(path).ok());
        let path = path.and_then(|path| path.parse().ok());
        Ok(Endpoint::Unix(path.ok_or(io::ErrorKind::NotFound)?))
    }

    /// Sends what fits, without asking whether anything does.
    ///
    /// # Errors
    /// `WouldBlock` when nothing does.
    pub(super) fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(&self.watched, bytes, SendFlags::NOSIGNAL)?)
    }

    /// Receives into `buffer`.
    pub(super) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Read>> {
        let room = buffer.len();
        self.poll_read(cx, Some(room), |fd| {
            Ok(recv(fd, &mut *buffer, RecvFlags::empty())?.0)
        })
    }

    /// Moves bytes out of the socket by `call`. `room` is how many it has place for; `None` where
    /// it may take less than that and yet leave some.
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        room: Option<usize>,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<Read>> {
        let ready = ready!(self.watched.poll_ready(cx, READABLE))?;
        match call(self.watched.as_fd()) {
            Ok(bytes) => {
                // A short count means that the socket is empty: the call that would say so is
                // saved. But urgent data stops a receive short, and of a Unix socket a message
                // that carried descriptors does (unix(7), SCM_RIGHTS).
                let short = bytes > 0 && room.is_some_and(|room| bytes < room);
                let empty = short && !self.is_unix && !ready.contains(EventFlags::PRI);
                if empty {
                    self.watched.clear(EventFlags::IN);
                }
                let last = ready.intersects(CLOSED);
                // What was broken looks closed too: only a receive tells the one from the other.
                let end = empty && last && !ready.contains(EventFlags::ERR);
                Poll::Ready(Ok(Read { bytes, last, end }))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.watched.clear(EventFlags::IN);
                self.watched.wait(cx, READABLE)?;
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// The same without asking whether there is anything. Pending says only that there was not:
    /// nobody is woken for it.
    pub(super) fn try_read(
        &self,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<Read>> {
        match call(self.watched.as_fd()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            done => Poll::Ready(done.map(Read::some)),
        }
    }

    /// Waits until the peer has broken the connection.
    pub(super) fn poll_broken(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match ready!(self.watched.poll_ready(cx, EventFlags::ERR)) {
            Ok(_) => Poll::Ready(self.error()),
            Err(error) => Poll::Ready(error),
        }
    }

    /// Why the connection is broken.
    fn error(&self) -> io::Error {
        match options::socket_error(&self.watched) {
            Ok(Err(error)) => error.into(),
            Ok(Ok(())) | Err(_) => io::ErrorKind::ConnectionReset.into(),
        }
    }

    /// Whether it is connected to itself: so the kernel connects to a port of this machine that
    /// nobody listens on, if it happens to choose the same port for our side.
    pub(super) fn is_its_own_peer(&self, address: SocketAddr) -> bool {
        self.local()
            .is_ok_and(|local| local == Endpoint::Ip(address))
    }

    /// Sends from `bytes`; with `more`, the kernel may wait for what comes next.
    pub(super) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        more: bool,
    ) -> Poll<io::Result<usize>> {
        let flags = if more {
            SendFlags::NOSIGNAL | SendFlags::MORE
        } else {
            SendFlags::NOSIGNAL
        };
        self.poll_write(cx, bytes.len(), |fd| Ok(send(fd, bytes, flags)?))
    }

    /// Moves up to `length` bytes into the socket by `call`, which a short count fills.
    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        length: usize,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.watched.poll_ready(cx, WRITABLE))?;
        match call(self.watched.as_fd()) {
            Ok(bytes) => {
                if bytes < length {
                    self.watched.clear(EventFlags::OUT);
                }
                Poll::Ready(Ok(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.watched.clear(EventFlags::OUT);
                self.watched.wait(cx, WRITABLE)?;
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Waits until the peer has broken the connection: for a side that has finished sending,
    /// from which a reset can no longer be read.
    pub(super) async fn broken(&self) -> io::Error {
        poll_fn(|cx| self.poll_broken(cx)).await
    }

    /// Tells the peer that nothing more will come.
    ///
    /// # Errors
    /// When the connection is broken already.
    pub(super) fn finish(&self) -> io::Result<()> {
        Ok(shutdown(&self.watched, Shutdown::Write)?)
    }

    /// Lets small messages go out at once.
    pub(super) fn send_at_once(&self) {
        // Costs latency where it fails, nothing else.
        let _ = options::set_tcp_nodelay(&self.watched, true);
    }

    /// Has the connection broken when this is dropped, so that the peer cannot take it for
    /// finished.
    pub(super) fn reset(&self) {
        reset(&self.watched);
    }
}

/// Has a connection broken when `fd` is closed: its peer sees a reset.
pub(super) fn reset(fd: impl AsFd) {
    // Where it fails, the connection ends with a FIN instead: there is no other way left.
    let _ = options::set_socket_linger(&fd, Some(Duration::ZERO));
}

/// A socket that listens on `address`, and the address that it got.
///
/// # Errors
/// When the address is in use, is not ours, or may not be bound by us.
pub(super) fn listening(address: SocketAddr, tcp: &Tcp) -> io::Result<(OwnedFd, SocketAddr)> {
    let fd = new_socket(address)?;
    options::set_socket_reuseaddr(&fd, true)?;
    if address.is_ipv6() {
        options::set_ipv6_v6only(&fd, tcp.v6only)?;
    }
    // Connections inherit these from their listener, which saves calls for each. Urgent data
    // stays among the rest, so that its byte is not lost.
    options::set_tcp_nodelay(&fd, true)?;
    options::set_socket_oobinline(&fd, true)?;
    bind(&fd, &address)?;
    tune(&fd, tcp)?;
    let local = getsockname(&fd)?.try_into().map_err(io::Error::from)?;
    Ok((fd, local))
}

/// Has a socket that somebody else has bound do as ours do; returns its address.
///
/// # Errors
/// When it is no TCP socket that listens.
pub(super) fn inherited(fd: &OwnedFd) -> io::Result<SocketAddr> {
    let is_ours =
        options::socket_acceptconn(fd)? && options::socket_type(fd)? == SocketType::STREAM;
    let address = getsockname(fd)?.try_into();
    let (true, Ok(address)) = (is_ours, address) else {
        return Err(io::Error::other("it is no TCP socket that listens"));
    };
    rustix::io::ioctl_fionbio(fd, true)?;
    options::set_tcp_nodelay(fd, true)?;
    options::set_socket_oobinline(fd, true)?;
    Ok(address)
}

/// Whether a socket of IPv6 takes nothing else.
///
/// # Errors
/// When it is none.
pub(super) fn only_v6(fd: &OwnedFd) -> io::Result<bool> {
    Ok(options::ipv6_v6only(fd)?)
}

/// Has a socket that is bound listen as `tcp` says, or, where it listens already, from now on.
///
/// # Errors
/// When the system refuses; what came before in the list holds then.
pub(super) fn tune(fd: impl AsFd, tcp: &Tcp) -> io::Result<()> {
    let fd = fd.as_fd();
    options::set_socket_keepalive(fd, false)?;
    options::set_tcp_user_timeout(fd, 0)?;
    keep_watch(fd, tcp.keepalive.limit(), tcp.user_timeout.limit())?;
    sockopt::set_defer_accept(fd, tcp.defer_accept.duration())?;
    Ok(listen(fd, tcp.backlog.get())?)
}

/// Has the kernel find out whether the peer is still there.
fn keep_watch(
    fd: impl AsFd,
    keepalive: Option<Duration>,
    user_timeout: Option<Duration>,
) -> io::Result<()> {
    let fd = fd.as_fd();
    if let Some(silence) = keepalive {
        options::set_tcp_keepidle(fd, silence)?;
        options::set_tcp_keepintvl(fd, silence)?;
        options::set_socket_keepalive(fd, true)?;
    }
    if let Some(longest) = user_timeout {
        let millis = u32::try_from(longest.as_millis()).unwrap_or(u32::MAX);
        options::set_tcp_user_timeout(fd, millis)?;
    }
    Ok(())
}

fn new_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(socket_with(family, SocketType::STREAM, flags, None)?)
}
