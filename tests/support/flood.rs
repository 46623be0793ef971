//! A file with very many hosts, and clients that change them.
//! It must not judge: it counts, and says what it saw.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::{admin::Admin, running::Node};

/// A service `web` with `many` hosts that nobody uses, and before it `front`, for traffic.
pub fn config(many: usize, hosts: &[SocketAddr]) -> String {
    let mut text =
        "[node]\nstate_dir = \"state\"\nthreads = 1\nrevisions_kept = 100000\n".to_owned();
    let service = |name| {
        format!(
            "\n[[service]]\nname = \"{name}\"\nlisten = [\"127.0.0.1:0\"]\n\n[[service.group]]\nname = \"blue\"\n"
        )
    };
    let host = |name: String, address: String| {
        format!(
            "\n[[service.group.host]]\nname = \"{name}\"  # ours\naddress = \"{address}\"\nweight = 2\n"
        )
    };
    text += &service("front");
    for (n, address) in hosts.iter().enumerate() {
        text += &host(format!("f{n}"), address.to_string());
    }
    text += &service("web");
    for n in 0..many {
        let address = format!("10.0.{}.{}:7001", n / 250, n % 250 + 1);
        text += &host(format!("w{n}"), address);
    }
    text
}

/// What one client saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// The revisions of its changes, as they were answered.
    pub revisions: Vec<u64>,
    /// Answers that were not what they should be.
    pub refused: Vec<Value>,
    /// How long each answer took.
    pub took: Vec<Duration>,
}

/// Has `clients` change hosts of `web`, and now and then the weight of `front/blue/f0`, for as
/// long as `time`: each one change every `every`, or without a pause.
pub async fn change(
    node: &mut Node,
    clients: usize,
    every: Option<Duration>,
    time: Duration,
) -> Vec<Seen> {
    let mut tasks = Vec::new();
    for client in 0..clients {
        let admin = node.ready().await;
        tasks.push(tokio::spawn(one(admin, client, every, time)));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    all
}

async fn one(mut admin: Admin, client: usize, every: Option<Duration>, time: Duration) -> Seen {
    let mut seen = Seen::default();
    let mut ticks = interval(every.unwrap_or(Duration::from_nanos(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let began = Instant::now();
    for number in 1_u64.. {
        if every.is_some() {
            ticks.tick().await;
        }
        if began.elapsed() >= time {
            break;
        }
        let host = format!("web/blue/w{}", client * 7);
        let mut command = json!({"command": "set-host", "host": host, "max_sessions": number});
        if client == 0 && number % 4 == 0 {
            let weight = number % 256 + 1;
            command = json!({"command": "set-weight", "host": "front/blue/f0", "weight": weight});
        }
        command["reason"] = json!(format!("{client} {number}"));
        let asked = Instant::now();
        let answer = admin.ask(&command).await.unwrap();
        seen.took.push(asked.elapsed());
        match answer["revision"].as_u64() {
            Some(revision) if answer["ok"] == true => seen.revisions.push(revision),
            _ => seen.refused.push(answer),
        }
    }
    seen
}

/// The `share` of `all` that took no longer than what is returned.
pub fn quantile(all: &mut [Duration], share: f64) -> Duration {
    all.sort_unstable();
    let index = (all.len() as f64 * share) as usize;
    all.get(index.min(all.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}
