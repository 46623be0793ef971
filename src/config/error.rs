//! Why a configuration file cannot be used, as an operator reads it.
//! It must not look for what is wrong; it only says it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use super::{file::MAX_PROBLEMS, text::MAX_BYTES};
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
    #[error("{}", Listing { path, problems })]
    Problems {
        /// The file.
        path: PathBuf,
        /// What is wrong, by line; [`MAX_PROBLEMS`] at the most.
        problems: Vec<Problem>,
    },
    /// The settings and the services are in files of their own, and neither can be used.
    #[error("{_0}\n{_1}")]
    Both(Box<ConfigError>, Box<ConfigError>),
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

struct Listing<'a> {
    path: &'a Path,
    problems: &'a [Problem],
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        for problem in self.problems {
            match problem.line {
                Some(line) => writeln!(f, "{path}:{line}: {problem}")?,
                None => writeln!(f, "{path}: {problem}")?,
            }
        }
        match self.problems.len() {
            1 => write!(f, "1 problem"),
            count if count >= MAX_PROBLEMS => {
                write!(f, "{count} problems, and there may be more")
            }
            count => write!(f, "{count} problems"),
        }
    }
}
