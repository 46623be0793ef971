//! Sockets as the data plane uses them: non-blocking calls and the readiness that tokio reports.
//! It must not know what a session is.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, bind,
    connect, getsockname, listen, recv, send, shutdown, socket_with, sockopt as options,
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{sockopt, unix};
use crate::{
    balance::view::Outgoing,
    model::{address::Endpoint, topology::Tcp},
};

/// What is waited for. Urgent data is not passed on as such, but it stops a receive short.
const INTEREST: Interest = Interest::READABLE
    .add(Interest::WRITABLE)
    .add(Interest::PRIORITY);

/// A connected (or connecting) socket, registered with the runtime it was made in.
#[derive(Debug)]
pub(super) struct Socket(AsyncFd<OwnedFd>);

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
    /// Takes over a connection that was accepted.
    ///
    /// # Errors
    /// When the runtime's poller cannot take it.
    #[expect(
        deprecated,
        reason = "unsound only for types that close or change their descriptor"
    )]
    pub(super) fn accepted(fd: OwnedFd) -> io::Result<Self> {
        AsyncFd::with_interest(fd, INTEREST).map(Self)
    }

    /// Begins to connect to `endpoint`. With `hold_ack`, the acknowledgement that ends the
    /// handshake waits for the first bytes that are sent, and saves a segment; only for a caller
    /// who has bytes to send.
    ///
    /// # Errors
    /// When there is no descriptor, no port or no route, or the host refused at once.
    pub(super) fn connecting(
        endpoint: &Endpoint,
        hold_ack: bool,
        outgoing: &Outgoing,
    ) -> io::Result<Self> {
        let address = match endpoint {
            Endpoint::Ip(address) => *address,
            Endpoint::Unix(path) => return unix::connecting(path).and_then(Self::accepted),
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
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Self::accepted(fd),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the connection stands.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) async fn connected(&self) -> io::Result<()> {
        let _ready = self.0.writable().await?;
        options::socket_error(&self.0)??;
        Ok(())
    }

    /// Receives what is there, without asking whether anything is.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is.
    pub(super) fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(&self.0, buffer, RecvFlags::empty())?.0)
    }

    /// Receives what is there, or waits for it; zero is the end.
    ///
    /// # Errors
    /// When the peer breaks the connection.
    pub(super) async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = |fd: BorrowedFd<'_>| Ok(recv(fd, &mut *buffer, RecvFlags::empty())?.0);
        let mut read = read;
        self.0
            .async_io(Interest::READABLE, |fd| read(fd.as_fd()))
            .await
    }

    /// Our own end: the address, or the path, that the peer called.
    ///
    /// # Errors
    /// When the connection is broken already.
    pub(super) fn local(&self) -> io::Result<Endpoint> {
        let local = getsockname(&self.0)?;
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
        Ok(send(&self.0, bytes, SendFlags::NOSIGNAL)?)
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
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<Read>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            let last = guard.ready().is_read_closed();
            match guard.try_io(|fd| call(fd.as_fd())) {
                Ok(Ok(bytes)) => {
                    // A short count means that the socket is empty: the call that would say so
                    // is saved. What has closed stays ready; tokio never clears that.
                    let short = bytes > 0 && room.is_some_and(|room| bytes < room);
                    let empty = short && !self.has_urgent();
                    if empty {
                        guard.clear_ready();
                    }
                    // What was broken looks closed too: only a receive tells the one from the other.
                    let end = empty && last && !self.is_broken();
                    return Poll::Ready(Ok(Read { bytes, last, end }));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }

    /// The same without asking whether there is anything. Pending says only that there was not:
    /// nobody is woken for it.
    pub(super) fn try_read(
        &self,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<Read>> {
        match call(self.0.get_ref().as_fd()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            done => Poll::Ready(done.map(Read::some)),
        }
    }

    /// Whether urgent data has ever come: a receive stops short at it, and more may follow.
    fn has_urgent(&self) -> bool {
        if self.0.try_io(Interest::PRIORITY, |_| Ok(())).is_err() {
            return false;
        }
        // What has closed is ready for this too: only the guard tells the one from the other.
        let ready = pin!(self.0.ready(Interest::PRIORITY));
        match ready.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(guard)) => guard.ready().is_priority(),
            Poll::Ready(Err(_)) | Poll::Pending => true,
        }
    }

    fn is_broken(&self) -> bool {
        self.0.try_io(Interest::ERROR, |_| Ok(())).is_ok()
    }

    /// Waits until the peer has broken the connection, or anything else happens to this socket.
    /// It is not known to be ready afterwards, even if it is.
    pub(super) fn poll_broken(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.is_broken() {
            return Poll::Ready(self.error());
        }
        while let Poll::Ready(Ok(mut guard)) = self.0.poll_read_ready(cx) {
            if guard.ready().is_read_closed() {
                break;
            }
            guard.clear_ready();
        }
        Poll::Pending
    }

    /// Why the connection is broken.
    fn error(&self) -> io::Error {
        match options::socket_error(&self.0) {
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
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(cx))?;
            match guard.try_io(|fd| call(fd.as_fd())) {
                Ok(Ok(bytes)) => {
                    if bytes < length {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(bytes));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }

    /// Waits until the peer has broken the connection: for a side that has finished sending,
    /// from which a reset can no longer be read.
    pub(super) async fn broken(&self) -> io::Error {
        match self.0.ready(Interest::ERROR).await {
            Ok(_guard) => self.error(),
            Err(error) => error,
        }
    }

    /// Tells the peer that nothing more will come.
    ///
    /// # Errors
    /// When the connection is broken already.
    pub(super) fn finish(&self) -> io::Result<()> {
        Ok(shutdown(&self.0, Shutdown::Write)?)
    }

    /// Lets small messages go out at once.
    pub(super) fn send_at_once(&self) {
        // Costs latency where it fails, nothing else.
        let _ = options::set_tcp_nodelay(&self.0, true);
    }

    /// Has the connection broken when this is dropped, so that the peer cannot take it for
    /// finished.
    pub(super) fn reset(&self) {
        reset(&self.0);
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
