//! Log-ins against real directories, started for the tests, and against false ones.

#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm
)]

mod ldap;
mod ldap_hostile;
mod radius;
mod real;
mod slapd;
