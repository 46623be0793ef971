//! How many changes a second a node takes: journal, file and all, on files of several sizes.
//! It must not measure anything in its own process: the node is the program as it is run.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/support/admin.rs"]
mod admin;
#[path = "../tests/support/flood.rs"]
mod flood;
#[path = "../tests/support/running.rs"]
mod running;

use std::time::{Duration, Instant};

use running::{Dir, Node};

const TIME: Duration = Duration::from_secs(5);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    println!("hosts  clients  changes/s  answer p50  answer p99");
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
    let began = Instant::now();
    let seen = flood::change(&mut node, clients, None, TIME).await;
    let took = began.elapsed();
    assert!(seen.iter().all(|seen| seen.refused.is_empty()), "{seen:?}");
    let mut all: Vec<Duration> = seen.into_iter().flat_map(|seen| seen.took).collect();
    let rate = all.len() as f64 / took.as_secs_f64();
    let (half, most) = (
        flood::quantile(&mut all, 0.5),
        flood::quantile(&mut all, 0.99),
    );
    println!("{hosts:>5}  {clients:>7}  {rate:>9.0}  {half:>10.1?}  {most:>10.1?}");
}
