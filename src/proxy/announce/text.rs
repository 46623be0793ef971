//! Version 1 of the PROXY protocol: a line of text.
//! It must not accept what the specification does not write.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use super::{Announced, HeaderError};

pub(super) const START: &[u8] = b"PROXY ";
/// What is said of a client that has no IP address.
pub(super) const UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";
/// The longest line, its end included (section 2.1).
const LONGEST: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<(usize, Announced)>, HeaderError> {
    let start = &bytes[..bytes.len().min(LONGEST)];
    let end = start.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let end = match end.map(|end| (end, start.get(end..))) {
        Some((end, Some([b'\r', b'\n', ..]))) => end,
        None | Some((_, Some([b'\r']))) if bytes.len() < LONGEST => return Ok(None),
        // Half an end does not become a whole one by waiting.
        None | Some(_) => return Err(HeaderError::Text),
    };
    let line = str::from_utf8(&start[..end]).map_err(|_| HeaderError::Text)?;
    let addresses = addresses(line)?;
    let announced = Announced {
        addresses,
        extensions: Vec::new(),
    };
    Ok(Some((end + 2, announced)))
}

fn addresses(line: &str) -> Result<Option<(SocketAddr, SocketAddr)>, HeaderError> {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        // Whatever follows is to be ignored.
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", "TCP4", ips @ .., from, to] => both::<Ipv4Addr>(ips, [from, to]).map(Some),
        ["PROXY", "TCP6", ips @ .., from, to] => both::<Ipv6Addr>(ips, [from, to]).map(Some),
        _ => Err(HeaderError::Text),
    }
}

fn both<T: FromStr + Into<IpAddr>>(
    ips: &[&str],
    ports: [&str; 2],
) -> Result<(SocketAddr, SocketAddr), HeaderError> {
    let [from, to] = ips else {
        return Err(HeaderError::Text);
    };
    let ip = |text: &str| {
        text.parse::<T>()
            .map(Into::into)
            .map_err(|_| HeaderError::Text)
    };
    let address = |ip: IpAddr, text| Ok(SocketAddr::new(ip, port(text)?));
    Ok((address(ip(from)?, ports[0])?, address(ip(to)?, ports[1])?))
}

/// A decimal number without a sign or leading zeros.
fn port(text: &str) -> Result<u16, HeaderError> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let number = if plain { text.parse().ok() } else { None };
    number.ok_or(HeaderError::Text)
}

/// Both addresses are of one family.
pub(super) fn render(client: SocketAddr, called: SocketAddr) -> Vec<u8> {
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (client.ip(), called.ip());
    format!(
        "PROXY {family} {from} {to} {} {}\r\n",
        client.port(),
        called.port()
    )
    .into_bytes()
}
