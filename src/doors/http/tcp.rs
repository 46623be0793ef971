//! The API over TCP: with TLS, or without it where only this machine can connect.
//! It must not speak plainly to another machine.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    os::fd::OwnedFd,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub use super::tls::{CertificateError, CertificateFiles};
use super::{
    Api,
    caller::{Peer, Standing},
    guard::Guard,
    serve::{Accepts, serve},
    slots::Held,
    tls::Reloading,
};
use crate::model::principal::Door;

/// Where and how to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// The address.
    pub listen: SocketAddr,
    /// The certificate; without one, `listen` must be an address of loopback.
    pub certificate: Option<CertificateFiles>,
    /// The names that requests may be for; none: `listen` and `localhost`.
    pub hosts: Vec<String>,
}

/// Why the API cannot be served over TCP.
#[derive(Debug, thiserror::Error)]
pub enum TcpError {
    /// Passwords would go over the network as they are.
    #[error("admin.http listens on {0}, which is not loopback: it needs a certificate")]
    Plain(SocketAddr),
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The system refused.
    #[error("admin.http: cannot listen on {}: {}", .0, .1.kind())]
    Refused(SocketAddr, io::Error),
}

/// A TCP socket that listens. Cheap to clone; it closes with the last clone, and nobody who waits
/// to be accepted is lost as long as there is one.
#[derive(Clone, Debug)]
pub struct Bound {
    listener: Arc<StdListener>,
    address: SocketAddr,
}

impl Bound {
    /// A socket that another process has bound, and hands over.
    ///
    /// # Errors
    /// When it is no TCP socket.
    pub fn inherit(fd: OwnedFd) -> io::Result<Self> {
        Self::on(fd.into())
    }

    /// Binds to `listen`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn bind(listen: SocketAddr) -> io::Result<Self> {
        Self::on(StdListener::bind(listen)?)
    }

    fn on(listener: StdListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            address: listener.local_addr()?,
            listener: Arc::new(listener),
        })
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket, as the runtime polls it.
    pub(super) fn listener(&self) -> io::Result<TcpListener> {
        TcpListener::from_std(self.listener.try_clone()?)
    }

    /// A descriptor of it, for another process.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        Ok(self.listener.try_clone()?.into())
    }

    /// What another process may inherit of it, without keeping it open.
    pub fn heirloom(&self) -> Heirloom {
        Heirloom(Arc::downgrade(&self.listener))
    }
}

/// A socket that is open, as far as another process may inherit it.
#[derive(Clone, Debug)]
pub struct Heirloom(Weak<StdListener>);

impl Heirloom {
    /// A descriptor of the socket, as long as that is open.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn duplicate(&self) -> io::Result<Option<OwnedFd>> {
        let listener = self.0.upgrade();
        listener
            .map(|listener| Ok(listener.try_clone()?.into()))
            .transpose()
    }
}

/// The API on a TCP socket.
#[derive(Debug)]
pub struct TcpDoor {
    bound: Bound,
    tls: Option<Arc<Reloading>>,
    hosts: Vec<String>,
}

impl TcpDoor {
    /// Binds as `options` say.
    ///
    /// # Errors
    /// When the address cannot be bound, the certificate not used, or one is missing.
    pub fn bind(options: TcpOptions) -> Result<Self, TcpError> {
        let listen = options.listen;
        Self::on(options, || Bound::bind(listen))
    }

    /// The same on a socket that another door has, or had; what `options` say of the address
    /// must be what they said when it was bound.
    ///
    /// # Errors
    /// When the certificate cannot be used, or is missing.
    pub fn again(bound: &Bound, options: TcpOptions) -> Result<Self, TcpError> {
        Self::on(options, || Ok(bound.clone()))
    }

    fn on(options: TcpOptions, bind: impl FnOnce() -> io::Result<Bound>) -> Result<Self, TcpError> {
        let TcpOptions {
            listen,
            certificate,
            hosts,
        } = options;
        if certificate.is_none() && !listen.ip().is_loopback() {
            return Err(TcpError::Plain(listen));
        }
        let tls = certificate.map(Reloading::open).transpose()?.map(Arc::new);
        let bound = bind().map_err(|error| TcpError::Refused(listen, error))?;
        Ok(Self { bound, tls, hosts })
    }

    /// The address that it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.bound.address
    }

    /// Its socket, for the door that will take its place.
    pub fn bound(&self) -> Bound {
        self.bound.clone()
    }

    /// Serves `api` until it is told to stop.
    ///
    /// # Errors
    /// When the runtime cannot poll the socket.
    pub async fn serve(self, api: Api) -> io::Result<()> {
        let Self { bound, tls, hosts } = self;
        let guard = Guard::tcp(&hosts, bound.address, tls.is_some());
        let listener = bound.listener()?;
        // It is not to stay open for those who are still being answered.
        drop(bound);
        serve(Arc::new(Accepting { listener, tls }), api, guard).await;
        Ok(())
    }
}

/// A TCP socket as connections are accepted from it.
pub(super) struct Accepting {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<Arc<Reloading>>,
}

impl Accepts for Accepting {
    type Raw = (TcpStream, SocketAddr);
    type Stream = MaybeTls;

    async fn accept(&self) -> io::Result<Self::Raw> {
        self.listener.accept().await
    }

    async fn open(
        self: Arc<Self>,
        (stream, from): Self::Raw,
        held: &Held,
    ) -> io::Result<(MaybeTls, Peer)> {
        stream.set_nodelay(true)?;
        let stream = match &self.tls {
            Some(tls) => {
                let accepted = TlsAcceptor::from(tls.current()).accept(stream).await?;
                MaybeTls::Tls(Box::new(accepted))
            }
            None => MaybeTls::Plain(stream),
        };
        let peer = Peer {
            door: Door::Http,
            // Without the port: failed log-ins are slowed down by where they come from.
            from: from.ip().to_canonical().to_string().into(),
            standing: Standing::Nobody,
            slot: Arc::clone(held.slot()),
        };
        Ok((stream, peer))
    }
}

/// A connection, with TLS or without.
pub(super) enum MaybeTls {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for MaybeTls {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for MaybeTls {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
