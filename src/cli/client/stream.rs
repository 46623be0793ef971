//! Events as they come: the format `text/event-stream` (HTML standard, section 9.2).
//! It must not know what an event means.

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{Reply, Trouble, Via, bus::BusStream};

/// The largest event that is read, in bytes: 1 MiB.
const LARGEST: usize = 1 << 20;

/// What came of asking for events.
pub(in crate::cli) enum Opened {
    /// They come.
    Stream(Stream),
    /// They do not.
    Refused(Reply),
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Message {
    /// By which to go on after it, where it has one.
    pub(in crate::cli) id: Option<String>,
    pub(in crate::cli) data: String,
}

/// Events as they come.
pub(in crate::cli) enum Stream {
    /// From the node.
    Http(HttpStream),
    /// From a broker.
    Bus(Box<BusStream>),
}

impl Stream {
    /// The next event; `None` when the stream has to be opened again.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<Message>, Trouble> {
        match self {
            Self::Http(stream) => stream.next().await,
            Self::Bus(stream) => stream.next().await,
        }
    }
}

/// Events as they come over HTTP.
pub(in crate::cli) struct HttpStream {
    via: Via,
    body: Incoming,
    parser: Parser,
}

impl HttpStream {
    pub(super) fn new(via: Via, body: Incoming) -> Self {
        Self {
            via,
            body,
            parser: Parser::default(),
        }
    }

    /// The next event; `None` when the node has ended the stream.
    async fn next(&mut self) -> Result<Option<Message>, Trouble> {
        loop {
            if let Some(message) = self.parser.message() {
                return Ok(Some(message));
            }
            let broken = |error| Trouble::Broken(self.via.clone(), error);
            if self.parser.held() > LARGEST {
                return Err(broken("an event is larger than 1 MiB".into()));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(broken(error.into())),
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref();
                    self.parser.take_in(bytes.map_or(&[], |bytes| bytes));
                }
            }
        }
    }
}

/// Takes bytes in, gives events out.
#[derive(Debug, Default)]
struct Parser {
    bytes: Vec<u8>,
    id: Option<String>,
    data: Option<String>,
}

impl Parser {
    fn take_in(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn held(&self) -> usize {
        self.bytes.len() + self.data.as_ref().map_or(0, String::len)
    }

    /// The next event that is complete.
    fn message(&mut self) -> Option<Message> {
        while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                // Without data it is no event, but its id counts.
                if let Some(data) = self.data.take() {
                    let id = self.id.clone();
                    return Some(Message { id, data });
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => self.id = Some(value.to_owned()),
                "data" => match &mut self.data {
                    Some(data) => *data = format!("{data}\n{value}"),
                    None => self.data = Some(value.to_owned()),
                },
                // A comment, or a field that is not for us.
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_whole_however_the_bytes_are_cut() {
        let text =
            ": hello\n\nid: 7\ndata: {\"a\":\ndata: 1}\n\nevent: x\r\ndata:two\r\n\r\ndata: 3";
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let mut found = Vec::new();
            for bytes in text.as_bytes().chunks(size) {
                parser.take_in(bytes);
                found.extend(std::iter::from_fn(|| parser.message()));
            }
            let message = |data: &str| Message {
                id: Some("7".into()),
                data: data.into(),
            };
            assert_eq!(found, [message("{\"a\":\n1}"), message("two")], "{size}");
        }
    }
}
