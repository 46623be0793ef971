//! Events out: every one, in order, through outages and crashes of everything.
//! It must not look into the journal: what counts is what a subscriber hears.

use std::{
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    activemq::ActiveMq,
    eventually,
    listener::Listener,
    node::Node,
    support::{echo, soon},
};

/// A node called `name` with the service `web` on these brokers.
fn config(name: &str, brokers: &[&ActiveMq], more: &str) -> String {
    bus(name, brokers, more)
        + "[[service]]\nname = \"web\"\nlisten = [\"127.0.0.1:0\"]\n\n\
           [[service.group]]\nname = \"blue\"\n\n\
           [[service.group.host]]\nname = \"w1\"\naddress = \"127.0.0.1:9\"\n\
           [[service.group.host]]\nname = \"w2\"\naddress = \"127.0.0.1:19\"\n"
}

/// The settings of a node called `name` on these brokers.
pub(crate) fn bus(name: &str, brokers: &[&ActiveMq], more: &str) -> String {
    let places: Vec<_> = brokers.iter().map(|broker| broker.plain()).collect();
    format!(
        "[node]\nname = \"{name}\"\n\n\
         [bus]\nbrokers = {places:?}\nlogin = \"pointsman\"\npasscode = \"pointsman\"\n{more}\n\n"
    )
}

/// So many changes, each of which is a few events.
fn change(node: &Node, count: u64) {
    for number in 0..count {
        let weight = 1 + number % 256;
        node.done(json!({"command": "set-weight", "host": "web/blue/w1", "weight": weight}));
    }
}

/// The number of the node's last event.
fn last(node: &Node) -> String {
    let events = node.events(0);
    events.last().unwrap()["sequence"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Hears every event of `node`. The broker keeps no order over topics in what it has kept: the
/// last may come before others.
async fn hear_all(listener: &mut Listener, node: &Node) {
    let last: usize = last(node).parse().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while listener.heard.len() < last && Instant::now() < until {
        listener.next().await;
    }
    listener.assert_complete();
    assert_eq!(listener.heard.len(), last);
}

#[tokio::test]
async fn every_event_comes_in_order_from_the_first_to_the_last() {
    let Some(broker) = ActiveMq::start() else {
        return;
    };
    let mut listener = Listener::at(&broker, None).await;
    let mut node = Node::start(&config("lb1", &[&broker], "")).await;
    change(&node, 20);
    hear_all(&mut listener, &node).await;
    node.down().await;
    listener
        .until(|event| event["type"] == "pointsman.node.stopping")
        .await;
    listener.assert_complete();
    let before = listener.heard.len();
    node.up().await;
    listener
        .until(|event| event["type"] == "pointsman.node.started")
        .await;
    assert_eq!(
        listener.heard.len(),
        before + 1,
        "what was confirmed is not sent again"
    );
    change(&node, 5);
    hear_all(&mut listener, &node).await;
    listener.assert_in_order();
}

#[tokio::test]
async fn a_selector_chooses_by_type_subject_and_node() {
    let Some(broker) = ActiveMq::start() else {
        return;
    };
    let chosen = "cloudEvents_type = 'pointsman.host.disabled' AND cloudEvents_subject LIKE 'web/%' \
                  AND cloudEvents_source = '/pointsman/lb2'";
    let mut listener = Listener::at(&broker, Some(chosen)).await;
    let first = Node::start(&config("lb1", &[&broker], "")).await;
    let second = Node::start(&config("lb2", &[&broker], "")).await;
    for node in [&first, &second] {
        change(node, 3);
        node.done(json!({"command": "disable-host", "host": "web/blue/w1"}));
    }
    let event = listener.next().await;
    assert_eq!(event["source"], "/pointsman/lb2");
    assert_eq!(event["type"], "pointsman.host.disabled");
    second.done(json!({"command": "enable-host", "host": "web/blue/w1"}));
    second.done(json!({"command": "disable-host", "host": "web/blue/w1"}));
    listener.next().await;
    assert_eq!(listener.heard.len(), 2);
}

#[tokio::test]
async fn two_nodes_on_one_broker_are_both_heard() {
    let Some(broker) = ActiveMq::start() else {
        return;
    };
    let mut listener = Listener::at(&broker, None).await;
    let first = Node::start(&config("lb1", &[&broker], "")).await;
    let second = Node::start(&config("lb2", &[&broker], "")).await;
    for _ in 0..5 {
        change(&first, 2);
        change(&second, 2);
    }
    let sequences = [
        ("/pointsman/lb1", last(&first)),
        ("/pointsman/lb2", last(&second)),
    ];
    let has = |heard: &[Value]| {
        let heard = |(source, sequence): &(&str, String)| {
            heard
                .iter()
                .any(|event| event["source"] == *source && event["sequence"] == **sequence)
        };
        sequences.iter().all(heard)
    };
    while !has(&listener.heard) {
        listener.next().await;
    }
    listener.assert_complete();
}

/// How long the broker is away: as many seconds as `BUS_OUTAGE` says, else as long as CI can wait.
fn outage() -> Duration {
    let seconds = std::env::var("BUS_OUTAGE").map(|seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds.unwrap_or(4))
}

/// A host that can be connected to every other time.
struct Flapping {
    address: SocketAddr,
    listener: Option<TcpListener>,
}

impl Flapping {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            listener: Some(listener),
        }
    }

    fn flap(&mut self) {
        self.listener = match self.listener.take() {
            Some(_) => None,
            None => Some(TcpListener::bind(self.address).unwrap()),
        };
    }
}

