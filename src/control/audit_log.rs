//! The audit trail in the log: a line for each thing that an administrator did or was refused.
//! It must not say more than the event does, which has no secret.

use serde_json::Value;

use super::record::Recorded;
use crate::model::event::Category;

/// Says what an administrator did. Texts are fields, which each format of the log makes harmless.
pub(super) fn say(recorded: &Recorded) {
    let event = &recorded.event;
    if event.category != Category::Admin {
        return;
    }
    let text = |key: &str| event.data.get(key).and_then(Value::as_str);
    let number = |key: &str| event.data.get(key).and_then(Value::as_u64);
    let flag = |key: &str| event.data.get(key).and_then(Value::as_bool);
    let arguments = event.data.get("arguments").map(ToString::to_string);
    tracing::info!(
        target: "pointsman::audit",
        sequence = recorded.sequence,
        subject = event.subject,
        role = text("role"),
        by = text("by"),
        door = text("door"),
        from = text("from"),
        command = text("command"),
        arguments,
        dry_run = flag("dry_run"),
        ok = flag("ok"),
        code = text("code"),
        reason = text("reason"),
        because = text("because").or(text("message")),
        count = number("count"),
        revision = number("revision"),
        "{}", event.kind,
    );
}
