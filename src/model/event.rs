//! Events: what happened, as it is told to whoever listens.
//! It must not know who that is, nor number or date them; the journal does.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What an event is about; each is a topic of its own on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// Hosts.
    Host,
    /// Services and groups.
    Service,
    /// The configuration as a whole.
    Config,
    /// Administrators: log-ins and commands.
    Admin,
    /// The node.
    Node,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Event {
    /// What it is about.
    pub category: Category,
    /// `host.added`, without the leading `pointsman.`
    pub kind: String,
    /// Which one: `web/blue/w1`.
    pub subject: String,
    /// What else there is to say.
    pub data: Value,
}

impl Event {
    /// An event of the kind `kind` (`host.added`) about `subject`.
    pub fn new(kind: &str, subject: impl ToString, data: Value) -> Self {
        let category = match kind.split('.').next() {
            Some("host") => Category::Host,
            Some("service" | "group") => Category::Service,
            Some("config") => Category::Config,
            Some("admin") => Category::Admin,
            Some(_) | None => Category::Node,
        };
        Self {
            category,
            kind: kind.to_owned(),
            subject: subject.to_string(),
            data,
        }
    }

    /// An event with nothing more to say.
    pub fn bare(kind: &str, subject: impl ToString) -> Self {
        Self::new(kind, subject, json!({}))
    }
}
