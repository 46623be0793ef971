//! The data plane: accepts connections, finds each a host, carries the bytes.
//! It must not decide which hosts there are, nor know commands, files or doors.
//!
//! The way of a connection, top to bottom: [`listener`] accepts, `greeting` learns who calls
//! where somebody has to say it, [`session`] chooses and connects, [`relay`] carries the bytes both ways, by way of [`flow`] for each direction.

pub mod access_log;
mod account;
mod again;
pub mod announce;
mod connecting;
mod ending;
mod ephemeral;
pub mod event_loop;
mod flow;
mod greeting;
pub mod lane;
mod limiter;
pub mod listener;
pub mod peer;
mod pipe;
mod relay;
mod session;
mod socket;
mod sockopt;
pub mod threads;
mod unix;
mod waiting;
