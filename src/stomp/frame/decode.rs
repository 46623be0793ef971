//! Bytes to frames, as they come, each byte looked at once.
//! It must not keep more of a frame than its limits say, whatever the other side sends.

use stomp_rs::protocol::ServerCommand;

use super::{Body, Frame, Headers, Limits, escape::unescape};

/// The longest command is `CONNECTED`.
const LONGEST_COMMAND: usize = 9;
/// Headers that are kept even where there are too many: without them a message can be neither
/// told apart nor acknowledged.
const OURS: [&str; 12] = [
    "ack",
    "content-length",
    "content-type",
    "destination",
    "heart-beat",
    "message",
    "message-id",
    "receipt-id",
    "server",
    "session",
    "subscription",
    "version",
];

/// What a broker must not send. Nothing that follows can be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not one of CONNECTED, MESSAGE, RECEIPT, ERROR.
    #[error("{0:?} is no command of a broker")]
    Command(String),
    /// A header line without a colon, with an escape that is not defined, or not UTF-8.
    #[error("the header line {0:?} is wrong")]
    Header(String),
    /// `content-length` is no number.
    #[error("{0:?} is no content-length")]
    Length(String),
    /// A body that is longer than its `content-length`.
    #[error("a body is longer than its content-length, {0}")]
    Overlong(u64),
}

/// Reads frames out of bytes that come in any pieces.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    state: State,
    /// The line that is not whole yet, without what is beyond its limit.
    line: Vec<u8>,
    /// Whether the line is longer than its limit.
    line_is_cut: bool,
    command: ServerCommand,
    headers: Headers,
    body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a command: line ends between frames are heart-beats, or mean nothing.
    Between,
    Command,
    Headers,
    /// In a body: how much of it has come, and how much there is if that was said.
    Body {
        had: u64,
        length: Option<u64>,
    },
}

impl Decoder {
    /// A decoder that keeps of a frame what `limits` say.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Between,
            line: Vec::new(),
            line_is_cut: false,
            command: ServerCommand::Error,
            headers: Headers::default(),
            body: Vec::new(),
        }
    }

    /// The next frame in `input`, which is moved past what was taken in. `None`: all was taken in,
    /// and the frame, if one has begun, goes on in what comes next.
    ///
    /// # Errors
    /// When this is not STOMP. The decoder is of no use then.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, DecodeError> {
        while let Some((&byte, rest)) = input.split_first() {
            match self.state {
                State::Between if matches!(byte, b'\n' | b'\r') => *input = rest,
                State::Between => self.state = State::Command,
                State::Command => {
                    if self.take_line(input, LONGEST_COMMAND + 1) {
                        self.command = self.command()?;
                        self.state = State::Headers;
                    } else if self.line_is_cut {
                        return Err(self.no_command());
                    }
                }
                State::Headers => {
                    if self.take_line(input, self.limits.line) {
                        self.header()?;
                    }
                }
                State::Body { had, length } => {
                    if let Some(frame) = self.take_body(input, had, length)? {
                        return Ok(Some(frame));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Takes in bytes up to the end of the line, of which at most `limit` are kept; returns
    /// whether it has come.
    fn take_line(&mut self, input: &mut &[u8], limit: usize) -> bool {
        let end = input.iter().position(|byte| *byte == b'\n');
        let (part, rest) = input.split_at(end.unwrap_or(input.len()));
        let kept = part.len().min(limit.saturating_sub(self.line.len()));
        self.line_is_cut |= kept < part.len();
        self.line.extend(part.iter().take(kept));
        *input = rest.get(1..).unwrap_or_default();
        if end.is_some() && !self.line_is_cut && self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        end.is_some()
    }

    fn command(&mut self) -> Result<ServerCommand, DecodeError> {
        let text = str::from_utf8(&self.line).ok();
        let command = text.and_then(|text| ServerCommand::try_from(text).ok());
        let command = command.filter(|_| !self.line_is_cut);
        let command = command.ok_or_else(|| self.no_command());
        self.line.clear();
        command
    }

    fn no_command(&self) -> DecodeError {
        DecodeError::Command(String::from_utf8_lossy(&self.line).into_owned())
    }

    /// Takes the line for a header, or for the end of the headers.
    fn header(&mut self) -> Result<(), DecodeError> {
        let line = std::mem::take(&mut self.line);
        let cut = std::mem::take(&mut self.line_is_cut);
        if line.is_empty() && !cut {
            self.state = State::Body {
                had: 0,
                length: self.content_length()?,
            };
            return Ok(());
        }
        if cut {
            self.headers.cut = true;
            return Ok(());
        }
        let wrong =
            || DecodeError::Header(String::from_utf8_lossy(&line).chars().take(80).collect());
        let text = str::from_utf8(&line).map_err(|_| wrong())?;
        let (name, value) = text.split_once(':').ok_or_else(wrong)?;
        let read = |text: &str| match self.command {
            ServerCommand::Connected => Some(text.to_owned()),
            // It may come before a version is agreed on, when nothing is escaped yet.
            ServerCommand::Error => {
                Some(unescape(text).map_or_else(|| text.to_owned(), |text| text.into_owned()))
            }
            ServerCommand::Message | ServerCommand::Receipt => Some(unescape(text)?.into_owned()),
        };
        let name = read(name).ok_or_else(wrong)?;
        let room = self.headers.list.len() < self.limits.headers;
        if room || (OURS.contains(&name.as_str()) && self.headers.get(&name).is_none()) {
            let value = read(value).ok_or_else(wrong)?;
            self.headers.list.push((name, value));
        } else {
            self.headers.cut = true;
        }
        Ok(())
    }

    fn content_length(&self) -> Result<Option<u64>, DecodeError> {
        let Some(text) = self.headers.get("content-length") else {
            return Ok(None);
        };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let length = text.parse().ok().filter(|_| digits);
        let wrong = || DecodeError::Length(text.chars().take(80).collect());
        length.map(Some).ok_or_else(wrong)
    }

    /// Takes in some of the body; returns the frame at its end.
    fn take_body(
        &mut self,
        input: &mut &[u8],
        had: u64,
        length: Option<u64>,
    ) -> Result<Option<Frame>, DecodeError> {
        let here = match length {
            None => input.iter().position(|byte| *byte == 0),
            Some(length) => usize::try_from(length - had).ok(),
        };
        let ends = here.filter(|here| *here < input.len());
        let (part, rest) = input.split_at(ends.unwrap_or(input.len()));
        *input = rest;
        let had = had.saturating_add(part.len() as u64);
        let room = self.limits.body.saturating_sub(self.body.len());
        self.body.extend(part.iter().take(room));
        self.state = State::Body { had, length };
        let Some((&end, rest)) = rest.split_first() else {
            return Ok(None);
        };
        if end != 0 {
            return Err(DecodeError::Overlong(length.unwrap_or_default()));
        }
        *input = rest;
        self.state = State::Between;
        let body = std::mem::take(&mut self.body);
        Ok(Some(Frame {
            command: self.command,
            headers: std::mem::take(&mut self.headers),
            body: if had == body.len() as u64 {
                Body::Whole(body)
            } else {
                Body::TooLong(had)
            },
        }))
    }
}
