//! An answer as it came, whoever gave it.
//! It must not trust its shape.

use serde_json::{Value, json};

use super::{super::Exit, Via};
use crate::model::error::{Code, CommandError};

/// The longest text that is quoted of an answer which is not ours, in characters.
const QUOTED: usize = 200;

/// An answer.
#[derive(Debug)]
pub(in crate::cli) struct Reply {
    /// As it came, on one line.
    pub(in crate::cli) text: String,
    value: Value,
    status: u16,
    /// Whether it was asked in the name of a login.
    named: bool,
    /// What proves the login that it gave, where the answer does not have it.
    token: Option<String>,
}

impl Reply {
    pub(super) fn new(via: &Via, status: u16, text: String, named: bool) -> Self {
        let parsed = serde_json::from_str::<Value>(&text).ok();
        let ours = parsed.filter(|value| value.get("ok").is_some_and(Value::is_boolean));
        let is_ours = ours.is_some();
        let value = ours.unwrap_or_else(|| not_ours(via, status, &text));
        let line = text.trim();
        let text = match is_ours && !line.contains(['\n', '\r']) {
            true => line.to_owned(),
            false => value.to_string(),
        };
        Self {
            text,
            value,
            status,
            named,
            token: None,
        }
    }

    /// An answer that came as JSON and with no status of its own.
    pub(super) fn of_value(via: &Via, answer: &Value) -> Self {
        Self::new(via, 0, answer.to_string(), false)
    }

    /// An answer to somebody who would have to log in.
    pub(super) fn wanting_login(via: &Via, answer: &Value) -> Self {
        Self::new(via, 401, answer.to_string(), false)
    }

    /// With what proves the login that it gave.
    pub(super) fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }

    /// What proves the login that it gave.
    pub(in crate::cli) fn token(&self) -> Option<&str> {
        let given = self.data().get("token").and_then(Value::as_str);
        self.token.as_deref().or(given)
    }

    /// What was asked for; `null` when there is none.
    pub(in crate::cli) fn data(&self) -> &Value {
        self.value.get("data").unwrap_or(&Value::Null)
    }

    /// The lines of what changed.
    pub(in crate::cli) fn diff(&self) -> Vec<&str> {
        let diff = self.value.get("diff").or_else(|| self.data().get("diff"));
        let lines = diff.and_then(Value::as_array).into_iter().flatten();
        lines.filter_map(Value::as_str).collect()
    }

    pub(in crate::cli) fn revision(&self) -> Option<u64> {
        self.value.get("revision").and_then(Value::as_u64)
    }

    /// Why it was not done; `None` when it was.
    pub(in crate::cli) fn error(&self) -> Option<CommandError> {
        if self.value.get("ok") == Some(&Value::Bool(true)) {
            return None;
        }
        let error = self.value.get("error").unwrap_or(&Value::Null);
        let code = error.get("code").cloned().unwrap_or_default();
        let code = serde_json::from_value(code).unwrap_or_else(|_| code_of(self.status));
        let message = error.get("message").and_then(Value::as_str);
        let message = message.unwrap_or("the node does not say why");
        Some(CommandError::new(code, message))
    }

    /// How long to wait before asking again, in seconds, where it says so.
    pub(in crate::cli) fn retry_after(&self) -> Option<f64> {
        let error = self.value.get("error");
        let inside = error.and_then(|error| error.get("retry_after"));
        inside.or_else(|| self.value.get("retry_after"))?.as_f64()
    }

    /// Whether the login in whose name it was asked is no more.
    pub(in crate::cli) fn login_ended(&self) -> bool {
        self.named && self.status == 401
    }

    /// Whether a login is what it takes.
    pub(in crate::cli) fn wants_login(&self) -> bool {
        self.status == 401
    }

    pub(in crate::cli) fn exit(&self) -> Exit {
        self.error().map_or(Exit::Done, |error| error.code.into())
    }
}

/// What something that is no Pointsman, or a part of one that could not even read the question,
/// has answered.
fn not_ours(via: &Via, status: u16, text: &str) -> Value {
    let text = text.trim();
    let mut quoted: String = text.chars().take(QUOTED).collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    let message = match quoted.is_empty() {
        true => format!("{via} answered {status} and nothing more"),
        false => format!("{via} answered {status}: {quoted}"),
    };
    json!({"ok": false, "error": CommandError::new(code_of(status), message)})
}

/// What kind of refusal it is when only the HTTP status tells.
fn code_of(status: u16) -> Code {
    match status {
        401 | 403 => Code::Denied,
        404 => Code::NotFound,
        409 => Code::Conflict,
        429 | 502..=504 => Code::Unavailable,
        400..=499 => Code::Invalid,
        _ => Code::Failed,
    }
}
