//! The answer to a command: one shape on every door.
//! It must not say more to the caller than the caller may know.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::error::CommandError;

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Answer {
    /// The id of the request, the caller's own where they gave one.
    pub id: String,
    /// Whether it was done.
    pub ok: bool,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CommandError>,
    /// The revision after it.
    pub revision: u64,
    /// What it changed, or would change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<String>,
    /// What was asked for; an object.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

impl Answer {
    /// It was done, with `diff` and `data` to show.
    pub fn done(id: String, revision: u64, diff: Vec<String>, data: Value) -> Self {
        Self {
            id,
            ok: true,
            error: None,
            revision,
            diff,
            data,
        }
    }

    /// As JSON text.
    pub fn to_text(&self) -> String {
        // There is nothing in it that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// It was refused.
    pub fn refused(id: String, revision: u64, error: CommandError) -> Self {
        Self {
            id,
            ok: false,
            error: Some(error),
            revision,
            diff: Vec::new(),
            data: Value::Null,
        }
    }
}
