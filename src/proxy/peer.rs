//! Who is at the other end of a connection that came to us.
//! It must not judge them.

use std::{fmt, net::IpAddr, net::SocketAddr};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Somebody at an address.
    Ip(SocketAddr),
    /// Somebody on this machine, through a Unix socket: they have no address.
    Unix,
}

impl Peer {
    /// The address without the port; `None` for those who have none.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}
