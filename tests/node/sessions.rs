//! Open sessions: drained, closed, and left alone by a listener that moves.
//! It must not count what a client could not see, but by events.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    config, eventually,
    node::Node,
    settings,
    support::{echo, exchange, is_reset, service, soon},
};

fn host(command: &str, host: &str) -> Value {
    json!({"command": command, "host": host})
}

/// A session, which works.
async fn session(address: SocketAddr) -> TcpStream {
    let mut client = soon(TcpStream::connect(address)).await.unwrap();
    assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    client
}

/// A session on each of two hosts: on the first, on the second.
async fn a_session_on_each(node: &Node) -> (TcpStream, TcpStream) {
    let address = node.address();
    let one = session(address).await;
    let first = active(node) == [1, 0];
    let other = session(address).await;
    eventually!(active(node) == [1, 1]);
    if first { (one, other) } else { (other, one) }
}

fn active(node: &Node) -> Vec<u64> {
    let status = node.done(json!({"command": "status"}));
    let hosts = status["data"]["services"][0]["groups"][0]["hosts"]
        .as_array()
        .unwrap()
        .clone();
    hosts
        .iter()
        .map(|host| host["sessions"]["active"].as_u64().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_takes_no_session_and_ends_with_the_last() {
    let node = Node::start(&config(&[echo().await, echo().await])).await;
    let (mut one, mut other) = a_session_on_each(&node).await;
    node.done(host("drain-host", "web/blue/w1"));
    let mut more = session(node.address()).await;
    assert_eq!(active(&node), [1, 2]);
    assert!(node.told("host.drained").is_empty());
    assert_eq!(exchange(&mut one, b"goes on").await.unwrap(), b"goes on");
    drop(one);
    eventually!(!node.told("host.drained").is_empty());
    assert_eq!(
        node.told("host.drained"),
        [json!({"ended": 1, "closed": 0})]
    );
    for client in [&mut other, &mut more] {
        assert_eq!(exchange(client, b"still").await.unwrap(), b"still");
    }
    assert!(node.file().contains("admin = \"draining\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_says_how_far_it_is_and_closes_the_rest_at_its_deadline() {
    let node = Node::start(&config(&[echo().await, echo().await])).await;
    let (mut one, mut other) = a_session_on_each(&node).await;
    let second = session(node.address()).await;
    let third = session(node.address()).await;
    eventually!(active(&node) == [2, 2]);
    let mut drain = host("drain-host", "web/blue/w1");
    drain["deadline"] = json!("2s");
    node.done(drain);
    // Two answers later the drain has been looked at for the first time.
    assert_eq!((active(&node), active(&node)), (vec![2, 2], vec![2, 2]));
    // One of these two is on each host.
    drop((second, third));
    eventually!(node.told("host.drain-progress") == [json!({"active_sessions": 1})]);
    assert!(is_reset(&mut one).await);
    eventually!(node.told("host.drained") == [json!({"ended": 1, "closed": 1})]);
    assert_eq!(exchange(&mut other, b"still").await.unwrap(), b"still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_survives_a_restart_and_ends_after_it() {
    let mut node = Node::start(&config(&[echo().await, echo().await])).await;
    let (_one, _other) = a_session_on_each(&node).await;
    let mut drain = host("drain-host", "web/blue/w1");
    drain["deadline"] = json!("1h");
    node.done(drain);
    node.kill();
    node.up().await;
    eventually!(!node.told("host.drained").is_empty());
    assert_eq!(
        node.told("host.drained"),
        [json!({"ended": 0, "closed": 0})]
    );
    assert_eq!(node.shown()[0]["group"][0]["host"][0]["admin"], "draining");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_sessions_resets_those_of_a_host_or_of_a_service() {
    let node = Node::start(&config(&[echo().await, echo().await])).await;
    let (mut one, mut other) = a_session_on_each(&node).await;
    node.done(host("close-sessions", "web/blue/w1"));
    assert!(is_reset(&mut one).await);
    assert_eq!(exchange(&mut other, b"still").await.unwrap(), b"still");
    node.done(json!({"command": "close-sessions", "service": "web"}));
    assert!(is_reset(&mut other).await);
    let both = json!({"command": "close-sessions", "service": "web", "host": "web/blue/w1"});
    assert_eq!(node.refused(both).0, "invalid");
    assert_eq!(node.revision(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_moves_without_a_gap_and_a_port_in_use_changes_nothing() {
    let text = settings("") + &service("web", &["127.0.0.1:0"], &[echo().await], "");
    let node = Node::start(&text).await;
    let old = node.address();
    let mut client = session(old).await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (file, shown) = (node.file(), node.shown());
    let listen =
        |address: String| json!({"command": "set-listen", "service": "web", "listen": [address]});
    let (code, message) = node.refused(listen(taken.local_addr().unwrap().to_string()));
    assert_eq!(code, "failed", "{message}");
    assert_eq!(
        (node.file(), node.shown(), node.revision()),
        (file, shown, 1)
    );
    assert!(node.leftovers().is_empty(), "{:?}", node.leftovers());
    session(old).await;

    let free = taken.local_addr().unwrap();
    drop(taken);
    node.done(listen(free.to_string()));
    session(free).await;
    eventually!(TcpStream::connect(old).await.is_err());
    assert_eq!(exchange(&mut client, b"still").await.unwrap(), b"still");
}
