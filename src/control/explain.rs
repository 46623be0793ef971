//! Why a host takes sessions or does not, and where a client would be sent.
//! It must not decide either; it tells what was decided.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{pipeline::Pipeline, status_json::time};
use crate::{
    health::report::{Health, Report},
    model::{
        error::CommandError,
        name::{HostPath, Name},
        topology::Admin,
    },
};

pub(super) fn explain(
    pipeline: &Pipeline,
    host: Option<&HostPath>,
    service: Option<&Name>,
    client: Option<IpAddr>,
) -> Result<Value, CommandError> {
    match (host, service, client) {
        (Some(host), None, None) => explain_host(pipeline, host),
        (None, Some(service), Some(client)) => {
            let found = pipeline.state.topology.service(service);
            found.ok_or_else(|| CommandError::not_found("service", service))?;
            let (verdict, because) = pipeline.balancer.explain_client(service, client);
            Ok(json!({"verdict": verdict, "because": because}))
        }
        _ => Err(CommandError::invalid(
            "explain takes a host, or a service and a client",
        )),
    }
}

/// Why a host gets sessions, or does not: every reason, the first one first; then what is known of
/// its health.
fn explain_host(pipeline: &Pipeline, path: &HostPath) -> Result<Value, CommandError> {
    let topology = &pipeline.state.topology;
    let host = topology
        .host(path)
        .ok_or_else(|| CommandError::not_found("host", path))?;
    let serving = pipeline.balancer.serving(&path.service);
    let sessions = pipeline.balancer.active_on(path).unwrap_or(0);
    let health = pipeline.balancer.health_of(path);
    let part = pipeline.balancer.takes_sessions(path);
    let mut because = Vec::new();
    match host.admin {
        Admin::Enabled => {}
        Admin::Draining => because.push(format!("it is draining; {sessions} sessions are left")),
        Admin::Disabled => because.push("it is disabled".to_owned()),
    }
    if serving.as_ref() != Some(&path.group) {
        because.push(inactive(pipeline, path, serving.as_ref()));
    }
    if host.weight.get() == 0 {
        because.push("its weight is 0".to_owned());
    }
    let full = host.max_sessions.is_some_and(|most| sessions >= most.get());
    if full {
        because.push(format!(
            "it is full: it has {sessions} sessions, as many as max_sessions allows"
        ));
    }
    because.extend(pipeline.balancer.unreachable(path));
    because.extend(health.as_ref().and_then(unhealthy));
    let takes = part.is_some() && !full;
    if because.is_empty() && takes {
        because.push(format!(
            "it is enabled, in the group that serves, with weight {}; it has {sessions} sessions",
            host.weight.get()
        ));
    } else if because.is_empty() {
        because.push(
            "it waits for more hosts of its group to come back, to share what comes".to_owned(),
        );
    } else if takes {
        because.push("all hosts are used, whatever their health".to_owned());
    }
    if let Some(part) = part.filter(|part| *part < 1.0) {
        let percent = (part * 100.0).round();
        because.push(format!(
            "it takes {percent}% of the sessions that it is picked for, as slow_start or its agent wants it"
        ));
    }
    if let Some(report) = health {
        because.extend(known(report));
    }
    let verdict = if takes {
        "takes sessions"
    } else {
        "takes no sessions"
    };
    Ok(json!({"verdict": verdict, "because": because}))
}

fn unhealthy(report: &Report) -> Option<String> {
    let unhealthy = matches!(report.health, Health::Down | Health::Ejected);
    unhealthy.then(|| format!("it is {}: {}", report.health.word(), report.reason))
}

fn inactive(pipeline: &Pipeline, path: &HostPath, serving: Option<&Name>) -> String {
    let service = pipeline.state.topology.service(&path.service);
    let active = service.and_then(|service| service.active_group());
    let serving = serving.map_or("none", |name| name.as_str());
    if active.is_some_and(|active| active.name == path.group) {
        return format!("group {serving} stands in for group {}", path.group);
    }
    format!(
        "group {} is not active; the active group is {serving}",
        path.group
    )
}

/// What is known of a host's health, as sentences; nothing where nothing is watched.
fn known(report: Report) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(since) = report.since {
        sentences.push(format!(
            "it has been {} since {}: {}",
            report.health.word(),
            time(since),
            report.reason
        ));
    }
    sentences.extend(report.outlook);
    let results = report.results.iter().rev();
    sentences.extend(results.map(|seen| {
        let how = if seen.passed { "passed" } else { "failed" };
        format!("the probe at {} {how}: {}", time(seen.at), seen.what)
    }));
    sentences
}
