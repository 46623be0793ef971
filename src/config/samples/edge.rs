//! Any limits, queue, access rules and the like, for the tests.
//! It must not make what [`crate::model::check`] would refuse.

use std::net::{IpAddr, Ipv4Addr};

use proptest::{option, prelude::*};

use super::{count, period};
use crate::model::topology::{
    Limits, ProxyProtocol, Queue, Rate, SendProxy, Service, Tcp, UnixMode,
};

fn rate() -> impl Strategy<Value = Rate> {
    (count(), option::of(count())).prop_map(|(per_second, burst)| Rate { per_second, burst })
}

fn limits() -> impl Strategy<Value = Limits> {
    let counts = (option::of(count()), option::of(count()));
    (counts, option::of(rate()), option::of(rate())).prop_map(
        |((sessions, per_client), rate, rate_per_client)| Limits {
            sessions,
            per_client,
            rate,
            rate_per_client,
        },
    )
}

fn queue() -> impl Strategy<Value = Queue> {
    (0..=1_000_000_i64, period()).prop_map(|(length, timeout)| Queue {
        length: length.try_into().unwrap(),
        timeout,
    })
}

fn tcp() -> impl Strategy<Value = Tcp> {
    let periods = [period(), period(), period()];
    (periods, 1..=65_535_i64, any::<bool>()).prop_map(|(periods, backlog, v6only)| {
        let [keepalive, user_timeout, defer_accept] = periods;
        Tcp {
            keepalive,
            user_timeout,
            defer_accept,
            backlog: backlog.try_into().unwrap(),
            v6only,
        }
    })
}

/// What a service asks of connections.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    limits: Limits,
    queue: Queue,
    tcp: Tcp,
    unix_mode: UnixMode,
    networks: Vec<Ipv4Addr>,
}

pub(super) fn edge() -> impl Strategy<Value = Edge> {
    let networks = proptest::collection::vec(any::<Ipv4Addr>(), 0..4);
    let mode = (0..=0o777_u32).prop_map(|mode| format!("{mode:04o}").parse().unwrap());
    let options = (option::of(queue()), option::of(tcp()), option::of(mode));
    (limits(), options, networks).prop_map(|(limits, (queue, tcp, mode), networks)| Edge {
        limits,
        queue: queue.unwrap_or_default(),
        tcp: tcp.unwrap_or_default(),
        unix_mode: mode.unwrap_or_default(),
        networks,
    })
}

impl Edge {
    /// `service` with this.
    pub(super) fn put_on(self, service: Service) -> Service {
        let networks = || self.networks.iter().map(|address| address.to_string());
        let rules = networks().map(|address| format!("deny {address}").parse().unwrap());
        let accept_from: Vec<_> = networks().map(|text| text.parse().unwrap()).collect();
        Service {
            limits: self.limits,
            queue: self.queue,
            tcp: self.tcp,
            unix_mode: self.unix_mode,
            access: rules.collect(),
            proxy_protocol: (!accept_from.is_empty()).then_some(ProxyProtocol { accept_from }),
            ..service
        }
    }
}

pub(super) fn towards_hosts() -> impl Strategy<Value = (Option<SendProxy>, Option<IpAddr>)> {
    let version = prop_oneof![Just(SendProxy::V1), Just(SendProxy::V2)];
    (option::of(version), option::of(any::<IpAddr>()))
}
