//! Events: a line for each.
//! It must not leave out what it does not know.

use serde_json::Value;

use super::{list, plain, text, time};
use crate::cli::style::{Paint, paint};

pub(super) fn events(data: &Value, colour: bool) -> String {
    let lines: Vec<String> = list(data, "events")
        .map(|found| event(found, colour))
        .collect();
    match lines.is_empty() {
        true => "no events".to_owned(),
        false => lines.join("\n"),
    }
}

/// One event, a CloudEvent.
pub(in crate::cli) fn event(event: &Value, colour: bool) -> String {
    let kind = text(event, "type");
    let kind = kind.strip_prefix("pointsman.").unwrap_or(&kind);
    let colours = match kind {
        "host.down" | "host.ejected" | "service.exhausted" | "service.panic" => Some(Paint::Red),
        "host.up" | "host.readmitted" | "host.resolved" | "service.restored" => Some(Paint::Green),
        "host.unresolved" => Some(Paint::Yellow),
        _ if kind.starts_with("config.") => Some(Paint::Yellow),
        _ => None,
    };
    let kind = colours.map_or_else(|| kind.to_owned(), |with| paint(with, kind, colour));
    let head = [
        paint(Paint::Dim, &time(event, "time"), colour),
        text(event, "sequence"),
        kind,
        text(event, "subject"),
    ];
    let mut parts: Vec<String> = head.into_iter().filter(|part| !part.is_empty()).collect();
    match event.get("data") {
        Some(Value::Object(data)) => {
            parts.extend(data.iter().map(|(key, value)| detail(key, value)));
        }
        Some(other) => parts.push(plain(other)),
        None => {}
    }
    parts.join("  ")
}

fn detail(key: &str, value: &Value) -> String {
    // A text of several lines is quoted as it is: what a terminal would obey is escaped then.
    let value = value.as_str().map_or_else(|| plain(value), str::to_owned);
    let key = plain(&key.into());
    let is_parted = |c: char| c == ' ' || c.is_control();
    match !value.is_empty() && !value.contains(is_parted) {
        true => format!("{key}={value}"),
        false => format!("{key}={value:?}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line_with_everything_that_it_says() {
        let found = json!({
            "type": "pointsman.host.down", "subject": "web/blue/w1", "sequence": "42",
            "time": "2026-11-22T10:00:00.123Z",
            "data": {"by": "probe", "reason": "connection refused", "hosts": 3},
        });
        let line = "2026-11-22T10:00:00.123Z  42  host.down  web/blue/w1  by=probe  hosts=3  \
                    reason=\"connection refused\"";
        assert_eq!(event(&found, false), line);
    }

    #[test]
    fn a_text_of_several_lines_stays_on_one_and_moves_no_terminal() {
        let found = json!({"type": "pointsman.admin.command", "data": {
            "message": "two\nproblems", "reason": "\u{1b}[2J",
        }});
        let line = r#"admin.command  message="two\nproblems"  reason="\u{1b}[2J""#;
        assert_eq!(event(&found, false), line);
    }
}
