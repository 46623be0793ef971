//! What the operator wants, as plain values: services, groups, hosts and the words for them.
//! It must not know a clock, a socket, a file or a lock.

pub mod address;
pub mod catalogue;
pub mod check;
pub mod command;
pub mod compare;
pub mod dn;
mod edit;
pub mod error;
pub mod event;
pub mod name;
pub mod network;
pub mod period;
pub mod policy;
pub mod principal;
pub mod problem;
mod request;
pub mod state;
pub mod template;
mod text;
pub mod topology;
