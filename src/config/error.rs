//! Why a configuration file cannot be used, as an operator reads it.
//! It must not look for what is wrong; it only says it.

use std::{fmt, io, path::PathBuf};

use super::{MAX_BYTES, file::MAX_PROBLEMS};
use crate::model::problem::Problem;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The system would not give its bytes.
    #[error("cannot read {}: {}", path.display(), reason(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no text.
    #[error("{}:{line}: this is not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The line of the first byte that is wrong, counted from 1.
        line: usize,
    },
    /// It has more than [`MAX_BYTES`].
    #[error("{} is larger than {} MiB", path.display(), MAX_BYTES >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// What it says is wrong. Displayed with one problem a line, then their number.
    #[error("{}", Listing(&[(path, problems)]))]
    Problems {
        /// The file.
        path: PathBuf,
        /// What is wrong, by line; [`MAX_PROBLEMS`] at the most.
        problems: Vec<Problem>,
    },
    /// The settings and the services are in files of their own, and neither can be used.
    #[error("{}", both(_0, _1))]
    Both(Box<ConfigError>, Box<ConfigError>),
}

impl ConfigError {
    /// Whether it is displayed as a list of problems: every line begins with file and line, but
    /// for the last one, which has their number.
    pub fn is_list(&self) -> bool {
        match self {
            Self::Problems { .. } => true,
            Self::Both(one, other) => one.is_list() && other.is_list(),
            Self::Unreadable { .. } | Self::NotText { .. } | Self::TooLarge { .. } => false,
        }
    }
}

fn both(one: &ConfigError, other: &ConfigError) -> String {
    match (one, other) {
        (
            ConfigError::Problems { path, problems },
            ConfigError::Problems {
                path: other_path,
                problems: others,
            },
        ) => Listing(&[(path, problems), (other_path, others)]).to_string(),
        _ => format!("{one}\n{other}"),
    }
}

/// The system's words without its capital and number, and plain ones for the commonest case.
pub(super) fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        return "there is no such file".to_owned();
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => error.kind().to_string(),
    }
}

/// The problems of one or more files.
struct Listing<'a>(&'a [(&'a PathBuf, &'a Vec<Problem>)]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, problems) in self.0 {
            for problem in *problems {
                // What is wrong with the whole file is shown where it begins.
                let line = problem.line.unwrap_or(1);
                writeln!(f, "{}:{line}: {problem}", path.display())?;
            }
        }
        let counts = self.0.iter().map(|(_, problems)| problems.len());
        match counts.clone().sum() {
            1 => write!(f, "1 problem"),
            count if counts.max() >= Some(MAX_PROBLEMS) => {
                write!(f, "{count} problems, and there may be more")
            }
            count => write!(f, "{count} problems"),
        }
    }
}
