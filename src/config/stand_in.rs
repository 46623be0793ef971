//! What stands in for a required key that cannot be read, so that the rest of its table counts.
//! It must not reach anybody: a file in which anything stands in is refused.

use std::iter;

use serde::de::{
    DeserializeSeed,
    value::{SeqDeserializer, StrDeserializer},
};

use super::reader::Fault;
use crate::model::problem::Step;

/// A required key of a table, and what is read in its place.
pub(super) struct StandIn {
    pub(super) key: &'static str,
    value: Value,
}

enum Value {
    Text(String),
    NoItems,
}

impl StandIn {
    /// For `key` of the table at `steps`; `number` makes names differ. `None` where there is none.
    pub(super) fn of(steps: &[Step], key: &'static str, number: usize) -> Option<Self> {
        let Some(Step::Key(part)) = steps.first() else {
            return None;
        };
        let value = match (part.as_str(), key) {
            // As long as a name may be, and nothing that anybody would write.
            ("service" | "auth", "name" | "user") => Value::Text(format!("{number:->64}")),
            ("service", "listen" | "group") | ("bus", "brokers") => Value::NoItems,
            // From the range that leads nowhere (RFC 6666).
            ("service", "address") => Value::Text("[100::1]:1".to_owned()),
            ("auth", "role") => Value::Text("viewer".to_owned()),
            ("auth", "password_hash") => {
                let nothing = "A".repeat(43);
                let hash = format!("$argon2id$v=19$m=19456,t=2,p=1${nothing}${nothing}");
                Value::Text(hash)
            }
            ("admin" | "metrics", "listen") => Value::Text("127.0.0.1:1".to_owned()),
            ("certificates", "cert_file") => Value::Text("nowhere".to_owned()),
            _ => return None,
        };
        Some(Self { key, value })
    }

    /// The name that stands in here, if a name does.
    pub(super) fn name(&self) -> Option<&str> {
        match (self.key, &self.value) {
            ("name", Value::Text(name)) => Some(name),
            _ => None,
        }
    }

    /// Reads it as if it stood in the file.
    pub(super) fn read<'de, S: DeserializeSeed<'de>>(&self, seed: S) -> Result<S::Value, Fault> {
        match &self.value {
            Value::Text(text) => seed.deserialize(StrDeserializer::new(text)),
            Value::NoItems => seed.deserialize(SeqDeserializer::new(iter::empty::<bool>())),
        }
    }
}
