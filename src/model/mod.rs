//! What the operator wants, as plain values: services, groups, hosts and the words for them.
//! It must not know a clock, a socket, a file or a lock.

pub mod address;
pub mod check;
pub mod name;
pub mod period;
pub mod problem;
mod text;
pub mod topology;
