//! How many commands a second go over the bus; to be run by itself, as docs/performance.md says.
//! It must not judge the figures: they are the machine's.

use std::time::Instant;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    activemq::ActiveMq,
    asking::{Site, weigh},
};

/// Commands of each caller.
const EACH: u64 = 50;

/// Has `callers` give commands at once, each its next when the last is answered.
async fn commands_a_second(site: &Site, callers: u64, command: fn(u64) -> Value) -> f64 {
    let mut ready = Vec::new();
    for _ in 0..callers {
        let mut caller = site.caller("operator").await;
        let login = site.log_in(&mut caller, "operator").await;
        ready.push((caller, login));
    }
    let start = Instant::now();
    let mut asking = JoinSet::new();
    for (mut caller, login) in ready {
        asking.spawn(async move {
            for number in 0..EACH {
                let answer = caller.command(&login, &command(number)).await.unwrap();
                assert_eq!(answer["ok"], true, "{answer}");
            }
        });
    }
    asking.join_all().await;
    (callers * EACH) as f64 / start.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn commands_a_second_over_the_bus() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    for (how, place) in [("plain", broker.plain()), ("TLS", broker.tls())] {
        let site = Site::start(broker, &place, "").await;
        for callers in [1, 4] {
            let reads = commands_a_second(&site, callers, |_| json!({"command": "whoami"})).await;
            let changes =
                commands_a_second(&site, callers, |number| weigh("w1", 1 + number % 2)).await;
            println!("{how}, {callers} callers: {reads:.0} reads/s, {changes:.0} changes/s");
        }
    }
}
