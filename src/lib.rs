//! Pointsman: a TCP load balancer that is run over a message bus.

#[cfg(feature = "server")]
pub mod app;
pub mod balance;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
pub mod control;
pub mod model;
pub mod proxy;
