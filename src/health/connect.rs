//! What every probe over a connection does first: connect, within its time; and how it lets go.
//! It must not know what is asked then.

use std::{future::Future, net::SocketAddr, time::Duration};

use rustix::net::sockopt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, UnixStream},
    time::{Instant, timeout_at},
};

use super::{Asked, Outcome};
use crate::model::address::Endpoint;

/// A connection that a probe talks over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection to `address`. Dropped, it is reset: thousands of probes a second would else leave
/// as many ports waiting, here or, where the host hangs up first, there (RFC 9293, section 3.6.1).
///
/// # Errors
///
/// The outcome of the probe.
pub(super) async fn connect(
    address: &Asked,
    deadline: Instant,
) -> Result<Box<dyn Stream>, Outcome> {
    let cannot = |error| Outcome::of_error(&format!("cannot connect to {address}"), &error);
    let late = format!("{address} did not take a connection");
    let ip = match address.at() {
        Endpoint::Ip(ip) => *ip,
        Endpoint::Unix(path) => {
            let connecting = UnixStream::connect(path.path());
            let stream = within(deadline, &late, connecting).await?.map_err(cannot)?;
            return Ok(Box::new(stream));
        }
    };
    let socket = match ip {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.map_err(cannot)?;
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).map_err(|e| cannot(e.into()))?;
    sockopt::set_tcp_nodelay(&socket, true).map_err(|e| cannot(e.into()))?;
    let stream = within(deadline, &late, socket.connect(ip)).await?;
    Ok(Box::new(stream.map_err(cannot)?))
}

/// What `future` gives, if it does before `deadline`.
///
/// # Errors
///
/// The outcome of a probe that failed because of `what` did not happen.
pub(super) async fn within<F: Future>(
    deadline: Instant,
    what: &str,
    future: F,
) -> Result<F::Output, Outcome> {
    let late = |_| Outcome::failed(format!("{what} in time"));
    timeout_at(deadline, future).await.map_err(late)
}
