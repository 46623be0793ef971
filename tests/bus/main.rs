//! The message bus against a real ActiveMQ: the connection, events out, commands in.
//! It must not need one that runs already: it starts its own, or says that it cannot.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/activemq.rs"]
mod activemq;
#[path = "../support/mod.rs"]
mod support;

#[path = "../support/node.rs"]
mod node;

#[path = "../support/upgrade.rs"]
mod upgrade;

mod asking;
mod astray;
mod challenge;
mod cli;
mod commands;
mod connection;
mod crash;
mod events;
mod examples;
mod liar;
mod listener;
mod lying;
mod namesake;
mod rate;
mod selecting;
mod types;
mod upgrading;
