//! Where log lines go and how they look.
//! It must not be used by anything but the program: a library leaves this to its caller.

use std::io::{self, IsTerminal};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter,
    filter::{LevelFilter, ParseError},
};

/// Lines that may wait to be written; more are dropped.
const LINES: usize = 8192;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
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

/// Writes log lines to standard error: those that `level` lets through, or else `RUST_LOG`, or
/// else info and above. What waits when the guard is dropped is still written.
pub(super) fn start(format: LogFormat, level: Option<&str>) -> Result<WorkerGuard, LogLevelError> {
    let from_environment = std::env::var("RUST_LOG").ok();
    let filter = level
        .or(from_environment.as_deref())
        .filter(|filter| !filter.is_empty());
    let filter = filter.unwrap_or("info");
    let parsed = understand(filter)?;
    // A reader who does not keep up loses lines; nobody here waits for one.
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES)
        .finish(io::stderr());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(writer)
        // It would say so on standard error, and panic where nobody reads that either.
        .log_internal_errors(false);
    let colour = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match format {
        LogFormat::Text => lines.with_ansi(colour).with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(guard)
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
