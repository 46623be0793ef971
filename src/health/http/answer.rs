//! An HTTP answer as it comes in, understood as far as a probe needs it (RFC 9112). Pure.
//! It must not keep more of it than its bounds, whatever the host sends.

use super::body::{Body, Framing};
use crate::model::topology::probe::{HttpMethod, HttpProbe};

/// The most that heads may take, those of interim answers included, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// What was found in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) status: u16,
    /// Whether the wanted text is in the body; true if none is wanted.
    pub(super) has_text: bool,
}

/// An answer as it comes in.
pub(super) struct Answer {
    wanted: Option<Vec<u8>>,
    /// Whether there is a body after the head, whatever the head says.
    bodiless: bool,
    head: Vec<u8>,
    /// How much came in heads of interim answers.
    interim: usize,
    status: Option<u16>,
    body: Option<Body>,
}

type End = Result<Found, String>;

impl Answer {
    pub(super) fn new(wanted: &HttpProbe) -> Self {
        let text = wanted.body.as_ref();
        Self {
            wanted: text.map(|text| text.as_str().as_bytes().to_vec()),
            bodiless: wanted.method == HttpMethod::Head,
            head: Vec::new(),
            interim: 0,
            status: None,
            body: None,
        }
    }

    /// Takes in what came, nothing for the end of the stream. `Some` once nothing more is needed,
    /// with what is wrong with the answer if it is none.
    pub(super) fn take(&mut self, fresh: &[u8]) -> Option<End> {
        if fresh.is_empty() {
            return Some(self.end());
        }
        if self.body.is_some() {
            return self.take_body(fresh);
        }
        self.head.extend_from_slice(fresh);
        while let Some(length) = head_length(&self.head) {
            let rest = self.head.split_off(length);
            let head = std::mem::replace(&mut self.head, rest);
            let (status, framing) = match read_head(&head) {
                Ok(read) => read,
                Err(error) => return Some(Err(error)),
            };
            // Interim answers go before the one that counts (RFC 9110, section 15.2).
            if (100..200).contains(&status) {
                self.interim += length;
                continue;
            }
            return self.headed(status, framing);
        }
        if self.head.len() + self.interim > MAX_HEAD {
            return Some(Err(format!(
                "its answer has a head of more than {MAX_HEAD} bytes"
            )));
        }
        None
    }

    fn headed(&mut self, status: u16, framing: Framing) -> Option<End> {
        self.status = Some(status);
        let has_text = self.wanted.is_none();
        let without = self.bodiless || status == 204 || status == 304;
        let Some(wanted) = self.wanted.clone().filter(|_| !without) else {
            return Some(Ok(Found { status, has_text }));
        };
        self.body = Some(Body::new(wanted, framing));
        let rest = std::mem::take(&mut self.head);
        self.take_body(&rest)
    }

    fn take_body(&mut self, fresh: &[u8]) -> Option<End> {
        let (Some(status), Some(body)) = (self.status, &mut self.body) else {
            return Some(Err("its answer makes no sense".to_owned()));
        };
        let has_text = match body.take(fresh) {
            Ok(None) => return None,
            Ok(Some(has_text)) => has_text,
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(Found { status, has_text }))
    }

    fn end(&self) -> End {
        match self.status {
            // The text may have been in what did not come; it is not in what did.
            Some(status) => Ok(Found {
                status,
                has_text: false,
            }),
            None => Err(format!("{}, and then hung up", self.so_far())),
        }
    }

    /// What has come, for people.
    pub(super) fn so_far(&self) -> String {
        match (self.status, self.head.len() + self.interim) {
            (Some(status), _) => format!("answers {status} and a part of the body"),
            (None, 0) => "answered nothing".to_owned(),
            (None, 1) => "answered 1 byte".to_owned(),
            (None, count) => format!("answered {count} bytes of a head"),
        }
    }
}

/// The length of the head at the start of `bytes`, with the empty line that ends it.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    for line in bytes
        .get(..bytes.len().min(MAX_HEAD))?
        .split_inclusive(|byte| *byte == b'\n')
    {
        length += line.len();
        // A lone LF may end a line (RFC 9112, section 2.2).
        if matches!(line, b"\n" | b"\r\n") {
            return Some(length);
        }
    }
    None
}

fn read_head(head: &[u8]) -> Result<(u16, Framing), String> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let status = status_of(first).ok_or_else(|| format!("answers what is not HTTP: {first}"))?;
    let mut framing = Framing::ToTheEnd;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(format!("answers in the transfer encoding {value}"));
            }
            // It counts more than a length (RFC 9112, section 6.3).
            framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case("content-length") && framing != Framing::Chunked {
            let length = value.parse();
            let length = length.map_err(|_| format!("answers with a length of {value}"))?;
            framing = Framing::Length(length);
        }
    }
    Ok((status, framing))
}

/// The status of a status line (RFC 9112, section 4): `HTTP/1.1 200 OK`.
fn status_of(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?;
    let (minor, rest) = rest.split_once(' ')?;
    let code = rest.split(' ').next().unwrap_or_default();
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    let is_known = matches!(minor, "0" | "1") && is_code;
    code.parse()
        .ok()
        .filter(|code| is_known && (100..=599).contains(code))
}

#[cfg(test)]
mod tests;
