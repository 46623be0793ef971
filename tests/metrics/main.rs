//! The figures that a node shows: what its documents say of them, and what a real Prometheus does.
//! It must not need one that runs already: it starts its own, or says that it cannot.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/node.rs"]
mod node;

#[path = "../directories/real.rs"]
mod real;

mod page;
mod papers;
mod prometheus;
mod shown;
