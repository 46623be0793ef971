//! What went wrong lately, in a line a service and host: for whoever reads the log.
//! It must not log for every connection: peers could fill the disk with that.

use std::{collections::HashMap, time::Duration};

use super::lost_lines;
use crate::control::{Balancer, status::NodeStatus};

/// How often the log says so.
const EVERY: Duration = Duration::from_secs(10);

/// Says every ten seconds what has been refused and could not be connected to meanwhile.
pub(super) async fn report(balancer: &Balancer) {
    let mut seen = HashMap::new();
    let mut lost = 0;
    let mut often = tokio::time::interval(EVERY);
    loop {
        often.tick().await;
        let now = lost_lines::lost(balancer);
        if now > lost {
            let more = now - lost;
            tracing::warn!("lines of the log were lost: {more} in the last {EVERY:?}");
        }
        lost = now;
        for (what, more) in news(&balancer.status(), &mut seen) {
            tracing::warn!("{what}: {more} in the last {EVERY:?}");
        }
    }
}

/// What has grown since it was last seen, and by how much.
fn news(status: &NodeStatus, seen: &mut HashMap<String, u64>) -> Vec<(String, u64)> {
    let mut now = HashMap::new();
    for service in &status.services {
        for (reason, number) in &service.refused {
            now.insert(
                format!("service {} refused connections ({reason})", service.name),
                *number,
            );
        }
        for group in &service.groups {
            for host in &group.hosts {
                let path = format!("{}/{}/{}", service.name, group.name, host.name);
                now.insert(
                    format!("host {path} could not be connected to"),
                    host.connect_failures,
                );
            }
        }
    }
    let more = |(what, number): (&String, &u64)| {
        let before = seen.get(what).copied().unwrap_or(0);
        (*number > before).then(|| (what.clone(), number - before))
    };
    let mut grown: Vec<_> = now.iter().filter_map(more).collect();
    grown.sort();
    *seen = now;
    grown
}
