//! The history: a line for each revision, and under it what it changed.
//! It must not leave out who and why.

use serde_json::Value;

use super::{change, list, text, time};
use crate::cli::style::{Paint, paint};

pub(super) fn history(data: &Value, colour: bool) -> String {
    let mut lines = Vec::new();
    for revision in list(data, "revisions") {
        let number = paint(Paint::Bold, &text(revision, "revision"), colour);
        let (author, door) = (text(revision, "author"), text(revision, "door"));
        let reason = text(revision, "reason");
        let reason = match reason.is_empty() {
            true => reason,
            false => format!(": {reason}"),
        };
        let time = time(revision, "time");
        lines.push(format!("{number}  {time}  {author} by {door}{reason}"));
        let changed = change::of(revision, colour);
        lines.extend(changed.iter().map(|line| format!("    {line}")));
    }
    match lines.is_empty() {
        true => "no revisions".to_owned(),
        false => lines.join("\n"),
    }
}
