//! The status of a node as the answer to `status` shows it.
//! It must not show what lies outside the caller's scope.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{
    pipeline::Pipeline,
    status::{GroupStatus, HostStatus, ServiceStatus},
};
use crate::{health::history::Seen, model::principal::Scope};

/// The node and those of its services that `scope` covers.
pub(super) fn node(pipeline: &Pipeline, scope: &Scope) -> Value {
    let status = pipeline.balancer.status();
    let services: Vec<Value> = status
        .services
        .iter()
        .filter(|service| scope.covers(&service.name))
        .map(service)
        .collect();
    let uptime = status.uptime.as_secs();
    let mut shown = json!({"node": pipeline.node, "uptime_s": uptime, "services": services});
    // A journal that cannot be read says so where something is asked of it.
    let newest = pipeline.record.last_sequence().unwrap_or_default();
    if let Some(bus) = pipeline.bus.as_ref().and_then(|bus| bus.status(newest)) {
        shown["bus"] = json!(bus);
    }
    shown
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
    let mut shown = json!({
        "name": host.name,
        "address": host.address,
        "weight": host.weight,
        "admin": host.admin,
        "health": host.health.health.word(),
        "reason": host.health.reason,
        "since": host.health.since.map(time),
        "results": results(&host.health.results),
        "outlook": host.health.outlook,
        "sessions": {"active": host.sessions.active, "total": host.sessions.total},
    });
    if host.address.name().is_some() {
        shown["leads_to"] = json!(host.leads_to);
    }
    shown
}

/// Results of probes in short, oldest first: `++-`.
pub(super) fn results(seen: &[Seen]) -> String {
    let sign = |seen: &Seen| if seen.passed { '+' } else { '-' };
    seen.iter().map(sign).collect()
}

/// A time in milliseconds since 1970, as RFC 3339 has it.
pub(super) fn time(millis: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(millis);
    humantime::format_rfc3339_millis(time).to_string()
}
