//! The node's heartbeat: every ten seconds a message that it lives, and how it is.
//! It must not be kept by anybody: one that was missed is followed by the next.

use std::{collections::HashMap, time::Duration};

use serde_json::{Map, Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::bus::message;
use crate::{
    control::{Control, answer::Answer},
    model::{
        command::Command,
        principal::{Door, Principal},
    },
    stomp::{Client, Link},
};

/// How often.
pub const EVERY: Duration = Duration::from_secs(10);

/// Says until `stop` that the node behind `control` lives, while there is a connection.
pub async fn run(client: Client, control: Control, prefix: String, stop: CancellationToken) {
    let mut often = interval(EVERY);
    often.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut totals = Totals::default();
    while stop.run_until_cancelled(often.tick()).await.is_some() {
        if matches!(&*client.link().borrow(), Link::Down(_)) {
            continue;
        }
        let who = Principal::part("pointsman", Door::Timer);
        let asked = control.execute(who, Command::Status {}.into(), "heartbeat".to_owned());
        let answer = asked.await;
        if answer.ok {
            let event = event(&control, &answer, &mut totals);
            // One that does not arrive is not missed.
            let _ = client.begin(message(&prefix, "node", &event)).await;
        }
    }
}

/// Sessions since the start, by service, when it was last looked, and when that was.
#[derive(Default)]
struct Totals {
    at: Option<Instant>,
    sessions: HashMap<String, u64>,
}

fn event(control: &Control, answer: &Answer, totals: &mut Totals) -> Value {
    let (node, epoch) = (control.node(), control.epoch());
    let now = std::time::SystemTime::now();
    json!({
        "specversion": "1.0",
        "id": format!("{node}-{epoch}-heartbeat-{}", rand::random::<u64>()),
        "epoch": epoch,
        "source": format!("/pointsman/{node}"),
        "type": "pointsman.node.heartbeat",
        "subject": node,
        "time": humantime::format_rfc3339_millis(now).to_string(),
        "datacontenttype": "application/json",
        "data": {
            "revision": answer.revision,
            "uptime_s": answer.data["uptime_s"],
            "services": services(&answer.data, totals),
        },
    })
}

/// Each service by its name: sessions open, sessions a second since the last heartbeat, hosts up,
/// and hosts.
fn services(status: &Value, totals: &mut Totals) -> Value {
    let elapsed = totals
        .at
        .replace(Instant::now())
        .map(|at| at.elapsed().as_secs_f64());
    let before = std::mem::take(&mut totals.sessions);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut told = Map::new();
    for service in list(&status["services"]) {
        let name = service["name"].as_str().unwrap_or_default().to_owned();
        let total = service["sessions"]["total"].as_u64().unwrap_or_default();
        let rate = match (elapsed, before.get(&name)) {
            (Some(elapsed), Some(before)) if elapsed > 0.0 => {
                (total.saturating_sub(*before) as f64 / elapsed * 10.0).round() / 10.0
            }
            _ => 0.0,
        };
        let groups = list(&service["groups"]);
        let hosts: Vec<Value> = groups
            .iter()
            .flat_map(|group| list(&group["hosts"]))
            .collect();
        let up = |host: &&Value| {
            let health = host["health"].as_str();
            host["admin"] == "enabled" && matches!(health, Some("up" | "unknown"))
        };
        let about = json!({
            "sessions": service["sessions"]["active"],
            "rate": rate,
            "hosts_up": hosts.iter().filter(up).count(),
            "hosts": hosts.len(),
        });
        told.insert(name.clone(), about);
        totals.sessions.insert(name, total);
    }
    Value::Object(told)
}
