//! Log lines as the journal of systemd takes them: a datagram each, with fields.
//! It must not write one itself: a journal that does not keep up must keep nobody waiting.

use std::{
    fmt::{Debug, Write as _},
    io::{self, Write},
    os::{linux::fs::MetadataExt, unix::net::UnixDatagram},
    path::PathBuf,
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_appender::non_blocking::NonBlocking;
use tracing_subscriber::{Layer, layer::Context};

/// Where the journal listens: systemd, "Native Journal Protocol".
const SOCKET: &str = "/run/systemd/journal/socket";
/// The longest value of a field, in bytes; longer ones are cut.
const LONGEST: usize = 32 * 1024;

/// Whether standard error is what systemd connected to the journal: systemd.exec(5),
/// `$JOURNAL_STREAM`.
pub(super) fn is_read_by_it() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(ours) = std::fs::metadata("/proc/self/fd/2") else {
        return false;
    };
    let ours = format!("{}:{}", ours.st_dev(), ours.st_ino());
    stream.to_str() == Some(ours.as_str())
}

/// The journal's socket; what is written to it at once is one entry.
pub(super) struct Socket(UnixDatagram);

impl Socket {
    /// # Errors
    /// When there is no journal.
    pub(super) fn connect() -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path())?;
        Ok(Self(socket))
    }
}

/// Where the journal is; a build for tests may be told otherwise.
fn path() -> PathBuf {
    #[cfg(debug_assertions)]
    if let Some(path) = std::env::var_os("POINTSMAN_JOURNAL") {
        return PathBuf::from(path);
    }
    PathBuf::from(SOCKET)
}

impl Write for Socket {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        if self.0.send(entry).is_err() {
            // It was started anew, and has another socket.
            self.0.connect(path())?;
            self.0.send(entry)?;
        }
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes entries of log lines, and has them written elsewhere.
pub(super) struct Journal(pub(super) NonBlocking);

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let entry = entry(event);
        // What does not fit into the queue is lost and counted there.
        let _ = self.0.clone().write_all(&entry);
    }
}

fn entry(event: &Event<'_>) -> Vec<u8> {
    let metadata = event.metadata();
    let mut entry = Entry::default();
    entry.add("SYSLOG_IDENTIFIER", "pointsman");
    entry.add("PRIORITY", priority(*metadata.level()));
    entry.add("POINTSMAN_TARGET", metadata.target());
    event.record(&mut entry);
    entry.0
}

/// As syslog(3) has them.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

/// An entry as it grows.
#[derive(Default)]
struct Entry(Vec<u8>);

impl Entry {
    fn add(&mut self, name: &str, value: &str) {
        let value = &value[..value.floor_char_boundary(LONGEST)];
        self.0.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            // Such a value has its length before it, in little endian.
            self.0.push(b'\n');
            self.0
                .extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'\n');
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(&name(field.name()), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write!(text, "{value:?}");
        self.add(&name(field.name()), &text);
    }
}

/// `client` is `POINTSMAN_CLIENT`; names have capitals, digits and underscores.
fn name(field: &str) -> String {
    if field == "message" {
        return "MESSAGE".to_owned();
    }
    let fits = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
        _ => '_',
    };
    format!("POINTSMAN_{}", field.chars().map(fits).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_several_lines_has_its_length_before_it() {
        let mut entry = Entry::default();
        entry.add("MESSAGE", "one");
        entry.add("POINTSMAN_WHY", "a\nMESSAGE=b");
        let wanted = b"MESSAGE=one\nPOINTSMAN_WHY\n\x0b\0\0\0\0\0\0\0a\nMESSAGE=b\n";
        assert_eq!(entry.0, wanted);
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let mut entry = Entry::default();
        entry.add("X", &format!("a{}", "\u{fc}".repeat(LONGEST)));
        assert_eq!(entry.0.len(), LONGEST - 1 + "X=\n".len());
    }

    #[test]
    fn names_of_fields_are_such_as_the_journal_takes() {
        assert_eq!(name("message"), "MESSAGE");
        assert_eq!(name("to_host"), "POINTSMAN_TO_HOST");
        assert_eq!(name("r#type.x"), "POINTSMAN_R_TYPE_X");
    }
}
