//! The configuration of services, as the file has it.
//! It must not write TOML that says anything else than the answer.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    cli::style::clean_lines,
    config::render,
    model::topology::{Service, Topology},
};

pub(super) fn services(data: &Value) -> String {
    let found = data.get("services").map(Vec::<Service>::deserialize);
    match found {
        Some(Ok(services)) => render(&Topology { services }).trim_end().to_owned(),
        // From a node that knows more than this program: better as it is than not at all.
        Some(Err(_)) | None => {
            let services = data.get("services").unwrap_or(&Value::Null);
            let text = serde_json::to_string_pretty(services);
            clean_lines(&text.unwrap_or_else(|_| services.to_string()))
        }
    }
}
