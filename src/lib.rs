//! Pointsman: a TCP load balancer that is run over a message bus.

#[cfg(feature = "server")]
pub mod app;
#[cfg(feature = "server")]
pub mod auth;
pub mod balance;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
pub mod control;
#[cfg(feature = "server")]
pub mod doors;
#[cfg(feature = "server")]
pub mod journal;
pub mod model;
pub mod proxy;
