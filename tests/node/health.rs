//! What is known of hosts over changes and restarts, as an administrator sees it.
//! It must not be about how health is found; only about what is told and kept.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    config, eventually, hosts,
    node::Node,
    support::{echo, nobody},
};

fn probed(hosts: &[SocketAddr]) -> String {
    let probe = "probe = { kind = \"tcp\", interval = \"200ms\", timeout = \"100ms\", rise = 100 }";
    let name = "name = \"blue\"\n";
    config(hosts).replacen(name, &format!("{name}{probe}\n"), 1)
}

fn host(node: &Node, index: usize) -> Value {
    let status = node.done(json!({"command": "status"}));
    status["data"]["services"][0]["groups"][0]["hosts"][index].clone()
}

#[tokio::test]
async fn health_survives_reloads_and_restarts_and_says_why() {
    let (up, down) = (echo().await, nobody().await);
    let mut node = Node::start(&probed(&[up, down])).await;
    eventually!(host(&node, 0)["health"] == "up" && host(&node, 1)["health"] == "down");
    let before = host(&node, 1);
    assert!(
        before["reason"].as_str().unwrap().contains("refused"),
        "{before}"
    );
    assert!(
        before["results"].as_str().unwrap().ends_with("---"),
        "{before}"
    );
    eventually!(node.told("host.down").len() == 1);
    let event = &node.told("host.down")[0];
    assert_eq!(
        (&event["by"], &event["hosts_up"], &event["hosts"]),
        (&"probe".into(), &1.into(), &2.into())
    );
    assert!(
        event["outlook"][0].as_str().unwrap().contains("100 passed"),
        "{event}"
    );

    let explained = node.done(json!({"command": "explain", "host": "web/blue/w2"}));
    assert_eq!(explained["data"]["verdict"], "takes no sessions");
    let because = explained["data"]["because"].to_string();
    for words in ["it is down: ", "100 passed probes in a row", " failed: "] {
        assert!(because.contains(words), "{words}: {because}");
    }

    node.done(json!({"command": "set-weight", "host": "web/blue/w1", "weight": 7}));
    assert_eq!(host(&node, 1)["since"], before["since"]);
    node.edit("interval = \"200ms\"", "interval = \"300ms\"");
    node.done(json!({"command": "reload"}));
    assert_eq!(host(&node, 1)["since"], before["since"]);

    node.down().await;
    node.up().await;
    let after = host(&node, 1);
    assert_eq!(
        (&after["health"], &after["since"]),
        (&"down".into(), &before["since"])
    );
    assert_eq!(node.told("host.down").len(), 1, "it is no news");
}

#[tokio::test]
async fn a_node_that_was_killed_remembers_what_was_kept() {
    let down = hosts();
    let mut node = Node::start(&probed(&down)).await;
    eventually!(node.told("service.exhausted").len() == 1);
    // Health is kept within moments after the first flip, then at most every ten seconds.
    node.kill();
    node.up().await;
    let known = (0..2)
        .filter(|index| host(&node, *index)["health"] == "down")
        .count();
    assert!(known >= 1, "{}", host(&node, 0));
}
