//! The escapes of header lines: `\r`, `\n`, `\c`, `\\` (section "Value Encoding").
//! It must not be used on CONNECT and CONNECTED, which have none.

use std::borrow::Cow;

/// `text` as it stands in a header line.
pub(super) fn escape_into(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b':' => out.extend_from_slice(b"\\c"),
            byte => out.push(byte),
        }
    }
}

/// What the header text `text` says; `None` when it has an escape that is not defined, which the
/// specification calls fatal.
pub(super) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    let Some(first) = text.find('\\') else {
        return Some(Cow::Borrowed(text));
    };
    let (plain, rest) = text.split_at(first);
    let mut out = String::with_capacity(text.len());
    out.push_str(plain);
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        out.push(match characters.next()? {
            '\\' => '\\',
            'r' => '\r',
            'n' => '\n',
            'c' => ':',
            _ => return None,
        });
    }
    Some(Cow::Owned(out))
}