#[tokio::test]
async fn while_the_broker_is_away_events_wait_and_nothing_else_does() {
    let Some(mut broker) = ActiveMq::start() else {
        return;
    };
    let mut host = Flapping::new();
    let probe = "name = \"blue\"\nprobe = { kind = \"tcp\", interval = \"500ms\", timeout = \"500ms\", \
                 fall = 1, rise = 1 }\n";
    let text = config("lb1", &[&broker], "")
        .replace("127.0.0.1:19", &host.address.to_string())
        .replace("127.0.0.1:9\"", &format!("{}\"", echo().await))
        .replace("name = \"blue\"\n", probe);
    let mut listener = Listener::durable(&broker).await;
    let mut node = Node::start(&text).await;
    change(&node, 5);
    hear_all(&mut listener, &node).await;
    broker.down();
    let away = Instant::now();
    let (falls, began) = (node.told("host.down").len(), Instant::now());
    change(&node, 20);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    while away.elapsed() < outage() {
        host.flap();
        change(&node, 3);
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert!(node.told("host.down").len() > falls);
    // What waits outlives a crash of the node too.
    node.kill();
    node.up().await;
    change(&node, 20);
    broker.up();
    hear_all(&mut listener, &node).await;
    assert!(listener.heard.len() > 90, "{}", listener.heard.len());
}

#[tokio::test]
async fn a_broker_that_crashes_under_a_stream_of_events_loses_none() {
    let Some(mut broker) = ActiveMq::start() else {
        return;
    };
    let mut listener = Listener::durable(&broker).await;
    let node = Node::start(&config("lb1", &[&broker], "")).await;
    for _ in 0..3 {
        change(&node, 15);
        broker.signal(Signal::KILL);
        change(&node, 15);
        broker.up();
    }
    hear_all(&mut listener, &node).await;
    assert!(listener.heard.len() > 180, "{}", listener.heard.len());
}

/// How long a session of one exchange takes at most, but for one in a hundred.
async fn p99(node: &Node, time: Duration) -> Duration {
    let (began, mut took) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        let asked = Instant::now();
        let stream = tokio::net::TcpStream::connect(node.address()).await;
        let mut stream = stream.unwrap();
        crate::support::exchange(&mut stream, b"hi").await.unwrap();
        took.push(asked.elapsed());
    }
    took.sort();
    assert!(took.len() > 100, "{}", took.len());
    took[took.len() * 99 / 100]
}

