//! The data plane: accepts connections, finds each a host, carries the bytes.
//! It must not decide which hosts there are, nor know commands, files or doors.
//!
//! The way of a connection, top to bottom: [`listener`] accepts, [`session`] chooses and connects,
//! [`relay`] carries the bytes both ways, by way of [`flow`] for each direction.

mod ending;
mod flow;
pub mod lane;
pub mod listener;
mod pipe;
mod relay;
mod session;
mod socket;
pub mod threads;
