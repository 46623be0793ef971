//! Asks the person at the terminal, or reads what stands in for them on standard input.
//! It must not show a password, nor leave the terminal mute.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

use super::Exit;

/// The longest answer that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Nothing was there to be read.
    #[error("no answer: standard input has ended")]
    Ended,
    /// It cannot be read.
    #[error("cannot read the answer: {0}")]
    Unreadable(#[from] io::Error),
}

impl AskError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Interrupted => Exit::Signal(2),
            Self::Ended | Self::Unreadable(_) => Exit::Failed,
        }
    }
}

/// Whether somebody can be asked.
pub(super) fn is_person() -> bool {
    io::stdin().is_terminal()
}

/// What a person types on one line, or the next line of standard input.
pub(super) fn line(question: &str) -> Result<String, AskError> {
    if is_person() {
        show(question);
    }
    let mut text = String::new();
    let mut input = io::stdin().lock().take(LONGEST);
    match input.read_line(&mut text)? {
        0 => Err(AskError::Ended),
        _ => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
    }
}

/// As [`line()`], without showing what is typed.
pub(super) fn secret(question: &str) -> Result<SecretString, AskError> {
    if !is_person() {
        return line(question).map(SecretString::from);
    }
    // First: what is typed early is not to be seen either.
    let mute = Mute::start()?;
    show(question);
    let typed = typed_line();
    drop(mute);
    show("\n");
    typed.map(SecretString::from)
}

fn show(text: &str) {
    // Standard output is for answers, and may be a pipe.
    let mut error = io::stderr().lock();
    let _ = error
        .write_all(text.as_bytes())
        .and_then(|()| error.flush());
}

/// The terminal without echo, and with Ctrl-C as a byte like any other: a signal would end this
/// process before it could give the echo back.
struct Mute(Termios);

impl Mute {
    fn start() -> Result<Self, AskError> {
        let before = tcgetattr(io::stdin()).map_err(io::Error::from)?;
        let mut mute = before.clone();
        mute.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        tcsetattr(io::stdin(), OptionalActions::Flush, &mute).map_err(io::Error::from)?;
        Ok(Self(before))
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        // Flush: what was typed too much is no command for the shell.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// A line from a terminal that does not put one together by itself.
fn typed_line() -> Result<String, AskError> {
    let mut line = Vec::new();
    for byte in io::stdin().lock().take(LONGEST).bytes() {
        match byte? {
            b'\n' | b'\r' => return Ok(String::from_utf8_lossy(&line).into_owned()),
            // Ctrl-C, Ctrl-\
            3 | 28 => return Err(AskError::Interrupted),
            // Ctrl-D
            4 if line.is_empty() => return Err(AskError::Ended),
            4 => {}
            // Backspace takes a character, whose bytes after the first begin with 10.
            8 | 127 => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            // Ctrl-U
            21 => line.clear(),
            byte => line.push(byte),
        }
    }
    Err(AskError::Ended)
}
