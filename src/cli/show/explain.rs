//! Why something is as it is: a verdict, and a sentence for each reason.
//! It must not add reasons of its own.

use serde_json::Value;

use super::{keys, list, plain, text};
use crate::cli::style::{Paint, paint};

pub(super) fn explain(data: &Value, colour: bool) -> String {
    let verdict = text(data, "verdict");
    if verdict.is_empty() {
        return keys(data, colour);
    }
    let mut lines = vec![paint(Paint::Bold, &verdict, colour)];
    lines.extend(list(data, "because").map(|why| format!("  because {}", plain(why))));
    let known = ["verdict", "because"];
    let rest = data.as_object().into_iter().flatten();
    for (key, value) in rest.filter(|(key, _)| !known.contains(&key.as_str())) {
        lines.push(format!(
            "  {}: {}",
            plain(&key.as_str().into()),
            plain(value)
        ));
    }
    lines.join("\n")
}
