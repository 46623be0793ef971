//! What a command has changed: as a diff, with what comes next.
//! It must not make it sound done when it was a dry run.

use serde_json::Value;

use super::keys;
use crate::{
    cli::{
        client::Reply,
        style::{Paint, clean, paint},
    },
    model::command::Options,
};

pub(super) fn change(options: &Options, reply: &Reply, colour: bool) -> String {
    let mut lines: Vec<String> = lines(reply, colour).collect();
    let revision = reply.revision().map(|number| number.to_string());
    let revision = revision.unwrap_or_else(|| "unknown".to_owned());
    let changed = !lines.is_empty();
    let mut data = reply.data().clone();
    if let Some(data) = data.as_object_mut() {
        data.remove("diff");
    }
    if data.as_object().is_some_and(|data| !data.is_empty()) {
        lines.push(keys(&data, colour));
    }
    lines.push(match (options.dry_run, changed) {
        (true, true) => format!("a dry run: nothing was changed, revision is still {revision}"),
        (true, false) => format!("a dry run: nothing would change, revision is {revision}"),
        (false, _) => format!("done, revision {revision}"),
    });
    if let (Some(within), false) = (options.confirm_within, options.dry_run) {
        lines.push(format!(
            "rolled back in {within} unless you keep it: pointsman confirm {revision}"
        ));
    }
    lines.join("\n")
}

pub(super) fn diff(reply: &Reply, colour: bool) -> String {
    let lines: Vec<String> = lines(reply, colour).collect();
    match lines.is_empty() {
        true => "no difference".to_owned(),
        false => lines.join("\n"),
    }
}

fn lines(reply: &Reply, colour: bool) -> impl Iterator<Item = String> {
    let lines = reply.diff().into_iter();
    lines.map(move |line| painted(line, colour))
}

/// A line of a diff: green for what is new, red for what is gone, yellow for what differs.
pub(super) fn painted(line: &str, colour: bool) -> String {
    let line = clean(line);
    match line.as_bytes().first() {
        Some(b'+') => paint(Paint::Green, &line, colour),
        Some(b'-') => paint(Paint::Red, &line, colour),
        Some(b'~') => paint(Paint::Yellow, &line, colour),
        Some(_) | None => line,
    }
}

/// The diff of a revision in the history.
pub(super) fn of(revision: &Value, colour: bool) -> Vec<String> {
    let lines = super::list(revision, "diff").filter_map(Value::as_str);
    lines.map(|line| painted(line, colour)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_is_green_gone_is_red_and_different_is_yellow() {
        assert_eq!(
            painted("+ web/blue/w4", true),
            "\x1b[32m+ web/blue/w4\x1b[0m"
        );
        assert_eq!(painted("- web/green", true), "\x1b[31m- web/green\x1b[0m");
        assert_eq!(painted("~ a: 5 → 2", true), "\x1b[33m~ a: 5 → 2\x1b[0m");
        assert_eq!(painted("~ a: 5 → 2", false), "~ a: 5 → 2");
    }
}
