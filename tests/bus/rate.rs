//! How many commands and events a second go over the bus; to be run by itself, as docs/performance.md says.
//! It must not judge the figures: they are the machine's.

use std::{
    thread,
    time::{Duration, Instant},
};

use pointsman::stomp::{Acknowledge, Client, Incoming, Subscribe, Subscription};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    activemq::ActiveMq,
    asking::{Site, config, weigh},
    node::Node,
    support::soon,
};

/// Commands of each caller.
const EACH: u64 = 500;
/// Changes for the rate of events; each is three of them.
const CHANGES: u64 = 1500;
/// More than the events of these.
const ROOM: usize = 20_000;

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

/// A subscriber who only counts.
async fn counting(broker: &ActiveMq, name: &str) -> (Client, Subscription) {
    let header = |name: &str, value: String| (name.to_owned(), value);
    let selector = format!("cloudEvents_source = '/pointsman/{name}'");
    let client = broker.client("viewer").await;
    let subscribe = Subscribe {
        destination: "/topic/pointsman.events.>".to_owned(),
        acknowledge: Acknowledge::Auto,
        headers: vec![
            header("activemq.prefetchSize", ROOM.to_string()),
            header("selector", selector),
        ],
        room: ROOM,
    };
    let mut subscription = client.subscribe(subscribe).await.unwrap();
    assert_eq!(soon(subscription.next()).await, Some(Incoming::Ready));
    (client, subscription)
}

/// Counts up to the event `last`, and from the first to it takes the time; heart-beats not.
async fn count(subscription: &mut Subscription, last: &str) -> (u64, Duration) {
    let (mut count, mut began) = (0, None);
    loop {
        let next = timeout(Duration::from_secs(120), subscription.next()).await;
        let Some(Incoming::Message(delivery)) = next.unwrap() else {
            panic!("a gap");
        };
        if delivery.headers.get("persistent") == Some("true") {
            count += 1;
            let began = *began.get_or_insert_with(Instant::now);
            if delivery.headers.get("cloudEvents_id") == Some(last) {
                return (count, began.elapsed());
            }
        }
    }
}

/// So many changes, by four who each wait for their answer; returns the id of the last event.
fn change(node: &Node, token: &str) -> String {
    let done = |command: &Value| {
        let (_, answer) = node.post("/v1/commands", Some(token), command);
        assert_eq!(answer["ok"], true, "{answer}");
        answer
    };
    let change = |number: u64| {
        let host = format!("w{}", 1 + number % 2);
        done(&weigh(&host, 1 + number / 2 % 250));
    };
    thread::scope(|scope| {
        for caller in 0..4 {
            let numbers = (0..CHANGES).filter(move |number| number % 4 == caller);
            scope.spawn(move || numbers.for_each(change));
        }
    });
    let newest = done(&json!({"command": "events", "limit": 1}));
    newest["data"]["events"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn events_a_second_over_the_bus() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    for (how, place) in [("plain", broker.plain()), ("tls", broker.tls())] {
        let name = format!("rate-{how}");
        let (_client, mut heard) = counting(broker, &name).await;
        let text = config(broker, "stomp://127.0.0.1:1", &name, "");
        let node = Node::start(&text).await;
        let token = node.login("admin");
        let last = change(&node, &token);
        node.edit("stomp://127.0.0.1:1", &place);
        let (_, answer) = node.post("/v1/commands", Some(&token), &json!({"command": "reload"}));
        assert_eq!(answer["ok"], true, "{answer}");
        let (waited, took) = count(&mut heard, &last).await;
        let waiting = waited as f64 / took.as_secs_f64();
        let began = Instant::now();
        let last = change(&node, &token);
        let (came, _) = count(&mut heard, &last).await;
        let fresh = came as f64 / began.elapsed().as_secs_f64();
        println!(
            "{how}: {waiting:.0} events/s of {waited} that waited, {fresh:.0} of {came} as they come about"
        );
    }
}
