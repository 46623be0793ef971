//! Hours of a busy node in little: whatever comes and goes, nothing of it stays; and the faults of
//! the machine that others do not look at. It must not look at how fast it is; the benchmarks do.
//!
//! `integration/soak` runs it for longer, on a release build.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod clock;
#[path = "../support/node.rs"]
mod node;
mod ports;
mod sample;
mod traffic;

use std::{
    env,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use node::Node;
use sample::Sample;
use serde_json::json;
use support::{echo, service};
use tokio_util::sync::CancellationToken;
use traffic::{Done, Vanishing};

/// How long it goes on, unless `SOAK_SECONDS` says otherwise.
const SECONDS: u64 = 40;
/// How often it comes to rest and is measured, at least; how long a round takes, at most; and how
/// much of it the rest.
const ROUNDS: u32 = 8;
const ROUND: Duration = Duration::from_secs(20);
const REST: Duration = Duration::from_secs(3);
/// How much more memory it may have in the last quarter than in the second.
const MEMORY: u64 = 4 << 20;

/// A service that loses nothing, and one whose host comes and goes; as little kept as can be, so
/// that all that is kept is full soon.
fn config(steady: &[SocketAddr], shaky: &[SocketAddr]) -> String {
    let settings = "[node]\nname = \"lb1\"\nthreads = 2\nevents_kept = 500\nrevisions_kept = 20\n\
        [metrics]\nlisten = \"127.0.0.1:0\"\n\n";
    let limits = "limits = { per_client = 10_000 }\nqueue = { length = 10 }";
    let watched = "probe = { kind = \"tcp\", interval = \"100ms\", timeout = \"100ms\" }\n\
        outlier = { failures = 3, window = \"1s\", eject = \"200ms\" }\n";
    let web = service("web", &["127.0.0.1:0"], steady, limits);
    let group = "name = \"blue\"\n";
    let shaky =
        service("shaky", &["127.0.0.1:0"], shaky, "").replace(group, &format!("{group}{watched}"));
    format!("{settings}{web}{shaky}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_comes_and_goes_nothing_of_it_stays() {
    let seconds = env::var("SOAK_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let (length, began) = (Duration::from_secs(seconds), Instant::now());
    let each = (length / ROUNDS).min(ROUND).saturating_sub(REST);
    let vanishing = Vanishing::new().await;
    let hosts = [echo().await, echo().await];
    let mut node = Node::prepare(&config(&hosts, &[hosts[0], vanishing.address()]));
    let log = "warn,pointsman=error,pointsman::app::metrics=info";
    node.environment
        .push(("RUST_LOG".to_owned(), log.to_owned()));
    node.up().await;
    let node = Arc::new(node);

    let (mut samples, mut all) = (Vec::new(), Done::default());
    while began.elapsed() < length || samples.len() < ROUNDS as usize {
        let stop = CancellationToken::new();
        let busy = traffic::start(&node, &vanishing, &stop);
        tokio::time::sleep(each).await;
        stop.cancel();
        all.add(busy.end().await);
        samples.push(Sample::at_rest(&node).await);
        eprintln!("{:>6.0?} {:?}", began.elapsed(), samples[samples.len() - 1]);
    }
    eprintln!("{all:?}");
    assert!(all.sessions > 20 * seconds, "{all:?}");
    assert!(
        all.changes > seconds && all.reloads > seconds / 10,
        "{all:?}"
    );
    assert!(all.broken > 0, "no host has vanished: {all:?}");
    sample::are_flat(&samples, MEMORY);
    let counted = node.done(json!({"command": "status"}));
    for service in counted["data"]["services"].as_array().unwrap() {
        assert_eq!(service["sessions"]["active"], 0, "{service}");
    }
}
