//! A node's life: its file edited, its process restarted, its sessions, its people, its events.
//! It must not look into the process: what a test knows, an administrator could have read.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

#[path = "node/both.rs"]
mod both;
#[path = "node/changes.rs"]
mod changes;
#[path = "node/file.rs"]
mod file;
#[path = "node/health.rs"]
mod health;
#[path = "support/node.rs"]
mod node;
#[path = "node/people.rs"]
mod people;
#[path = "node/settings.rs"]
mod reloaded;
#[path = "node/sessions.rs"]
mod sessions;
#[path = "node/shapes.rs"]
mod shapes;
#[path = "node/stream.rs"]
mod stream;
#[path = "node/waiting.rs"]
mod waiting;

use std::net::SocketAddr;

use support::service;

/// A node of the service `web` with one group `blue` of hosts `w1`, `w2` …
fn config(hosts: &[SocketAddr]) -> String {
    settings("") + &service("web", &["127.0.0.1:0"], hosts, "")
}

/// What stands before the services, with more in `[node]` and after it.
fn settings(more: &str) -> String {
    format!("[node]\nname = \"lb1\"\nthreads = 1\ndrain_timeout = \"0s\"\n{more}\n")
}

/// Hosts at which nobody is.
fn hosts() -> [SocketAddr; 2] {
    [([127, 9, 9, 1], 9).into(), ([127, 9, 9, 2], 9).into()]
}
