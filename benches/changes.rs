//! How many changes a second a node takes: journal, file and all, on files of several sizes.
//! It must not measure anything in its own process: the node is the program as it is run.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/support/admin.rs"]
mod admin;
#[path = "../tests/support/flood.rs"]
mod flood;
#[path = "../tests/support/running.rs"]
mod running;

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use running::{Dir, Node};
use serde_json::json;

const TIME: Duration = Duration::from_secs(5);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    println!("hosts  clients  changes/s  answer p50  answer p99  control CPU of a change");
    for hosts in [10, 1000] {
        for clients in [1, 4, 32, 64] {
            runtime.block_on(measure(hosts, clients));
        }
    }
}

async fn measure(hosts: usize, clients: usize) {
    let dir = Dir::new();
    let mut node = Node::new(
        &dir.0,
        &flood::config(hosts.max(clients * 7), &["10.1.0.1:7001".parse().unwrap()]),
    );
    node.start(None);
    // Once it has answered, its threads have their names.
    node.ready().await.data(json!({"command": "whoami"})).await;
    let (began, cpu) = (Instant::now(), control_cpu(node.id()));
    let seen = flood::change(&mut node, clients, None, TIME).await;
    let took = began.elapsed();
    let cpu = control_cpu(node.id()) - cpu;
    assert!(seen.iter().all(|seen| seen.refused.is_empty()), "{seen:?}");
    let mut all: Vec<Duration> = seen.into_iter().flat_map(|seen| seen.took).collect();
    let rate = all.len() as f64 / took.as_secs_f64();
    let (half, most) = (
        flood::quantile(&mut all, 0.5),
        flood::quantile(&mut all, 0.99),
    );
    let each = cpu / all.len().max(1) as u32;
    println!("{hosts:>5}  {clients:>7}  {rate:>9.0}  {half:>10.1?}  {most:>10.1?}  {each:>10.1?}");
}

/// The processor time of the node's control thread, in the kernel and out of it: unlike the rate,
/// hardly touched by what else the machine does.
fn control_cpu(process: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut tasks = tasks.map(|task| task.unwrap().path());
    let is_control = |task: &PathBuf| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name == "control\n")
    };
    let control = tasks.find(is_control).unwrap();
    // proc(5): nanoseconds on a processor, then two other figures.
    let stat = fs::read_to_string(control.join("schedstat")).unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}
