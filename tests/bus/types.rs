//! Every type of event, caused in the way in which it comes about, and heard over the bus.
//! It must not make up an event: what is heard is what a node has sent.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    activemq::ActiveMq,
    events::bus,
    eventually, examples,
    listener::Listener,
    node::{Node, user},
    support::{echo, exchange, resetting_when_asked},
};

/// A process that can be connected to, and breaks every session; it keeps its port.
async fn breaking() -> (Node, SocketAddr) {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    drop(held);
    let text = format!(
        "[[service]]\nname = \"broken\"\nlisten = [\"{address}\"]\n\n\
         [[service.group]]\nname = \"blue\"\n\n\
         [[service.group.host]]\nname = \"w1\"\naddress = \"{}\"\n",
        resetting_when_asked().await
    );
    (Node::start(&text).await, address)
}

fn group(name: &str, more: &str, hosts: &[SocketAddr]) -> String {
    let mut text = format!("[[service.group]]\nname = \"{name}\"\n{more}\n\n");
    for (index, address) in hosts.iter().enumerate() {
        let name = index + 1;
        text += &format!("[[service.group.host]]\nname = \"w{name}\"\naddress = \"{address}\"\n\n");
    }
    text
}

/// `web` doubts its probes, `api` watches sessions and has a backup, and the hosts of `calm` do as
/// they should.
fn config(broker: &ActiveMq, failing: &[SocketAddr], calm: SocketAddr) -> String {
    let probe = "probe = { kind = \"tcp\", interval = \"500ms\", timeout = \"500ms\", fall = 1, rise = 1 }\n";
    let doubted = format!("{probe}panic = \"50%\"");
    let watched =
        format!("{probe}outlier = {{ failures = 2, eject = \"1s\", max_eject = \"1s\" }}");
    let service = |name: &str, more: &str| {
        format!("[[service]]\nname = \"{name}\"\nlisten = [\"127.0.0.1:0\"]\n{more}\n")
    };
    bus("lb1", &[broker], "")
        + &service("web", "")
        + &group("blue", &doubted, failing)
        + &service("api", "backup = { group = \"green\", hold = \"0s\" }")
        + &group("blue", &watched, failing)
        + &group("green", "", &[calm])
        + &service("calm", "")
        + &group("blue", "", &[calm, calm])
}

