//! Connecting to the host that was picked: at its address, or at those of its name in turn.
//! It must not pick another host.

use std::{io, net::SocketAddr, time::Duration};

use super::{
    account::Refusal, ephemeral, event_loop::Handle, flow::Flow, session::Session, socket::Socket,
};
use crate::{
    balance::{Lease, view::Outgoing},
    model::address::{Endpoint, HostAddress},
};

/// How many of the addresses that a name leads to one session tries. The next session goes on
/// where it left off.
const TURNS: usize = 3;

/// A connection to a host, and at which address where its name led to several.
type Connection = (Socket, Option<SocketAddr>);

impl Session {
    /// Connects to the host; the inner error is the host's or this machine's.
    pub(super) async fn connect(
        &self,
        lease: &Lease,
        limit: Option<Duration>,
        outgoing: &Outgoing,
        up: &mut Flow,
    ) -> Result<io::Result<Connection>, Refusal> {
        match lease.host().reach().address() {
            HostAddress::At(endpoint) => {
                let connected = self
                    .connect_to(endpoint, lease, limit, outgoing, up)
                    .await?;
                Ok(connected.map(|socket| (socket, None)))
            }
            // In a box, so that the sessions with other hosts are not larger for it.
            HostAddress::Named(_) => {
                Box::pin(self.connect_in_turn(lease, limit, outgoing, up)).await
            }
        }
    }

    async fn connect_in_turn(
        &self,
        lease: &Lease,
        limit: Option<Duration>,
        outgoing: &Outgoing,
        up: &mut Flow,
    ) -> Result<io::Result<Connection>, Refusal> {
        let reach = lease.host().reach();
        let mut last = io::Error::other("its name is not resolved");
        for address in reach.in_turn().take(TURNS) {
            let endpoint = Endpoint::Ip(address);
            let connected = self.connect_to(&endpoint, lease, limit, outgoing, up);
            match connected.await? {
                Ok(socket) => return Ok(Ok((socket, Some(address)))),
                Err(error) if is_ours(&error) || is_port_shortage(&error) => {
                    return Ok(Err(error));
                }
                Err(error) => {
                    tracing::debug!(host = %lease.host().path(), %address, %error, "connect failed");
                    reach.failed(address);
                    last = error;
                }
            }
        }
        Ok(Err(last))
    }

    async fn connect_to(
        &self,
        endpoint: &Endpoint,
        lease: &Lease,
        limit: Option<Duration>,
        outgoing: &Outgoing,
        up: &mut Flow,
    ) -> Result<io::Result<Socket>, Refusal> {
        let hold_ack = !up.pending().is_empty() || self.service().opening.is_clients();
        match begin(endpoint, hold_ack, outgoing, up, self.lane.event_loop()) {
            // In a box, so that sessions are not larger for it once they are connected.
            Ok((host, false)) => Box::pin(self.wait_for_connect(host, lease, limit)).await,
            Ok((host, true)) => Ok(Ok(host)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn wait_for_connect(
        &self,
        host: Socket,
        lease: &Lease,
        limit: Option<Duration>,
    ) -> Result<io::Result<Socket>, Refusal> {
        let connected = async {
            match limit {
                None => host.connected().await,
                Some(limit) => {
                    let within = self.lane.event_loop().within(limit, host.connected());
                    within.await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
                }
            }
        };
        tokio::select! {
            biased;
            connected = connected => Ok(connected.map(|()| host)),
            () = self.asked_to_end(Some(lease)) => Err(Refusal::Closed),
        }
    }
}

/// Begins to connect to a host, and sends it at once what is pending in `up`, without waiting to
/// be told that it can be sent. Says whether the connection stands; once anything has gone out,
/// this host is the one.
fn begin(
    endpoint: &Endpoint,
    hold_ack: bool,
    outgoing: &Outgoing,
    up: &mut Flow,
    event_loop: &Handle,
) -> io::Result<(Socket, bool)> {
    let host = Socket::connecting(endpoint, hold_ack, outgoing, event_loop)?;
    if let Endpoint::Ip(address) = endpoint {
        let could_be_us = address.ip().is_loopback() && ephemeral::may_be_ours(address.port());
        if could_be_us && host.is_its_own_peer(*address) {
            host.reset();
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
    }
    if up.pending().is_empty() {
        let stands = host.stands(endpoint)?;
        return Ok((host, stands));
    }
    match host.try_send(up.pending()) {
        Ok(sent) => {
            up.passed_on(sent);
            Ok((host, true))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok((host, false)),
        Err(error) => Err(error),
    }
}

/// Whether there is no port left for another connection to the same host.
pub(super) fn is_port_shortage(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
}

/// Whether it is this machine that cannot connect, rather than the host that cannot be reached.
pub(super) fn is_ours(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let lacking = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        // No more may be watched (epoll(7), `max_user_watches`).
        Errno::NOSPC,
        Errno::AGAIN,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| lacking.iter().any(|errno| errno.raw_os_error() == code))
}
