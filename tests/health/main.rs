//! Hosts that fail and recover, before a balancer that probes them and watches their sessions.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout
)]

#[path = "../support/mod.rs"]
mod support;

mod cost;
mod groups;
mod hosts;
mod recovery;
mod sessions;
