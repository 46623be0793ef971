//! Version 2 of the PROXY protocol: a binary header with extensions.
//! It must not believe a length before the bytes are there.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Announced, HeaderError, LONGEST};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family and protocol, and the length of what follows.
const FIXED: usize = 16;
/// The type of the extension that holds a checksum (section 2.2.3).
const CRC32C: u8 = 0x03;
/// The length of an extension's type and length.
const PREFIX: usize = 3;

/// The family of Unix sockets, and how long a path of theirs is (section 2.2).
const UNIX: u8 = 0x31;
const PATH: usize = 108;

type Addresses = Option<(SocketAddr, SocketAddr)>;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<(usize, Announced)>, HeaderError> {
    let Some((fixed, _)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(None);
    };
    let [.., command, family, high, low] = *fixed;
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    let speaks_for_itself = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(HeaderError::Binary),
    };
    if length > LONGEST {
        return Err(HeaderError::TooLong);
    }
    let Some(header) = bytes.get(..length) else {
        return Ok(None);
    };
    let rest = &header[FIXED..];
    let (addresses, rest) = match (speaks_for_itself, family) {
        // Addresses and family are to be ignored, and so what follows cannot be told apart.
        (true, _) => (None, &rest[..0]),
        (false, 0x00) => (None, rest),
        (false, 0x11) => ipv4(rest)?,
        (false, 0x21) => ipv6(rest)?,
        // A Unix socket: its paths are of no use here, the extensions after them are.
        (false, UNIX) => (None, rest.get(2 * PATH..).ok_or(HeaderError::Binary)?),
        (false, _) => return Err(HeaderError::Family),
    };
    // Nothing is known of an unspecified family, its extensions included.
    let rest = if family == 0 { &rest[..0] } else { rest };
    let announced = Announced {
        addresses,
        extensions: extensions(header, rest)?,
    };
    Ok(Some((length, announced)))
}

fn ipv4(bytes: &[u8]) -> Result<(Addresses, &[u8]), HeaderError> {
    let (block, rest) = bytes.split_first_chunk::<12>().ok_or(HeaderError::Binary)?;
    let [a, b, c, d, e, f, g, h, from_high, from_low, to_high, to_low] = *block;
    let from = (
        Ipv4Addr::new(a, b, c, d),
        u16::from_be_bytes([from_high, from_low]),
    );
    let to = (
        Ipv4Addr::new(e, f, g, h),
        u16::from_be_bytes([to_high, to_low]),
    );
    Ok((Some((from.into(), to.into())), rest))
}

fn ipv6(bytes: &[u8]) -> Result<(Addresses, &[u8]), HeaderError> {
    let (from, rest) = bytes.split_first_chunk::<16>().ok_or(HeaderError::Binary)?;
    let (to, rest) = rest.split_first_chunk::<16>().ok_or(HeaderError::Binary)?;
    let (ports, rest) = rest.split_first_chunk::<4>().ok_or(HeaderError::Binary)?;
    let [from_high, from_low, to_high, to_low] = *ports;
    let from = (
        Ipv6Addr::from(*from),
        u16::from_be_bytes([from_high, from_low]),
    );
    let to = (Ipv6Addr::from(*to), u16::from_be_bytes([to_high, to_low]));
    Ok((Some((from.into(), to.into())), rest))
}

/// The extensions in `rest`, which is the end of `header`.
fn extensions(header: &[u8], mut rest: &[u8]) -> Result<Vec<(u8, Vec<u8>)>, HeaderError> {
    let mut extensions = Vec::new();
    while let Some((prefix, after)) = rest.split_first_chunk::<PREFIX>() {
        let [kind, high, low] = *prefix;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let value = after.get(..length).ok_or(HeaderError::Binary)?;
        rest = &after[length..];
        if kind == CRC32C {
            check(header, header.len() - rest.len() - length, value)?;
        } else {
            extensions.push((kind, value.to_vec()));
        }
    }
    if rest.is_empty() {
        Ok(extensions)
    } else {
        Err(HeaderError::Binary)
    }
}

/// Checks the checksum `value`, which stands at `place` in `header` and counts as zeros there.
fn check(header: &[u8], place: usize, value: &[u8]) -> Result<(), HeaderError> {
    let Ok(announced) = <[u8; 4]>::try_from(value) else {
        return Err(HeaderError::Binary);
    };
    let (before, after) = (&header[..place], &header[place + announced.len()..]);
    let sum = crc32c::crc32c_append(
        crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]),
        after,
    );
    if sum == u32::from_be_bytes(announced) {
        Ok(())
    } else {
        Err(HeaderError::Checksum)
    }
}

/// Both addresses are of one family. Extensions that would make it longer than can be read here
/// are left out.
pub(super) fn render(
    client: SocketAddr,
    called: SocketAddr,
    extensions: &[(u8, Vec<u8>)],
) -> Vec<u8> {
    let mut body = Vec::new();
    let family = match (client, called) {
        (SocketAddr::V4(client), SocketAddr::V4(called)) => {
            body.extend(client.ip().octets());
            body.extend(called.ip().octets());
            0x11
        }
        (client, called) => {
            for address in [client, called] {
                if let SocketAddr::V6(address) = address {
                    body.extend(address.ip().octets());
                }
            }
            0x21
        }
    };
    body.extend(client.port().to_be_bytes());
    body.extend(called.port().to_be_bytes());
    whole(family, body, extensions)
}

/// The header of a client on the Unix socket `called`. It has no path of its own.
pub(super) fn render_unix(called: &[u8], extensions: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![0; 2 * PATH];
    let place = body.iter_mut().skip(PATH).take(PATH);
    place.zip(called).for_each(|(to, from)| *to = *from);
    whole(UNIX, body, extensions)
}

/// The header with `body`, and after it as many of the extensions as fit.
fn whole(family: u8, mut body: Vec<u8>, extensions: &[(u8, Vec<u8>)]) -> Vec<u8> {
    for (kind, value) in extensions {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        if FIXED + body.len() + PREFIX + value.len() <= LONGEST {
            body.push(*kind);
            body.extend(length.to_be_bytes());
            body.extend(value);
        }
    }
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let mut header = SIGNATURE.to_vec();
    header.extend([0x21, family]);
    header.extend(length.to_be_bytes());
    header.extend(body);
    header
}
