//! Where log lines go and how they look.
//! It must not be used by anything but the program: a library leaves this to its caller.

use std::io::{self, BufWriter, IsTerminal};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter,
    filter::{LevelFilter, ParseError},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::journal::{self, Journal, Socket};
use crate::app::lost_lines;

/// Lines that may wait to be written; more are dropped.
const LINES: usize = 8192;
/// Bytes of whole lines that are written at once, at most: what a pipe takes whole or not at all
/// (`PIPE_BUF`), so that lines of two processes do not mix in it while one takes over from the other.
const TOGETHER: usize = 4096;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
    /// Entries with fields, to the journal of systemd.
    Journal,
}

/// A filter that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogLevelError {
    /// It is no filter.
    #[error("cannot understand the log level {filter:?}: {source}")]
    Filter { filter: String, source: ParseError },
    /// A word in it is no level: it would pass for the name of a module, and silence all others.
    #[error(
        "{0:?} is no log level; there are off, error, warn, info, debug, trace, \
         and for one module: pointsman=debug"
    )]
    Level(String),
}

/// Writes log lines: those that `level` lets through, or else `RUST_LOG`, or else info and above.
/// What waits when the guard is dropped is still written. Without a `format` they go to the journal
/// where systemd reads standard error into it, and are text elsewhere.
pub(super) fn start(
    format: Option<LogFormat>,
    level: Option<&str>,
) -> Result<WorkerGuard, LogLevelError> {
    let from_environment = std::env::var("RUST_LOG").ok();
    let filter = level
        .or(from_environment.as_deref())
        .filter(|filter| !filter.is_empty());
    let filter = filter.unwrap_or("info");
    let parsed = understand(filter)?;
    let automatic = match journal::is_read_by_it() {
        true => LogFormat::Journal,
        false => LogFormat::Text,
    };
    let (json, unjournalled) = match format.unwrap_or(automatic) {
        LogFormat::Text => (false, None),
        LogFormat::Json => (true, None),
        LogFormat::Journal => match Socket::connect() {
            Ok(socket) => {
                let (writer, guard) = not_waiting(socket);
                let lines = tracing_subscriber::registry().with(parsed);
                lines.with(Journal(writer)).init();
                return Ok(guard);
            }
            Err(error) => (false, Some(error)),
        },
    };
    // Lines that wait together are written together; there is a flush when none waits.
    let (writer, guard) = not_waiting(Together(BufWriter::with_capacity(TOGETHER, io::stderr())));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(writer)
        // It would say so on standard error, and panic where nobody reads that either.
        .log_internal_errors(false);
    let colour = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if json {
        lines.json().flatten_event(true).init();
    } else {
        lines.with_ansi(colour).with_target(false).init();
    }
    if let Some(error) = unjournalled {
        tracing::warn!(%error, "there is no journal; log lines go to standard error");
    }
    Ok(guard)
}

/// Has lines written to `target` by a thread of its own. A reader who does not keep up loses
/// lines; nobody here waits for one.
fn not_waiting(target: impl io::Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES)
        .finish(target);
    lost_lines::counted_by(writer.error_counter());
    (writer, guard)
}

/// Standard error, written in pieces of whole lines.
struct Together(BufWriter<io::Stderr>);

impl io::Write for Together {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    /// What cannot be written waits for the next line. The worker would take a failure for a
    /// reason not to end, and whoever stops it would wait for that.
    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

fn understand(filter: &str) -> Result<EnvFilter, LogLevelError> {
    let words: Vec<&str> = filter.split(',').map(str::trim).collect();
    let parsed = words
        .join(",")
        .parse()
        .map_err(|source| LogLevelError::Filter {
            filter: filter.to_owned(),
            source,
        })?;
    let mut words = filter.split(',').map(str::trim);
    let no_level =
        |word: &&str| !word.contains(['=', '[', ']', ':']) && word.parse::<LevelFilter>().is_err();
    match words.find(no_level) {
        Some(word) => Err(LogLevelError::Level(word.to_owned())),
        None => Ok(parsed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_filters_are_understood() {
        for filter in [
            "info",
            "WARN",
            "off",
            "3",
            "info,pointsman=debug",
            "pointsman::proxy",
            "warn, pointsman=debug",
            "warn,pointsman[session]=trace",
        ] {
            assert!(understand(filter).is_ok(), "{filter}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_not_taken_for_a_module() {
        for filter in ["loud", "info,loud", "pointsman=loud", "info=debug=warn"] {
            assert!(understand(filter).is_err(), "{filter}");
        }
    }
}
