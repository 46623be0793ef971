//! Doors: the ways in, which turn bytes into commands and answers into bytes.
//! It must not decide anything: who somebody is says [`Authority`], what they may the control task.

pub mod authority;
pub mod http;
pub mod stomp;
mod strict;

pub use authority::Authority;
