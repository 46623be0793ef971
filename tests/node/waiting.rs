//! Changes that wait to be confirmed, over restarts and hand edits.
//! It must not be about what else changes.

use serde_json::{Value, json};

use crate::{config, eventually, hosts, node::Node};

fn waiting(within: &str) -> Value {
    json!({"command": "set-weight", "host": "web/blue/w1", "weight": 5, "confirm_within": within})
}

fn weight(node: &Node) -> Value {
    node.shown()[0]["group"][0]["host"][0]["weight"].clone()
}

#[tokio::test]
async fn what_nobody_confirms_is_rolled_back_by_itself() {
    let node = Node::start(&config(&hosts())).await;
    let file = node.file();
    node.done(waiting("300ms"));
    assert!(node.file().contains("weight = 5"));
    eventually!(node.revision() == 3);
    // The key that a person may have annotated stays, with the value that it had.
    let file = file.replacen("9.1:9\"", "9.1:9\"\nweight = 1", 1);
    assert_eq!((weight(&node), node.file()), (json!(null), file));
    let newest = &node.history()[0];
    assert_eq!(
        (&newest["author"], &newest["door"]),
        (&json!("pointsman"), &json!("timer"))
    );
    assert_eq!(node.told("config.rolled-back").len(), 1);
    node.done(json!({"command": "set-weight", "host": "web/blue/w2", "weight": 2}));
}

#[tokio::test]
async fn a_change_that_waits_is_rolled_back_after_a_restart_when_its_time_is_over() {
    let mut node = Node::start(&config(&hosts())).await;
    node.done(waiting("300ms"));
    node.kill();
    node.up().await;
    eventually!(node.revision() == 3);
    assert_eq!(weight(&node), json!(null));
    assert!(node.file().contains("weight = 1"), "{}", node.file());
}

#[tokio::test]
async fn a_change_that_is_confirmed_after_a_restart_stays() {
    let mut node = Node::start(&config(&hosts())).await;
    node.done(waiting("1h"));
    node.down().await;
    node.up().await;
    let other = json!({"command": "set-weight", "host": "web/blue/w2", "weight": 2});
    assert_eq!(node.refused(other.clone()).0, "conflict");
    assert_eq!(node.done(json!({"command": "confirm"}))["revision"], 2);
    node.done(other);
    node.down().await;
    node.up().await;
    assert_eq!(weight(&node), json!(5));
}

#[tokio::test]
async fn a_hand_edit_does_not_keep_what_nobody_confirmed() {
    let node = Node::start(&config(&hosts())).await;
    node.done(waiting("300ms"));
    node.edit("weight = 5", "weight = 6");
    let edited = node.file();
    eventually!(node.revision() == 3);
    assert_eq!((weight(&node), node.file()), (json!(null), edited));
    assert_eq!(node.told("config.conflict").len(), 1);
    let refusals = node
        .told("admin.command")
        .iter()
        .filter(|told| told["ok"] == false)
        .count();
    assert_eq!(refusals, 0);
    assert_eq!(node.done(json!({"command": "reload"}))["revision"], 4);
    assert_eq!(weight(&node), json!(6));
}

#[tokio::test]
async fn a_roll_back_by_hand_ends_the_waiting() {
    let node = Node::start(&config(&hosts())).await;
    node.done(waiting("1h"));
    node.done(json!({"command": "rollback", "revision": 1}));
    assert_eq!(node.refused(json!({"command": "confirm"})).0, "conflict");
    assert_eq!((weight(&node), node.revision()), (json!(null), 3));
}