#[tokio::test]
async fn a_broker_that_hangs_is_left_for_the_next_and_nobody_notices() {
    let (Some(first), Some(second)) = (ActiveMq::start(), ActiveMq::start()) else {
        return;
    };
    let mut listener = Listener::at(&second, None).await;
    let host = echo().await;
    let config = config("lb1", &[&first, &second], "heart_beat = \"500ms\"")
        .replace("127.0.0.1:9\"", &format!("{host}\""));
    let node = Node::start(&config).await;
    eventually!(node.log().contains("connected to the bus"));
    change(&node, 5);
    let calm = p99(&node, Duration::from_millis(2500)).await;
    first.signal(Signal::STOP);
    let hung = Instant::now();
    change(&node, 5);
    let busy = p99(&node, Duration::from_millis(2500)).await;
    // The machine may be shared; a proxy that waits for a broker would take seconds.
    assert!(
        busy < 4 * calm + Duration::from_millis(20),
        "{busy:?} after {calm:?}"
    );
    let change = soon(listener.next()).await;
    assert!(
        hung.elapsed() < Duration::from_secs(4),
        "{:?}: {change}",
        hung.elapsed()
    );
    let last = last(&node);
    listener.until(|event| event["sequence"] == *last).await;
    first.signal(Signal::CONT);
}

#[tokio::test]
async fn the_connection_follows_a_reload_or_the_reload_is_refused() {
    let Some(broker) = ActiveMq::start() else {
        return;
    };
    let mut listener = Listener::at(&broker, None).await;
    let text = config("lb1", &[&broker], "")
        .replace("brokers = [", "brokers = [\"stomp://127.0.0.1:1\"] # ");
    let node = Node::start(&text).await;
    eventually!(node.log().contains("not connected to the bus"));
    change(&node, 3);
    node.edit(
        "passcode = \"pointsman\"",
        "passcode = { env = \"NOWHERE\" }",
    );
    let (code, message) = node.refused(json!({"command": "reload"}));
    assert_eq!(code, "failed");
    assert!(
        message.contains("[bus] passcode: the variable NOWHERE"),
        "{message}"
    );
    node.write(&config("lb1", &[&broker], ""));
    node.done(json!({"command": "reload"}));
    hear_all(&mut listener, &node).await;
    assert!(!node.log().contains("\"pointsman\""));
}

#[tokio::test]
async fn more_than_is_kept_is_told_as_lost_from_which_to_which() {
    let Some(mut broker) = ActiveMq::start() else {
        return;
    };
    let mut listener = Listener::durable(&broker).await;
    let text = config("lb1", &[&broker], "").replace("[bus]", "events_kept = 20\n\n[bus]");
    let node = Node::start(&text).await;
    hear_all(&mut listener, &node).await;
    let heard = listener.heard.len() as u64;
    let bus = |node: &Node| node.done(json!({"command": "status"}))["data"]["bus"].clone();
    let place = Value::from(broker.plain());
    eventually!(bus(&node)["waiting"] == 0);
    let before = bus(&node);
    let first = json!({"connected": true, "broker": place, "sent": heard, "waiting": 0, "lost": 0,
        "trouble": null});
    assert_eq!(before, first);
    broker.down();
    change(&node, 30);
    eventually!(bus(&node)["connected"] == false && bus(&node)["waiting"].as_u64() > Some(20));
    assert!(bus(&node)["trouble"].is_string());
    broker.up();
    let lost = listener
        .until(|event| event["type"] == "pointsman.node.events-lost")
        .await;
    assert_eq!(lost["data"]["from"], heard + 1);
    let sequence = |event: &Value| event["sequence"].as_str().unwrap().parse::<u64>().unwrap();
    let next = listener
        .heard
        .iter()
        .map(sequence)
        .filter(|number| *number > heard)
        .min();
    assert_eq!(lost["data"]["to"], next.unwrap() - 1);
    assert_eq!(bus(&node)["lost"], lost["data"]["events"]);
}
