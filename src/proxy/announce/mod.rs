//! The PROXY protocol: what a proxy in front of us says of its client, and what we say to hosts.
//! It must not read or write sockets; bytes are given to it.
//!
//! `https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt`, sections 2.1 and 2.2.

mod binary;
mod text;

use std::net::{IpAddr, SocketAddr};

use super::peer::Peer;
use crate::model::address::Endpoint;
pub use crate::model::topology::SendProxy as Version;

/// The longest header that is read. The protocol allows 64 KiB of extensions in the binary form;
/// those that are in use fit into a fraction of this.
pub const LONGEST: usize = 4096;

/// What a header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// The client and the address that it called; `None` where the proxy speaks for itself, or
    /// does not know: then the connection's own addresses hold.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// Extensions of the binary form, by type, as they came; without the checksum.
    pub extensions: Vec<(u8, Vec<u8>)>,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// They begin like none.
    #[error("no PROXY protocol header, where one is required")]
    Missing,
    /// The text form, not as it should be.
    #[error("a malformed PROXY protocol header of version 1")]
    Text,
    /// The binary form, not as it should be.
    #[error("a malformed PROXY protocol header of version 2")]
    Binary,
    /// It announces a connection that is not TCP.
    #[error("a PROXY protocol header for something else than TCP")]
    Family,
    /// The checksum (CRC32c) does not agree.
    #[error("a PROXY protocol header with a wrong checksum")]
    Checksum,
    /// It does not end within [`LONGEST`].
    #[error("a PROXY protocol header of more than {LONGEST} bytes")]
    TooLong,
}

/// Reads a header at the beginning of `bytes`: how long it is, and what it says; `None` while it
/// is not complete.
///
/// # Errors
/// Why it is no header, as soon as that is clear.
pub fn parse(bytes: &[u8]) -> Result<Option<(usize, Announced)>, HeaderError> {
    if agrees(bytes, binary::SIGNATURE) {
        binary::parse(bytes)
    } else if agrees(bytes, text::START) {
        text::parse(bytes)
    } else {
        Err(HeaderError::Missing)
    }
}

/// A header that tells a host about `client`, which called `called`. Version 1 has no place for
/// extensions, nor for Unix sockets.
pub fn render(
    version: Version,
    client: Peer,
    called: &Endpoint,
    extensions: &[(u8, Vec<u8>)],
) -> Vec<u8> {
    match (version, client, called) {
        (Version::V1, Peer::Ip(client), Endpoint::Ip(called)) => {
            let (client, called) = alike(client, *called);
            text::render(client, called)
        }
        (Version::V2, Peer::Ip(client), Endpoint::Ip(called)) => {
            let (client, called) = alike(client, *called);
            binary::render(client, called, extensions)
        }
        (Version::V1, _, _) => text::UNKNOWN.to_vec(),
        (Version::V2, _, Endpoint::Unix(called)) => {
            let path = called.path().as_os_str().as_encoded_bytes();
            binary::render_unix(path, extensions)
        }
        (Version::V2, Peer::Unix, Endpoint::Ip(_)) => binary::render_unix(&[], extensions),
    }
}

/// Whether the two are the same as far as both go.
fn agrees(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(one, other)| one == other)
}

/// Both addresses in one family: IPv4, or IPv6 where one of them has no other form.
fn alike(one: SocketAddr, other: SocketAddr) -> (SocketAddr, SocketAddr) {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (one, other) = (plain(one), plain(other));
    if one.is_ipv4() == other.is_ipv4() {
        return (one, other);
    }
    let wide = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    (wide(one), wide(other))
}

#[cfg(test)]
mod tests;
