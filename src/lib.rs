//! Pointsman: a TCP load balancer that is run over a message bus.

pub mod balance;
#[cfg(feature = "server")]
pub mod config;
pub mod control;
pub mod model;
pub mod proxy;
