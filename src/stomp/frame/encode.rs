//! Frames to bytes.
//! It must not write anything that the other side could read as more than the one frame.

use stomp_rs::protocol::{ClientCommand, Frame};

use super::escape::escape_into;

/// Why a frame cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// CONNECT knows no escapes.
    #[error(
        "the header {0} of CONNECT cannot have a colon in its name, or a line break or NUL at all"
    )]
    Connect(String),
    /// A NUL ends a frame, and headers have no escape for it.
    #[error("the header {0:?} has a NUL")]
    Nul(String),
}

/// Appends `frame` to `out`. `content-length` is added only where the body has a NUL: ActiveMQ
/// takes a message without it for text, and one with it for bytes.
///
/// # Errors
/// When a header cannot be written; `out` is as before then.
pub fn encode(frame: &Frame<ClientCommand>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    let written = write(frame, out);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn write(frame: &Frame<ClientCommand>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let command: &str = frame.command.into();
    out.extend_from_slice(command.as_bytes());
    out.push(b'\n');
    for (name, value) in &frame.headers {
        if name == "content-length" {
            continue;
        }
        if frame.command == ClientCommand::Connect {
            let breaks = |text: &str| text.contains(['\r', '\n', '\0']);
            // A value may have a colon: only the first one of the line counts.
            if breaks(name) || breaks(value) || name.contains(':') {
                return Err(EncodeError::Connect(name.escape_default().to_string()));
            }
            out.extend_from_slice(name.as_bytes());
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
        } else {
            if name.contains('\0') || value.contains('\0') {
                return Err(EncodeError::Nul(name.clone()));
            }
            escape_into(name, out);
            out.push(b':');
            escape_into(value, out);
        }
        out.push(b'\n');
    }
    if frame.body.contains('\0') {
        out.extend_from_slice(format!("content-length:{}\n", frame.body.len()).as_bytes());
    }
    out.push(b'\n');
    out.extend_from_slice(frame.body.as_bytes());
    out.push(0);
    Ok(())
}
