//! Whole messages of LDAP, as bytes (RFC 4511 section 5.1, BER): where one ends, and whether its
//! parts fit into each other.
//! It must not know what a message means.

use std::io::{self, ErrorKind};

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest message, in bytes: an entry with a thousand groups has a fifth of that.
pub(super) const MAX_MESSAGE: usize = 1024 * 1024;
/// How deep parts may lie in each other. Entries and results have five levels. Whoever reads
/// parts with a function that calls itself needs a bound, or a message makes it overflow the stack.
const MAX_DEPTH: usize = 16;
/// The tag of a SEQUENCE, which every message is.
const SEQUENCE: u8 = 0x30;

/// Reads one message, of at most [`MAX_MESSAGE`] bytes, and nothing after it. `None` at the end.
///
/// # Errors
/// Those of `from`; `InvalidData` for what is no message, or none that could be read on.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    match from.read_u8().await {
        Ok(tag) => message.push(tag),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    // A server that speaks something else is found out by its first byte.
    if message != [SEQUENCE] {
        return Err(invalid("the server does not speak LDAP"));
    }
    message.push(from.read_u8().await?);
    let more = match message.last() {
        Some(short @ 0..=0x7f) => usize::from(*short),
        Some(count @ 0x81..=0x84) => {
            let start = message.len();
            for _ in 0..count - 0x80 {
                message.push(from.read_u8().await?);
            }
            let bytes = message.iter().skip(start);
            bytes.fold(0, |length, byte| length << 8 | usize::from(*byte))
        }
        _ => return Err(invalid("a message without a proper length")),
    };
    if more > MAX_MESSAGE {
        return Err(invalid("a message of more than 1 MiB"));
    }
    let body = message.len();
    let read = from.take(more as u64).read_to_end(&mut message).await?;
    if read < more {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    match fits(message.get(body..).unwrap_or_default(), MAX_DEPTH) {
        Some(()) => Ok(Some(message)),
        None => Err(invalid("a message whose parts do not fit into each other")),
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// Whether `parts` are elements, each within what holds it, no deeper than `depth`.
fn fits(mut parts: &[u8], depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    while !parts.is_empty() {
        let element = element(parts)?;
        if element.constructed {
            fits(element.content, depth)?;
        }
        parts = element.rest;
    }
    Some(())
}

/// One element of BER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// Class, kind and number, as on the wire.
    pub(super) tag: u8,
    constructed: bool,
    /// What is in it.
    pub(super) content: &'a [u8],
    /// What comes after it.
    pub(super) rest: &'a [u8],
}

/// The first element of `bytes`. LDAP knows neither tags of several bytes nor open lengths.
pub(super) fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&tag, bytes) = bytes.split_first()?;
    let (&first, bytes) = bytes.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, bytes) = match first {
        0..=0x7f => (usize::from(first), bytes),
        0x81..=0x84 => {
            let (length, bytes) = bytes.split_at_checked(usize::from(first - 0x80))?;
            let length = length.iter();
            let length = length.fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, bytes)
        }
        _ => return None,
    };
    let (content, rest) = bytes.split_at_checked(length)?;
    Some(Element {
        tag,
        constructed: tag & 0x20 != 0,
        content,
        rest,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn first(mut bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
        read(&mut bytes).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_message_is_read_whole_and_nothing_after_it() {
        let mut bytes: &[u8] = &[0x30, 3, 2, 1, 7, 0x30, 0x81, 3, 2, 1, 8, 9];
        let mut next = async || read(&mut bytes).await;
        assert_eq!(next().await.unwrap().unwrap(), [0x30, 3, 2, 1, 7]);
        assert_eq!(next().await.unwrap().unwrap(), [0x30, 0x81, 3, 2, 1, 8]);
        assert!(next().await.is_err());
        assert_eq!(first(&[]).await, Ok(None));
    }

    #[tokio::test]
    async fn what_is_no_message_is_refused_before_it_is_read_on() {
        for (bytes, what) in [
            (&b"HTTP/1.1 400"[..], "does not speak LDAP"),
            (&[0x30, 0x80, 0, 0], "proper length"),
            (&[0x30, 0x85, 0, 0, 0, 0, 1], "proper length"),
            (&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], "1 MiB"),
            (&[0x30, 3, 2, 5, 7], "do not fit"),
            (&[0x30, 3, 0x1f, 1, 7], "do not fit"),
            (&[0x30, 2, 2], "end of file"),
            (&[0x30], "end of file"),
        ] {
            let error = first(bytes).await.unwrap_err();
            assert!(error.contains(what), "{bytes:?}: {error}");
        }
    }

    #[tokio::test]
    async fn parts_within_parts_without_end_are_refused() {
        let nested = |depth: usize| {
            let mut bytes = vec![2, 1, 7];
            for _ in 0..depth {
                let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
                bytes = [&[0x30, 0x84], &length[..], &bytes].concat();
            }
            bytes
        };
        assert!(first(&nested(MAX_DEPTH)).await.unwrap().is_some());
        let error = first(&nested(5000)).await.unwrap_err();
        assert!(error.contains("do not fit"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let whole = [&[0x30, bytes.len().min(127) as u8][..], &bytes].concat();
            let _ = runtime.block_on(first(&whole));
            let _ = runtime.block_on(first(&bytes));
        }
    }
}
