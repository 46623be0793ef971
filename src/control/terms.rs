//! The terms of a service: what holds for its sessions, whichever host they get.
//! It must not forget what was counted under the terms before.

use std::sync::Arc;

use crate::{
    balance::{
        admission::{AccessList, Admission, PerClient, Total},
        view::{Outgoing, Terms, Timeouts, Waiting},
    },
    model::{
        network::{Access, AccessRule},
        topology::{Limits, ProxyProtocol, Service},
    },
};

/// The terms of `wanted`; `room` sessions fit where it sets no limit. What is counted for the
/// limits of `before` goes on to be counted.
pub(super) fn terms(wanted: &Service, room: u32, before: Option<&Terms>) -> Terms {
    let timeouts = Timeouts {
        connect: wanted.timeouts.connect.limit(),
        idle: wanted.timeouts.idle.limit(),
        half_closed: wanted.timeouts.half_closed.limit(),
        lifetime: wanted.timeouts.lifetime.limit(),
    };
    let group = wanted.active_group();
    Terms {
        timeouts,
        sessions: wanted.limits.sessions.map_or(room, |count| count.get()),
        retries: wanted.retries.get(),
        admission: admission(wanted, before.map(|before| &before.admission)),
        queue: Waiting {
            length: wanted.queue.length.get(),
            timeout: wanted.queue.timeout.limit(),
        },
        announced_by: wanted.proxy_protocol.as_ref().map(announcers),
        send_proxy: group.and_then(|group| group.send_proxy),
        outgoing: Outgoing {
            source: group.and_then(|group| group.source),
            keepalive: wanted.tcp.keepalive.limit(),
            user_timeout: wanted.tcp.user_timeout.limit(),
        },
    }
}

fn admission(wanted: &Service, before: Option<&Admission>) -> Admission {
    let Limits {
        per_client,
        rate,
        rate_per_client,
        sessions: _,
    } = wanted.limits;
    let per_client = per_client.map(|limit| {
        let known = before.and_then(|before| before.per_client.as_ref());
        let clients = known.map(|(_, clients)| Arc::clone(clients));
        (limit.get(), clients.unwrap_or_default())
    });
    let rate = rate.map(|rate| {
        let known = before.and_then(|before| before.rate.clone());
        let known = known.filter(|known| known.rate() == rate);
        known.unwrap_or_else(|| Arc::new(Total::new(rate)))
    });
    let rate_per_client = rate_per_client.map(|rate| {
        let known = before.and_then(|before| before.rate_per_client.clone());
        let known = known.filter(|known| known.rate() == rate);
        known.unwrap_or_else(|| Arc::new(PerClient::new(rate)))
    });
    Admission {
        access: AccessList::new(&wanted.access),
        per_client,
        rate,
        rate_per_client,
    }
}

/// Whoever announces clients, as a list that lets in just them.
fn announcers(protocol: &ProxyProtocol) -> AccessList {
    let allowed = protocol.accept_from.iter().map(|network| AccessRule {
        access: Access::Allow,
        network: Some(*network),
    });
    let nobody_else = AccessRule {
        access: Access::Deny,
        network: None,
    };
    AccessList::new(&allowed.chain([nobody_else]).collect::<Vec<_>>())
}
