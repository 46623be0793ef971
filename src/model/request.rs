//! A command as it comes in: one JSON object, with the options of a change beside its arguments.
//! It must not know what the command means.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{catalogue::entry, command::Command, error::CommandError, period::Period};

/// What goes with a change, beside its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Refuse with a conflict when this is not the revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_revision: Option<u64>,
    /// Say what would change, and change nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Roll the change back by itself, unless it is confirmed within this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_within: Option<Period>,
    /// Why, for the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The longest reason that is kept, in bytes.
pub const MAX_REASON: usize = 1024;

const OPTIONS: [&str; 4] = ["expect_revision", "dry_run", "confirm_within", "reason"];

/// A command with its options.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// What goes with it.
    pub options: Options,
}

impl Request {
    /// Reads a command object.
    ///
    /// # Errors
    /// `invalid`, with what is wrong with it.
    pub fn from_json(value: Value) -> Result<Self, CommandError> {
        let Value::Object(mut object) = value else {
            return Err(CommandError::invalid("a command is a JSON object"));
        };
        let name = match object.get("command") {
            Some(Value::String(name)) => name.clone(),
            Some(_) => return Err(CommandError::invalid("`command` is not a string")),
            None => return Err(CommandError::invalid("the key `command` is missing")),
        };
        let Some(entry) = entry(&name) else {
            return Err(CommandError::invalid(format!(
                "there is no command {name:?}"
            )));
        };
        let mut options = Map::new();
        if entry.changes {
            for key in OPTIONS {
                options.extend(object.remove(key).map(|value| (key.to_owned(), value)));
            }
        }
        let in_command = |error| CommandError::invalid(format!("{name}: {error}"));
        let options: Options =
            serde_json::from_value(Value::Object(options)).map_err(in_command)?;
        if options
            .reason
            .as_ref()
            .is_some_and(|reason| reason.len() > MAX_REASON)
        {
            let message = format!("the reason is longer than {MAX_REASON} bytes");
            return Err(CommandError::invalid(message));
        }
        let command = Command::from_object(&name, object).map_err(in_command)?;
        Ok(Self { command, options })
    }

    /// The command object.
    pub fn to_json(&self) -> Value {
        let mut object = self.command.to_object();
        if let Ok(Value::Object(options)) = serde_json::to_value(&self.options) {
            object.extend(options);
        }
        Value::Object(object)
    }
}

impl From<Command> for Request {
    fn from(command: Command) -> Self {
        Self {
            command,
            options: Options::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_cannot_be_set_is_not_lost_when_the_command_is_written() {
        for (command, key) in [
            ("set-host", "host"),
            ("set-group", "group"),
            ("set-service", "service"),
        ] {
            let path = ["web", "blue", "w1"];
            let parts = match key {
                "host" => 3,
                "group" => 2,
                _ => 1,
            };
            let json = serde_json::json!({
                "command": command, key: path[..parts].join("/"), "name": "w2",
            });
            let request = Request::from_json(json.clone()).unwrap();
            assert_eq!(request.to_json(), json);
        }
    }
}
