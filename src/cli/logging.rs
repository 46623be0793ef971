//! Where log lines go and how they look.
//! It must not be used by anything but the program: a library leaves this to its caller.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::ParseError};

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
#[error("cannot understand the log level {filter:?}: {source}")]
pub(super) struct LogLevelError {
    filter: String,
    source: ParseError,
}

/// Writes log lines to standard error: those that `level` lets through, or else `RUST_LOG`, or
/// else info and above.
pub(super) fn start(format: LogFormat, level: Option<&str>) -> Result<(), LogLevelError> {
    let from_environment = std::env::var("RUST_LOG").ok();
    let filter = level
        .or(from_environment.as_deref())
        .filter(|filter| !filter.is_empty());
    let filter = filter.unwrap_or("info");
    let parsed = filter
        .parse::<EnvFilter>()
        .map_err(|source| LogLevelError {
            filter: filter.to_owned(),
            source,
        })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(io::stderr);
    let colour = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match format {
        LogFormat::Text => lines.with_ansi(colour).with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
