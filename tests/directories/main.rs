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

#[path = "../support/activemq.rs"]
mod activemq;
mod brute_force;
mod bus_door;
mod doors;
mod everybody;
mod guessing;
mod hard_times;
mod ldap;
mod ldap_hostile;
#[path = "../support/node.rs"]
mod node;
#[path = "../support/over_tls.rs"]
mod over_tls;
mod radius;
mod radius_doors;
mod real;
mod site;
mod slapd;
#[path = "../support/mod.rs"]
mod support;
