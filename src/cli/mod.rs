//! The command line: what can be typed, and what it exits with.
//! It must not do itself what it is asked; it calls whoever does, and shows the answer.

mod check;
mod demo;
mod logging;
mod run;
mod table;

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use logging::LogFormat;

/// Where the configuration is when nobody says otherwise.
const DEFAULT_FILE: &str = "/etc/pointsman/pointsman.toml";

/// A TCP load balancer that is run over a message bus.
#[derive(Debug, Parser)]
#[command(name = "pointsman", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// How log lines are written, to standard error [default: text at a terminal, else text]
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, hide_default_value = true)]
    log: LogFormat,
    /// Which log lines are written: error, warn, info, debug, trace, or a filter as in RUST_LOG
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the balancer
    Run {
        /// The configuration
        #[arg(default_value = DEFAULT_FILE)]
        file: PathBuf,
    },
    /// Report every problem of a configuration, with its line
    Check {
        /// The configuration
        #[arg(default_value = DEFAULT_FILE)]
        file: PathBuf,
    },
    /// Show what it does: three little hosts, a balancer in front of them, lines to try
    Demo(demo::Options),
}

/// What the program exits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// What was given is not valid.
    Invalid,
    /// A signal, with this number, ended it at once.
    Signal(i32),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Invalid => Self::from(4),
            // As a shell reports a program that a signal ended.
            Exit::Signal(number) => Self::from(128_u8.saturating_add(number.unsigned_abs() as u8)),
        }
    }
}

/// Does what the command line of this process says.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = logging::start(arguments.log, arguments.log_level.as_deref()) {
        complain(&error);
        return ExitCode::from(2);
    }
    let exit = match arguments.action {
        Action::Run { file } => run::run(&file),
        Action::Check { file } => check::run(&file),
        Action::Demo(options) => demo::run(&options),
    };
    exit.into()
}

/// Writes to standard output. A reader who has gone is no reason to complain.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
}

/// Says on standard error what went wrong.
fn complain(problem: &dyn std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "pointsman: {problem}");
}

/// Whether standard output is a person at a terminal, and whether they want colour.
fn terminal() -> (bool, bool) {
    let person = io::stdout().is_terminal();
    let colour = person && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    (person, colour)
}
