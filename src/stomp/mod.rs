//! A STOMP 1.2 client: one connection, kept up over a list of brokers.
//! It must not know what is sent over it, nor anything of balancing.
//!
//! [`Client::open`] starts a supervisor on the current runtime. It connects, logs in, subscribes,
//! and only then lets anything be sent; when the connection breaks it begins anew with the next
//! broker, after a random delay. What was not confirmed when it broke is an error to whoever sent
//! it, never sent again by itself: only the sender knows whether that is right.
//!
//! Everything has a bound. What waits to be written waits with its sender; a message longer than
//! [`Options::max_body`] is read past, and its headers are delivered; a receipt that does not come
//! in time ends the connection.
//!
//! Of the crate `stomp-rs` only the vocabulary is used: commands and the builders of frames
//! (`docs/adr/0021-of-stomp-rs-only-the-vocabulary.md`).

mod broker;
mod client;
mod dial;
pub mod frame;
mod options;
mod receipts;
mod registry;
mod session;
mod supervisor;
mod trust;
mod writer;

#[cfg(test)]
mod tests;

pub use broker::{Broker, BrokerError};
pub use client::{
    Acknowledge, Client, Delivery, Error, Incoming, Link, Receipt, Subscribe, Subscription,
};
pub use options::{Options, Trust};
pub use stomp_rs::protocol::frame::Send;