/// Where the service listens.
fn address(node: &Node, service: &str) -> SocketAddr {
    let status = node.done(json!({"command": "status"}));
    let services = status["data"]["services"].as_array().unwrap();
    let found = services.iter().find(|found| found["name"] == service);
    found.unwrap()["listen"][0]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// A session that its host breaks, or that gets none.
async fn broken_session(address: SocketAddr) {
    if let Ok(mut stream) = TcpStream::connect(address).await {
        let _ = stream.write_all(b"hi").await;
        let _ = stream.read(&mut [0]).await;
    }
}

fn has(node: &Node, kind: &str) -> bool {
    !node.told(kind).is_empty()
}

fn activated(node: &Node, by: &str) -> bool {
    let told = node.told("group.activated");
    told.iter().any(|data| data["by"] == by)
}

#[tokio::test]
async fn every_type_of_event_comes_as_the_document_has_it() {
    let Some(broker) = ActiveMq::start() else {
        return;
    };
    let mut listener = Listener::at(&broker, None).await;
    let (mut first, one) = breaking().await;
    let (mut second, two) = breaking().await;
    let text = config(&broker, &[one, two], echo().await);
    let mut node = Node::start(&text).await;
    health(&node, &mut first, &mut second).await;
    drain(&node).await;
    configuration(&node).await;
    node.down().await;
    let node = people(&broker).await;
    let (last, source) = (node.events(0).pop().unwrap(), "/pointsman/lb2");
    let is_last =
        |event: &Value| event["source"] == source && event["sequence"] == last["sequence"];
    listener.until(is_last).await;
    while listener.heartbeats.len() < 2 {
        listener
            .until(|event| event.get("sequence").is_none())
            .await;
    }
    listener.assert_complete();
    let heard: Vec<&Value> = listener.heard.iter().chain(&listener.heartbeats).collect();
    // They take a crash and an edit, a directory, a name server, another process, and other nodes
    // and people on the bus. What is lost has a test of its own.
    let others = [
        "host.resolved",
        "host.unresolved",
        "config.conflict",
        "admin.rights-changed",
        "admin.command login",
        "admin.command because",
        "admin.command users",
        "admin.command count",
        "node.conflict",
        "node.upgraded",
        "node.upgrade-failed",
        "node.events-lost",
    ];
    examples::assert_all_came(&heard, &others);
}

/// Hosts that are ejected, that fall, and that are back.
async fn health(node: &Node, first: &mut Node, second: &mut Node) {
    let (web, api) = (address(node, "web"), address(node, "api"));
    eventually!(node.told("host.up").len() >= 4);
    eventually!({
        broken_session(api).await;
        has(node, "host.ejected")
    });
    eventually!(has(node, "host.readmitted"));
    first.kill();
    second.kill();
    eventually!(has(node, "service.panic"));
    eventually!({
        broken_session(web).await;
        has(node, "service.panic-ended") && has(node, "service.exhausted")
    });
    eventually!(activated(node, "failover"));
    first.up().await;
    second.up().await;
    eventually!(has(node, "service.restored"));
    eventually!(activated(node, "hand-back"));
}

/// A host that drains, with sessions that end one after the other.
async fn drain(node: &Node) {
    let calm = address(node, "calm");
    let host = json!("calm/blue/w1");
    node.done(json!({"command": "disable-host", "host": "calm/blue/w2"}));
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(calm).await.unwrap();
        exchange(&mut stream, b"hi").await.unwrap();
        sessions.push(stream);
    }
    node.done(json!({"command": "enable-host", "host": "calm/blue/w2"}));
    node.done(json!({"command": "drain-host", "host": host}));
    tokio::time::sleep(Duration::from_millis(1200)).await;
    sessions.pop();
    eventually!(has(node, "host.drain-progress"));
    sessions.pop();
    eventually!(has(node, "host.drained"));
    node.done(json!({"command": "enable-host", "host": host}));
}

/// What is changed, kept, and taken back.
async fn configuration(node: &Node) {
    let (group, host) = ("shop/green", "shop/green/w9");
    let first = json!([{"name": "blue", "host": [{"name": "w1", "address": "127.0.0.1:9"}]}]);
    node.done(
        json!({"command": "add-service", "service": "shop", "listen": ["127.0.0.1:0"],
        "group": first}),
    );
    node.done(json!({"command": "add-group", "group": group, "scheduler": "random"}));
    node.done(json!({"command": "add-host", "host": host, "address": "127.0.0.1:19", "weight": 5}));
    let before = node.revision();
    let change = json!({"command": "set-weight", "host": host, "weight": 2,
        "reason": "a try", "confirm_within": "5m"});
    node.done(change.clone());
    node.done(json!({"command": "confirm"}));
    let mut dry = change;
    dry["dry_run"] = json!(true);
    dry["host"] = json!("shop/green/nobody");
    node.refused(dry);
    node.done(json!({"command": "rollback", "revision": before}));
    node.done(json!({"command": "activate-group", "group": group}));
    node.done(json!({"command": "set-group", "group": group, "scheduler": "least-connections"}));
    node.done(json!({"command": "set-service", "service": "shop", "retries": 3}));
    node.done(json!({"command": "activate-group", "group": "shop/blue"}));
    node.done(json!({"command": "remove-host", "host": host}));
    node.done(json!({"command": "remove-group", "group": group}));
    node.done(json!({"command": "remove-service", "service": "shop"}));
    node.edit("name = \"lb1\"", "name = \"lb3\"\nevents_kept = 50000");
    node.done(json!({"command": "reload"}));
}

/// Somebody who comes in and goes, on a node of its own where one has to.
async fn people(broker: &ActiveMq) -> Node {
    let people = format!("[auth]\n{}", user("ada", "role = \"admin\""));
    let settings = bus("lb2", &[broker], "") + &people;
    let node = Node::start(&format!("service = []\n{settings}")).await;
    let token = node.login("ada");
    let wrong = json!({"user": "ada", "password": "sesame"});
    for _ in 0..2 {
        assert_eq!(node.post("/v1/login", None, &wrong).0, 401);
    }
    node.post("/v1/logout", Some(&token), &json!({}));
    node
}
