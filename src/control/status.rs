//! How everything is at one moment, as plain values for whoever shows it.
//! It must not format anything.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    balance::{Host, Service, histogram::Snapshot},
    health::report::Report,
    model::{
        address::{Endpoint, HostAddress},
        name::Name,
        topology::{self, Admin},
    },
};

/// A node.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// How long it has run.
    pub uptime: Duration,
    /// Its services, in the order of the file.
    pub services: Vec<ServiceStatus>,
}

/// A service.
#[derive(Clone, Debug)]
pub struct ServiceStatus {
    /// Its name.
    pub name: Name,
    /// The addresses that it is bound to.
    pub listen: Vec<Endpoint>,
    /// The group that takes new sessions.
    pub active: Option<Name>,
    /// Its sessions.
    pub sessions: Sessions,
    /// Connections accepted, refused ones included.
    pub accepted: u64,
    /// Further hosts tried after a failed connect.
    pub retries: u64,
    /// Sessions that wait in the queue now.
    pub queued: u32,
    /// How long those waited who then got a host.
    pub queue_time: Snapshot,
    /// Connections that were reset instead of being served, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// Bytes through it.
    pub bytes: BytesStatus,
    /// Its groups, in the order of the file.
    pub groups: Vec<GroupStatus>,
}

/// Sessions, of a service or on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// Open now.
    pub active: u32,
    /// Connected to a host since the start.
    pub total: u64,
}

/// Bytes that went through, by direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BytesStatus {
    /// From clients to hosts.
    pub to_host: u64,
    /// From hosts to clients.
    pub to_client: u64,
}

/// A group.
#[derive(Clone, Debug)]
pub struct GroupStatus {
    /// Its name.
    pub name: Name,
    /// The kind of its scheduler.
    pub scheduler: &'static str,
    /// Its hosts, in the order of the file.
    pub hosts: Vec<HostStatus>,
}

/// A host.
#[derive(Clone, Debug)]
pub struct HostStatus {
    /// Its name.
    pub name: Name,
    /// Where it is reached.
    pub address: HostAddress,
    /// The addresses that it leads to now, the one in use first; none where it is no name.
    pub leads_to: Vec<SocketAddr>,
    /// Its share of new sessions.
    pub weight: u16,
    /// What the operator wants of it.
    pub admin: Admin,
    /// What was seen of it.
    pub health: Report,
    /// Its sessions.
    pub sessions: Sessions,
    /// Connections to it that failed.
    pub connect_failures: u64,
    /// Sessions that it reset before it had sent a byte.
    pub early_resets: u64,
    /// Times it was picked but full.
    pub full: u64,
    /// Bytes through it.
    pub bytes: BytesStatus,
    /// How long connections to it took.
    pub connect_time: Snapshot,
    /// How long sessions with it lasted.
    pub session_time: Snapshot,
}

/// The status of `wanted`, which runs as `live`, with the hosts that `find` finds; the group
/// `serving` takes new sessions.
pub(super) fn service_status(
    wanted: &topology::Service,
    listen: Vec<Endpoint>,
    live: &Service,
    serving: Option<&Name>,
    find: impl Fn(&Name, &Name) -> Option<(Arc<Host>, Report)>,
) -> ServiceStatus {
    let counters = &live.counters;
    let group = |group: &topology::Group| GroupStatus {
        name: group.name.clone(),
        scheduler: group.scheduler.kind(),
        hosts: group
            .hosts
            .iter()
            .filter_map(|host| {
                let (live, health) = find(&group.name, &host.name)?;
                Some(host_status(host, &live, health))
            })
            .collect(),
    };
    ServiceStatus {
        name: wanted.name.clone(),
        listen,
        active: serving.cloned(),
        sessions: Sessions {
            active: counters.active(),
            total: counters.total.get(),
        },
        accepted: counters.accepted.get(),
        retries: counters.retries.get(),
        queued: live.queue.len(),
        queue_time: counters.queue_time.snapshot(),
        refused: counters.refused.by_reason().into(),
        bytes: bytes(&counters.bytes),
        groups: wanted.groups.iter().map(group).collect(),
    }
}

fn host_status(wanted: &topology::Host, live: &Host, health: Report) -> HostStatus {
    let counters = &live.counters;
    HostStatus {
        name: wanted.name.clone(),
        address: wanted.address.clone(),
        leads_to: live.reach().in_turn().collect(),
        weight: wanted.weight.get(),
        admin: wanted.admin,
        health,
        sessions: Sessions {
            active: live.active(),
            total: counters.total.get(),
        },
        connect_failures: counters.connect_failures.get(),
        early_resets: counters.early_resets.get(),
        full: counters.full.get(),
        bytes: bytes(&counters.bytes),
        connect_time: counters.connect_time.snapshot(),
        session_time: counters.session_time.snapshot(),
    }
}

fn bytes(counted: &crate::balance::counters::Bytes) -> BytesStatus {
    BytesStatus {
        to_host: counted.to_host.get(),
        to_client: counted.to_client.get(),
    }
}
