//! Frames of STOMP 1.2 as bytes, both ways: <https://stomp.github.io/stomp-specification-1.2.html>.
//! It must not wait for anything, nor know any clock or socket.

mod decode;
mod encode;
mod escape;

#[cfg(test)]
mod tests;

pub use decode::{DecodeError, Decoder};
pub use encode::{EncodeError, encode};
pub use stomp_rs::protocol::{ClientCommand, Frame as ClientFrame, ServerCommand};

/// What a broker sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Its command.
    pub command: ServerCommand,
    /// Its headers, unescaped.
    pub headers: Headers,
    /// Its body.
    pub body: Body,
}

/// The body of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// All of it. It need not be text.
    Whole(Vec<u8>),
    /// It had that many bytes, more than are kept.
    TooLong(u64),
}

/// Headers in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    pub(super) list: Vec<(String, String)>,
    pub(super) cut: bool,
}

impl Headers {
    /// The value of the first header with this name; a repeated one does not count (section
    /// "Repeated Header Entries"). Names are case-sensitive.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.list.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All, repeated ones too.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.list
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there were more, or longer ones, than are kept. Those that STOMP itself defines are
    /// kept even then.
    pub fn are_cut(&self) -> bool {
        self.cut
    }
}

/// How much of a frame is kept. What is beyond is read past, so that what follows is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Headers.
    pub headers: usize,
    /// The bytes of one header line.
    pub line: usize,
    /// The bytes of a body.
    pub body: usize,
}

impl Limits {
    /// 100 headers of up to 8 KiB, and a body of up to `body` bytes.
    pub const fn with_body(body: usize) -> Self {
        Self {
            headers: 100,
            line: 8 * 1024,
            body,
        }
    }
}
