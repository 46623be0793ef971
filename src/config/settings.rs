//! The settings: what people write about the node itself, as opposed to its services.
//! It must not hold anything that a command may change.

use std::{num::NonZero, thread};

use serde::{Deserialize, Serialize};

use crate::model::{
    name::{MAX_NAME, Name},
    period::Period,
};

/// Everything in the file but the services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// This process on this machine.
    pub node: Node,
}

/// This process on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// What it is called among others like it; absent: the host name.
    pub name: Name,
    /// How many threads carry sessions; absent: one per core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<Threads>,
    /// How long sessions may go on after the node was told to stop; `"0s"` cuts them at once.
    pub drain_timeout: Period,
    /// Whether every session that ends is logged.
    pub access_log: bool,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: host_name(),
            threads: None,
            drain_timeout: Period::from_secs(30),
            access_log: false,
        }
    }
}

impl Node {
    /// How many threads carry sessions: as set, else one per core that this process may use.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            Some(threads) => threads.get().into(),
            None => thread::available_parallelism().map_or(1, NonZero::get),
        }
    }
}

/// A number of threads: 1 to 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Threads(u16);

impl Threads {
    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<i64> for Threads {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        match u16::try_from(number) {
            Ok(threads) if (1..=1024).contains(&threads) => Ok(Self(threads)),
            _ => Err(format!("{number} is not between 1 and 1024")),
        }
    }
}

impl From<Threads> for i64 {
    fn from(threads: Threads) -> Self {
        threads.0.into()
    }
}

fn host_name() -> Name {
    name_from(&rustix::system::uname().nodename().to_string_lossy())
}

/// A kernel takes any bytes as host name; what cannot stand in a name becomes `-`.
fn name_from(text: &str) -> Name {
    let fitting: String = text
        .chars()
        .map(|c| match c {
            '.' | '_' | '-' => c,
            c if c.is_ascii_alphanumeric() => c,
            _ => '-',
        })
        .take(MAX_NAME)
        .collect();
    fitting.parse().unwrap_or_else(|_| name_from("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_host_name_becomes_a_name() {
        assert_eq!(name_from("lb1.example.org").as_str(), "lb1.example.org");
        assert_eq!(name_from("büro 1").as_str(), "b-ro-1");
        assert_eq!(name_from("").as_str(), "localhost");
        assert_eq!(name_from(&"x".repeat(300)).as_str().len(), MAX_NAME);
    }

    #[test]
    fn there_is_always_a_thread() {
        assert!(Node::default().thread_count() >= 1);
        let threads = Threads::try_from(3).ok();
        let node = Node {
            threads,
            ..Node::default()
        };
        assert_eq!(node.thread_count(), 3);
        assert!(Threads::try_from(0).is_err() && Threads::try_from(1025).is_err());
    }
}
