//! What goes wrong with a journal.
//! It must not quote what is in it.

use std::{io::ErrorKind, path::Path};

use rusqlite::ErrorCode;

use super::store::VERSION;

/// Why a journal cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Somebody has it open.
    #[error("journal {0} is in use by another process")]
    InUse(String),
    /// A later Pointsman has written it.
    #[error(
        "journal {path} is of version {found}, written by a newer Pointsman; this one knows version {known}"
    )]
    Newer {
        /// Where it is.
        path: String,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// It is something else.
    #[error("{0} is no journal of Pointsman")]
    Foreign(String),
    /// It is there, and cannot be understood.
    #[error("journal {path} is damaged: {why}")]
    Damaged {
        /// Where it is.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// It can be read, but not written.
    #[error("journal {0} cannot be written: the file or its file system is read-only")]
    ReadOnly(String),
    /// Anything else.
    #[error("cannot open journal {path}: {why}")]
    Failed {
        /// Where it is.
        path: String,
        /// What was said.
        why: String,
    },
}

impl OpenError {
    pub(super) fn new(path: &Path, fault: impl Into<Fault>) -> Self {
        let (path, fault) = (path.display().to_string(), fault.into());
        let why = fault.to_string();
        match fault {
            Fault::Sql(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse(path),
                Some(ErrorCode::NotADatabase) => Self::Foreign(path),
                Some(ErrorCode::ReadOnly) => Self::ReadOnly(path),
                Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, why },
                Some(_) => Self::Failed { path, why },
                // A value of another type than the schema says, a table that is not there.
                None => Self::Damaged { path, why },
            },
            Fault::File(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly(path)
            }
            Fault::File(_) => Self::Failed { path, why },
            Fault::Foreign => Self::Foreign(path),
            Fault::Newer(found) => Self::Newer {
                path,
                found,
                known: VERSION,
            },
            Fault::Json(_) | Fault::Damaged(_) | Fault::Order { .. } => Self::Damaged { path, why },
        }
    }
}

/// What goes wrong within.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    #[error(transparent)]
    File(#[from] std::io::Error),
    #[error("not the JSON that was expected, at column {}", .0.column())]
    Json(#[from] serde_json::Error),
    #[error("it is something else")]
    Foreign,
    #[error("it is of version {0}")]
    Newer(i64),
    #[error("{0}")]
    Damaged(String),
    #[error("revision {wanted} cannot come after revision {newest}")]
    Order { newest: u64, wanted: u64 },
}
