//! Hosts by name and hosts and listeners on Unix sockets, with real sockets and a name server.
#![cfg(feature = "server")]
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod name_server;
mod names;
mod unix;
