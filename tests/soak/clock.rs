//! The machine's clock is set while everything goes on. Faked for the one process, with
//! libfaketime: setting the real one would be felt by everybody else, and a time namespace has no
//! time of day of its own.

use std::{
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{
    node::{Node, user},
    support::{echo, exchange, service},
};

const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// A node whose time of day is the machine's and what `set` says; `None` where it cannot be faked.
async fn node(config: &str) -> Option<Node> {
    let Some(library) = LIBRARIES.into_iter().find(|path| Path::new(path).exists()) else {
        let required = env::var_os("REQUIRE_REAL").is_some_and(|value| value == "1");
        assert!(!required, "REQUIRE_REAL is set: there is no libfaketime");
        eprintln!("skipped: there is no libfaketime");
        return None;
    };
    let mut node = Node::prepare(config);
    let file = node.folder.join("clock");
    let environment = [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    let pairs = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    node.environment.extend(pairs);
    set(&node, "+0");
    node.up().await;
    Some(node)
}

/// Sets the node's clock, by an offset as `+1d`.
fn set(node: &Node, offset: &str) {
    let new = node.folder.join("clock.new");
    fs::write(&new, format!("{offset}\n")).unwrap();
    fs::rename(new, node.folder.join("clock")).unwrap();
}

/// The day of the newest revision, as it is told.
fn day(node: &Node) -> Value {
    let time = node.history()[0]["time"].as_str().unwrap().to_owned();
    time.split('T').next().unwrap().into()
}

fn weight(weight: u16) -> Value {
    json!({"command": "set-weight", "host": "web/blue/w1", "weight": weight})
}

/// What goes on whatever time it is: sessions, old and new, and what waits.
async fn goes_on(node: &Node, token: &str, clients: &mut [TcpStream]) {
    for client in clients {
        assert_eq!(exchange(client, b"still").await.unwrap(), b"still");
    }
    let mut new = TcpStream::connect(node.address()).await.unwrap();
    assert_eq!(exchange(&mut new, b"hello").await.unwrap(), b"hello");
    let (_, answer) = node.post("/v1/commands", Some(token), &weight(9));
    assert_eq!(
        answer["error"]["code"], "conflict",
        "the change still waits: {answer}"
    );
    assert!(node.told("host.drained").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_clock_is_set_sessions_and_deadlines_stay_and_logins_never_last_longer() {
    let people = user("ada", "role = \"admin\"");
    let web = service("web", &["127.0.0.1:0"], &[echo().await, echo().await], "");
    let text =
        format!("[node]\nname = \"lb1\"\nthreads = 2\n\n[auth]\nlogin_ttl = \"1h\"\n{people}{web}");
    let Some(node) = node(&text).await else {
        return;
    };
    let token = node.login("ada");
    let done = |token: &str, command: Value| {
        let (_, answer) = node.post("/v1/commands", Some(token), &command);
        assert_eq!(answer["ok"], true, "{command}: {answer}");
    };
    let address = node.address();
    let mut clients = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    for client in &mut clients {
        exchange(client, b"before").await.unwrap();
    }
    done(
        &token,
        json!({"command": "drain-host", "host": "web/blue/w1", "deadline": "1h"}),
    );
    let unconfirmed = json!({"command": "set-weight", "host": "web/blue/w2", "weight": 7,
        "confirm_within": "1h"});
    done(&token, unconfirmed);
    let today = day(&node);

    set(&node, "-2d");
    goes_on(&node, &token, &mut clients).await;
    eventually_said(&node, "the machine's clock was set by -172800 s").await;
    set(&node, "+2d");
    let (status, _) = node.post("/v1/commands", Some(&token), &weight(9));
    assert_eq!(status, 401, "by this clock it is over");
    let token = node.login("ada");
    goes_on(&node, &token, &mut clients).await;
    eventually_said(&node, "the machine's clock was set by +345600 s").await;
    set(&node, "+0");
    goes_on(&node, &token, &mut clients).await;

    done(&token, json!({"command": "confirm"}));
    set(&node, "-2d");
    done(&token, weight(3));
    assert_ne!(
        day(&node),
        today,
        "the clock was not set at all: {:?}",
        node.history()
    );
    set(&node, "+0");
    done(&token, weight(4));
    assert_eq!(day(&node), today);
    let history = node.history();
    let numbers = history
        .iter()
        .rev()
        .map(|one| one["revision"].as_u64().unwrap());
    assert!(numbers.eq(1..=history.len() as u64), "{history:?}");
}

/// The log says so within its ten seconds.
async fn eventually_said(node: &Node, words: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !node.log().contains(words) {
        assert!(Instant::now() < deadline, "{words}: {}", node.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
