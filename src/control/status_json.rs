//! The status of a node as the answer to `status` shows it.
//! It must not show what lies outside the caller's scope.

use serde_json::{Value, json};

use super::{
    pipeline::Pipeline,
    status::{GroupStatus, HostStatus, ServiceStatus},
};
use crate::model::principal::Scope;

/// The node and those of its services that `scope` covers.
pub(super) fn node(pipeline: &Pipeline, scope: &Scope) -> Value {
    let status = pipeline.balancer.status();
    let services: Vec<Value> = status
        .services
        .iter()
        .filter(|service| scope.covers(&service.name))
        .map(service)
        .collect();
    json!({"node": pipeline.node, "uptime_s": status.uptime.as_secs(), "services": services})
}

fn service(service: &ServiceStatus) -> Value {
    json!({
        "name": service.name,
        "listen": service.listen,
        "active": service.active,
        "sessions": {"active": service.sessions.active, "total": service.sessions.total},
        "groups": service.groups.iter().map(group).collect::<Vec<_>>(),
    })
}

fn group(group: &GroupStatus) -> Value {
    json!({
        "name": group.name,
        "scheduler": group.scheduler,
        "hosts": group.hosts.iter().map(host).collect::<Vec<_>>(),
    })
}

fn host(host: &HostStatus) -> Value {
    json!({
        "name": host.name,
        "address": host.address,
        "weight": host.weight,
        "admin": host.admin,
        "health": "unknown",
        "reason": "it is not probed",
        "sessions": {"active": host.sessions.active, "total": host.sessions.total},
    })
}
