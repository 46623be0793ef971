//! Why a command was not carried out: six neutral codes, each with a sentence.
//! It must not know doors; each of those maps a code once.

use serde::{Deserialize, Serialize};

use super::problem::Problem;

/// What kind of refusal it is. Every door shows the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The caller may not.
    Denied,
    /// What was asked makes no sense.
    Invalid,
    /// What was named does not exist.
    NotFound,
    /// It contradicts what happened meanwhile, or what is.
    Conflict,
    /// The world refused: a socket, a disk.
    Failed,
    /// It cannot be decided or recorded now; later it may.
    Unavailable,
}

impl Code {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Denied,
        Self::Invalid,
        Self::NotFound,
        Self::Conflict,
        Self::Failed,
        Self::Unavailable,
    ];
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Failed => "failed",
            Self::Unavailable => "unavailable",
        })
    }
}

/// Why a command was not carried out. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Deserialize, Serialize)]
#[error("{message}")]
pub struct CommandError {
    /// The kind.
    pub code: Code,
    /// What and which: a lower-case sentence.
    pub message: String,
}

impl CommandError {
    /// A refusal of the kind `code`.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The caller may not.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(Code::Denied, message)
    }

    /// What was asked makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::Invalid, message)
    }

    /// There is no such thing: `no host web/blue/w9`.
    pub fn not_found(kind: &str, name: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("no {kind} {name}"))
    }

    /// It contradicts what is.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Code::Conflict, message)
    }

    /// The result would not be a topology that can be run.
    pub fn problems(problems: &[Problem]) -> Self {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Self::invalid(lines.join("; "))
    }
}
