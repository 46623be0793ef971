//! What `pointsman replace FILE` puts in place: the services of a file.
//! It must not send a file in which anything is wrong.

use std::{
    io::{self, Read},
    path::Path,
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    config::{MAX_BYTES, parse},
    model::{
        error::{Code, CommandError},
        topology::Service,
    },
};

/// The services of `file`, which is TOML as the configuration, or JSON as `show` gives it.
pub(super) fn services(file: &Path) -> Result<Vec<Service>, CommandError> {
    let text = read(file).map_err(|error| {
        let message = format!("cannot read {}: {error}", file.display());
        let code = if error.kind() == io::ErrorKind::NotFound {
            Code::NotFound
        } else if error.kind() == io::ErrorKind::InvalidData {
            Code::Invalid
        } else {
            Code::Failed
        };
        CommandError::new(code, message)
    })?;
    // No TOML is also JSON, but for a text that says nothing.
    if let Ok(json @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(&text) {
        let wrong = |error| CommandError::invalid(format!("{}: {error}", file.display()));
        return from_json(&json).map_err(wrong);
    }
    match parse(&text) {
        Ok(config) => Ok(config.topology.services),
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let message = format!("{}:\n  {}", file.display(), lines.join("\n  "));
            Err(CommandError::invalid(message))
        }
    }
}

fn read(file: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    match file == Path::new("-") {
        true => io::stdin()
            .lock()
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)?,
        false => std::fs::File::open(file)?
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)?,
    };
    let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid("it is larger than 16 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| invalid("it is not text in UTF-8"))
}

/// The list itself, or an object that has it, or a whole answer.
fn from_json(json: &Value) -> Result<Vec<Service>, serde_json::Error> {
    let inner = json.get("data").unwrap_or(json);
    Vec::deserialize(inner.get("services").unwrap_or(inner))
}
