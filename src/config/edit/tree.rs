//! The services as trees of plain values, in the order of keys in which they are written.
//! It must not know any text.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;
use toml_edit::{Array, InlineTable, Value, ser::ValueSerializer};

use super::Blocked;
use crate::model::topology::{Admin, Retries, Scheduler, Timeouts, Topology, Weight, WhenAllDown};

/// What a table is, which decides what its keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// The file itself.
    Root,
    Service,
    Group,
    Host,
    /// A table of settings in one of those.
    Inner,
}

impl Level {
    /// What the items under `key` are, where `key` is a list of named items.
    pub(super) fn items(self, key: &str) -> Option<Self> {
        match (self, key) {
            (Self::Root, "service") => Some(Self::Service),
            (Self::Service, "group") => Some(Self::Group),
            (Self::Group, "host") => Some(Self::Host),
            _ => None,
        }
    }

    pub(super) fn below(self, key: &str) -> Self {
        self.items(key).unwrap_or(Self::Inner)
    }

    /// The value that an absent key stands for, where there is one.
    ///
    /// It is written out where the key is there already, which spares the comments on it. A key
    /// that is missing here would be removed instead.
    pub(super) fn default(self, key: &str) -> Option<Value> {
        match (self, key) {
            (Self::Service, "timeouts") => plain(&Timeouts::default()),
            (Self::Service, "retries") => plain(&Retries::default()),
            (Self::Group, "scheduler") => plain(&Scheduler::default()),
            (Self::Group, "when_all_down") => plain(&WhenAllDown::default()),
            (Self::Host, "weight") => plain(&Weight::default()),
            (Self::Host, "admin") => plain(&Admin::default()),
            _ => None,
        }
    }
}

pub(super) fn plain(value: &impl Serialize) -> Option<Value> {
    value.serialize(ValueSerializer::new()).ok()
}

/// The tree of `topology`: a table with `service`.
pub(super) fn tree(topology: &Topology) -> Result<InlineTable, Blocked> {
    match plain(topology) {
        Some(Value::InlineTable(table)) => Ok(table),
        _ => Err(Blocked),
    }
}

/// Whether two values of trees are the same.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.value() == b.value(),
        (Value::Integer(a), Value::Integer(b)) => a.value() == b.value(),
        (Value::Float(a), Value::Float(b)) => a.value().to_bits() == b.value().to_bits(),
        (Value::Boolean(a), Value::Boolean(b)) => a.value() == b.value(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::InlineTable(a), Value::InlineTable(b)) => {
            let other = |key: &str| b.get(key);
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| other(key).is_some_and(|b| same(a, b)))
        }
        _ => false,
    }
}

/// For each item of `next`, which item of `old` it was: the one of the same name, or, among plain
/// values, the same one. No two have the same origin.
pub(super) fn origins(old: &Array, next: &Array) -> Vec<Option<usize>> {
    let mut places: HashMap<String, VecDeque<usize>> = HashMap::new();
    for (index, item) in old.iter().enumerate() {
        places.entry(identity(item)).or_default().push_back(index);
    }
    let origin = |item| places.get_mut(&identity(item))?.pop_front();
    next.iter().map(origin).collect()
}

fn identity(item: &Value) -> String {
    let name = item.as_inline_table().and_then(|table| table.get("name"));
    match name.and_then(Value::as_str) {
        Some(name) => name.to_owned(),
        None => item.to_string().trim().to_owned(),
    }
}
