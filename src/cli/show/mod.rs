//! Answers as people read them; one file for each kind.
//! It must not ask anything, nor fail on an answer with less or more in it than it knows.

mod change;
mod events;
mod explain;
mod history;
mod login;
mod services;
mod status;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{
    client::Reply,
    style::{Paint, clean, paint},
};
use crate::model::command::Request;

pub(super) use events::event;
pub(super) use login::logged_in;

/// For people, the answer to `request`; without the newline at its end.
pub(super) fn answer(request: &Request, reply: &Reply, colour: bool) -> String {
    let data = reply.data();
    match request.command.name().as_str() {
        "status" => status::status(data, reply.revision(), colour),
        "show" => services::services(data),
        "history" => history::history(data, colour),
        "events" => events::events(data, colour),
        "explain" | "explain-access" => explain::explain(data, colour),
        "whoami" => login::whoami(data, colour),
        "logins" => login::logins(data, colour),
        "diff" => change::diff(reply, colour),
        "logout" => "logged out".to_owned(),
        "end-login" => "ended".to_owned(),
        _ => change::change(&request.options, reply, colour),
    }
}

/// The text at `key`, or what else is there as JSON; empty where there is nothing.
fn text(value: &Value, key: &str) -> String {
    value.get(key).map_or_else(String::new, plain)
}

/// A text as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => clean(text),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            items.join(", ")
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            clean(&value.to_string())
        }
    }
}

/// The items at `key`.
fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    let list = value.get(key).and_then(Value::as_array);
    list.into_iter().flatten()
}

/// The time at `key`: milliseconds since 1970, or already a text.
fn time(value: &Value, key: &str) -> String {
    match value.get(key).and_then(Value::as_u64) {
        Some(millis) => date(UNIX_EPOCH + Duration::from_millis(millis)),
        None => text(value, key),
    }
}

fn date(time: SystemTime) -> String {
    // Past the year 9999 there is no such text, and no panic is wanted for it.
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(time.min(last)).to_string()
}

/// Every key of `data` on a line of its own: for what has no better shape.
fn keys(data: &Value, colour: bool) -> String {
    let Some(object) = data.as_object() else {
        return plain(data);
    };
    let width = object.keys().map(|key| key.chars().count()).max();
    let width = width.unwrap_or(0);
    let lines = object.iter().map(|(key, value)| {
        let key = format!("{:<width$}", clean(key));
        format!("{}  {}", paint(Paint::Bold, &key, colour), plain(value))
    });
    lines.collect::<Vec<_>>().join("\n")
}
