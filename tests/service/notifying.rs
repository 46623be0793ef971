//! What the service manager is told, and when.

use std::{
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

use rustix::{
    process::Signal,
    time::{ClockId, clock_gettime},
};

use serde_json::json;

use crate::{config, eventually, manager::Manager, node::Node, support::echo};

fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

#[tokio::test]
async fn a_service_manager_hears_of_the_start_of_reloads_of_the_state_and_of_the_end() {
    let mut manager = Manager::new();
    let mut node = Node::prepare(&config(&[echo().await]));
    manager.runs(&mut node, None);
    node.up().await;
    eventually!(manager.told("READY") == ["1"]);
    let said = "1 services, 1 of 1 enabled hosts up, 0 sessions, revision 1";
    eventually!(
        manager
            .told("STATUS")
            .last()
            .is_some_and(|line| line == said)
    );

    let before = monotonic();
    node.edit("address = \"127", "weight = 7\naddress = \"127");
    node.signal(Signal::HUP);
    eventually!(manager.told("READY").len() == 2);
    let stamps = manager.told("MONOTONIC_USEC");
    let stamp: u64 = stamps[0].parse().unwrap();
    assert!((before..=monotonic()).contains(&stamp), "{stamp}");
    let texts: Vec<&str> = manager
        .heard()
        .iter()
        .map(|heard| heard.text.as_str())
        .collect();
    let reloading = texts
        .iter()
        .position(|text| text.starts_with("RELOADING=1\n"));
    let ready = texts.iter().rposition(|text| *text == "READY=1");
    assert!(reloading.unwrap() < ready.unwrap(), "{texts:?}");
    assert_eq!(
        node.revision(),
        2,
        "it was taken in when it was ready again"
    );

    assert!(manager.told("STOPPING").is_empty());
    node.down().await;
    assert_eq!(manager.told("STOPPING"), ["1"]);
    let micros: u64 = manager.told("EXTEND_TIMEOUT_USEC")[0].parse().unwrap();
    assert!(
        micros > 30_000_000,
        "the sessions have half a minute: {micros}"
    );
    assert!(manager.told("WATCHDOG").is_empty(), "nobody asked for it");
}

#[tokio::test]
async fn the_watchdog_is_fed_at_half_its_time_and_starves_with_a_stuck_data_thread() {
    let period = Duration::from_secs(2);
    let mut manager = Manager::new();
    let mut node = Node::prepare(&config(&[echo().await]));
    manager.runs(&mut node, Some(period));
    node.up().await;
    eventually!(manager.told("WATCHDOG").len() >= 4);
    let fed: Vec<Instant> = manager
        .heard()
        .iter()
        .filter(|heard| heard.get("WATCHDOG") == Some("1"))
        .map(|heard| heard.at)
        .collect();
    for pair in fed.windows(2) {
        assert!(pair[1] - pair[0] < period, "{:?}", pair[1] - pair[0]);
    }
    assert!(fed[3] - fed[0] > period, "four are three halves apart");
    node.down().await;

    let mut manager = Manager::new();
    let mut node = Node::prepare(&config(&[echo().await]));
    manager.runs(&mut node, Some(period));
    node.up_with("stuck-data:1").await;
    eventually!(node.log().contains("a data thread does not answer"));
    let fed = manager.told("WATCHDOG").len();
    assert!(fed >= 1, "it was alive at first");
    let starved = Instant::now();
    eventually!(starved.elapsed() > period);
    assert_eq!(manager.told("WATCHDOG").len(), fed);
    node.kill();
}

#[tokio::test]
async fn a_watchdog_that_is_meant_for_another_process_is_not_fed() {
    let mut manager = Manager::new();
    let mut node = Node::prepare(&config(&[echo().await]));
    manager.runs(&mut node, Some(Duration::from_millis(200)));
    node.environment
        .push(("WATCHDOG_PID".to_owned(), "1".to_owned()));
    node.up().await;
    eventually!(!manager.told("STATUS").is_empty());
    assert!(manager.told("WATCHDOG").is_empty());
    node.down().await;
}

#[tokio::test]
async fn a_manager_that_does_not_read_holds_up_no_command() {
    let mut node = Node::prepare(&config(&[echo().await]));
    let path = node.folder.join("notify");
    let _deaf = UnixDatagram::bind(&path).unwrap();
    let full = UnixDatagram::unbound().unwrap();
    full.set_nonblocking(true).unwrap();
    while full.send_to(b"STATUS=as ever", &path).is_ok() {}
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    node.environment = vec![
        variable("NOTIFY_SOCKET", path.to_str().unwrap()),
        variable("WATCHDOG_USEC", "200000"),
    ];
    node.up().await;
    let began = Instant::now();
    for _ in 0..20 {
        node.done(json!({"command": "status"}));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}
