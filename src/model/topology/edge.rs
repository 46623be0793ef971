//! What is asked of connections at the edge: limits, rates, the queue, who announces addresses.
//! It must not hold what happens to them: that is counted where they run.

use serde::{Deserialize, Serialize};

use super::Count;
use crate::model::{network::Network, period::Period};

/// How much is too much for a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Sessions at a time; absent: what the file descriptors allow. More are reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<Count>,
    /// Sessions of one client at a time: an IPv4 address, or an IPv6 network of 64 bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_client: Option<Count>,
    /// New connections from everybody; absent: as many as come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// New connections of one client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_client: Option<Rate>,
}

/// How often something may happen: steadily, and in bursts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How often in a second, on and on.
    pub per_second: Count,
    /// How often at once, after a pause; absent: as often as in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<Count>,
}

/// Who may wait when every host is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    /// How many: 0 (nobody) to 1,000,000.
    pub length: Length,
    /// For how long; `"0s"` sets no limit.
    pub timeout: Period,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            length: Length::default(),
            timeout: Period::from_secs(5),
        }
    }
}

super::number::bounded_number! {
    /// The length of a queue: 0 to a million.
    Length(u32), 0..=1_000_000, default 0
}

/// From whom a header of the PROXY protocol is required.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyProtocol {
    /// Who announces the address of the true client; from all others no header is looked for.
    pub accept_from: Vec<Network>,
}

/// Which version of the PROXY protocol hosts are told the client's address by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SendProxy {
    /// The text form.
    V1,
    /// The binary form.
    V2,
}

/// Options of the TCP sockets of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tcp {
    /// How long a connection must be silent before the kernel asks whether its peer is still
    /// there; `"0s"`: it never asks.
    pub keepalive: Period,
    /// How long what was sent may go unacknowledged before the kernel gives the connection up
    /// (RFC 5482); `"0s"`: as long as the kernel sees fit.
    pub user_timeout: Period,
    /// Whether a connection is accepted only when its client has sent something, for up to this
    /// long; `"0s"`: at once. Not for protocols in which the host speaks first.
    pub defer_accept: Period,
    /// How many connections may wait to be accepted, as far as the system allows.
    pub backlog: Backlog,
    /// Whether a listener on an IPv6 address leaves IPv4 alone.
    pub v6only: bool,
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            keepalive: Period::default(),
            user_timeout: Period::default(),
            defer_accept: Period::default(),
            backlog: Backlog::default(),
            v6only: true,
        }
    }
}

super::number::bounded_number! {
    /// How many connections may wait to be accepted: 1 to 65,535.
    Backlog(i32), 1..=65_535, default 65_535
}
