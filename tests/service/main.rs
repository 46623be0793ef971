//! The program as a service: what a service manager hears and hands over, and upgrades.
//! It must not look into the process: what a test knows, the manager or a client could have seen.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod activation;
mod backup;
mod load;
mod manager;
mod mishaps;
#[path = "../support/node.rs"]
mod node;
mod notifying;
mod package;
mod units;
#[path = "../support/upgrade.rs"]
mod upgrade;
mod upgrading;

use std::net::SocketAddr;

use support::service;

/// A node of the service `web` with one group `blue` of hosts `w1`, `w2` …
fn config(hosts: &[SocketAddr]) -> String {
    "[node]\nname = \"lb1\"\nthreads = 2\n\n".to_owned()
        + &service("web", &["127.0.0.1:0"], hosts, "")
}
