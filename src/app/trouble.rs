//! What went wrong lately, in a line a service and host: for whoever reads the log.
//! It must not log for every connection: peers could fill the disk with that.

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::lost_lines;
use crate::control::{Balancer, status::NodeStatus};

/// How often the log says so.
const EVERY: Duration = Duration::from_secs(10);

/// A clock that is set in steps smaller than this is being kept right, and not worth a line.
const STEP: f64 = 1.0;

/// Says every ten seconds what has been refused and could not be connected to meanwhile, and
/// whether the machine's clock was set.
pub(super) async fn report(balancer: &Balancer) {
    let mut seen = HashMap::new();
    let mut lost = 0;
    let mut often = tokio::time::interval(EVERY);
    let began = Instant::now();
    let mut offset = ahead(began);
    loop {
        often.tick().await;
        let step = ahead(began) - offset;
        if step.abs() > STEP {
            offset += step;
            tracing::warn!(
                "the machine's clock was set by {step:+.0} s: deadlines stay, logins may end"
            );
        }
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

/// By how many seconds the time of day is ahead of a clock that nobody sets.
fn ahead(began: Instant) -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64() - began.elapsed().as_secs_f64()
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
