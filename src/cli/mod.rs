//! The command line: what can be typed, and what it exits with.
//! It must not do itself what it is asked; it calls whoever does, and shows the answer.

mod arguments;
mod ask;
mod check;
mod client;
mod demo;
mod follow;
mod generate;
mod journal;
mod logging;
mod login;
mod passwd;
mod pubkey;
mod remote;
mod replace;
mod request;
mod run;
mod show;
mod style;
mod table;
mod trial;
mod watch;

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use arguments::{Remote, Replace, help};
use logging::LogFormat;

use crate::{config::ConfigError, model::error::Code};

/// Where the configuration is when nobody says otherwise.
const DEFAULT_FILE: &str = "/etc/pointsman/pointsman.toml";

/// A TCP load balancer that is run over a message bus.
#[derive(Debug, Parser)]
#[command(name = "pointsman", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// How log lines are written: text or json, to standard error, or journal [default: journal where
    /// systemd reads standard error into it, else text]
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    log: Option<LogFormat>,
    /// Which log lines are written: error, warn, info, debug, trace, or a filter as in RUST_LOG
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    #[command(flatten)]
    way: remote::Way,
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
    #[command(flatten)]
    Remote(Remote),
    #[command(about = help("replace"))]
    Replace(Replace),
    /// Log in, so that what follows is done in your name
    Login {
        /// Who you are [default: as the system knows you]
        user: Option<String>,
    },
    /// Hash a password for the configuration: asked for, or the first line of standard input
    Passwd,
    /// Print the node's public key, for those who log in over the bus
    Pubkey {
        /// The configuration
        #[arg(default_value = DEFAULT_FILE)]
        file: PathBuf,
    },
    /// Print what a shell needs to complete command lines
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// What the program exits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// They may not.
    Denied,
    /// What was given is not valid, or not there.
    Invalid,
    /// It contradicts what is.
    Conflict,
    /// It cannot be decided or reached now.
    Unavailable,
    /// A signal, with this number, ended it at once.
    Signal(i32),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Denied => Self::from(3),
            Exit::Invalid => Self::from(4),
            Exit::Conflict => Self::from(5),
            Exit::Unavailable => Self::from(6),
            // As a shell reports a program that a signal ended.
            Exit::Signal(number) => Self::from(128_u8.saturating_add(number.unsigned_abs() as u8)),
        }
    }
}

impl From<Code> for Exit {
    fn from(code: Code) -> Self {
        match code {
            Code::Denied => Self::Denied,
            Code::Invalid | Code::NotFound => Self::Invalid,
            Code::Conflict => Self::Conflict,
            Code::Failed => Self::Failed,
            Code::Unavailable => Self::Unavailable,
        }
    }
}

/// Does what the command line of this process says.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let _log = match logging::start(arguments.log, arguments.log_level.as_deref()) {
        Ok(guard) => guard,
        Err(error) => {
            complain(&error);
            return ExitCode::from(2);
        }
    };
    let exit = match arguments.action {
        Action::Run { file } => run::run(&file),
        Action::Check { file } => check::run(&file),
        Action::Demo(options) => demo::run(&options),
        Action::Remote(action) => remote::run(action, arguments.way),
        Action::Replace(Replace { file, change }) => remote::replace(&file, change, arguments.way),
        Action::Login { user } => remote::log_in(user, arguments.way),
        Action::Passwd => passwd::run(),
        Action::Pubkey { file } => pubkey::run(&file),
        Action::Completions { shell } => generate::completions(shell),
        Action::Man => generate::man(),
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

/// Says on standard error why a configuration cannot be used. A list of problems stands as it is,
/// so that editors find file and line at the start of each.
fn complain_of_config(error: &ConfigError) {
    if error.is_list() {
        let _ = writeln!(io::stderr().lock(), "{error}");
    } else if let ConfigError::Both(one, other) = error {
        complain_of_config(one);
        complain_of_config(other);
    } else {
        complain(error);
    }
}

/// Whether standard output is a person at a terminal, and whether they want colour.
fn terminal() -> (bool, bool) {
    let person = io::stdout().is_terminal();
    let colour = person && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    (person, colour)
}
