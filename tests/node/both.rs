//! A journal that is ahead of the file, and a file that somebody has edited: at the same time.
//! It must not be about either alone; `file` and the crash tests are.
#![cfg(debug_assertions)]

use serde_json::{Value, json};

use crate::{config, eventually, hosts, node::Node};

const W2: &str = "name = \"w2\"";

fn weight(host: &str, weight: u16) -> Value {
    json!({"command": "set-weight", "host": host, "weight": weight})
}

fn weights(node: &Node) -> Vec<u64> {
    let shown = node.shown();
    let hosts = shown[0]["group"][0]["host"].as_array().unwrap();
    let weight = |host: &Value| host["weight"].as_u64().unwrap_or(1);
    hosts.iter().map(weight).collect()
}

/// A node that was killed between the record of a change (w1 weighs 5) and the file.
async fn killed_ahead() -> Node {
    let mut node = Node::prepare(&config(&hosts()));
    node.up_with("before-rename:1").await;
    node.ask_the_last(&weight("web/blue/w1", 5));
    node.ended().await;
    node
}

/// What was recorded runs, the file is left alone, and nothing overwrites it.
fn is_in_conflict(node: &Node, edited: &str) {
    assert_eq!((weights(node), node.revision()), (vec![5, 1], 2));
    assert_eq!(node.file(), edited);
    assert_eq!(node.refused(weight("web/blue/w1", 7)).0, "conflict");
    assert_eq!(node.file(), edited);
}

#[tokio::test]
async fn what_was_recorded_runs_and_the_edited_file_is_left_alone_until_a_reload() {
    let mut node = killed_ahead().await;
    node.edit(W2, "name = \"w2\"\nweight = 3");
    let edited = node.file();
    node.up().await;
    is_in_conflict(&node, &edited);
    let told = node.told("config.conflict");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["message"].as_str().unwrap().contains("revision 2"));
    assert!(node.leftovers().is_empty(), "{:?}", node.leftovers());

    // It stays so over a restart, and over a crash.
    node.down().await;
    node.up().await;
    is_in_conflict(&node, &edited);
    node.kill();
    node.up().await;
    is_in_conflict(&node, &edited);

    let answer = node.done(json!({"command": "reload"}));
    let diff = json!(["~ web/blue/w1 weight: 5 → 1", "~ web/blue/w2 weight: 1 → 3"]);
    assert_eq!((&answer["revision"], &answer["diff"]), (&json!(3), &diff));
    node.done(weight("web/blue/w1", 7));
    node.down().await;
    node.up().await;
    assert_eq!((weights(&node), node.revision()), (vec![7, 3], 4));
    assert_eq!(node.history()[1]["author"], "file");
}

#[tokio::test]
async fn an_edit_that_does_not_pass_and_is_mended_while_the_node_is_down_is_no_way_around() {
    let mut node = killed_ahead().await;
    node.edit(W2, "name = \"w2\"\nweight = 999");
    node.up().await;
    assert_eq!((weights(&node), node.revision()), (vec![5, 1], 2));
    assert_eq!(node.told("config.conflict").len(), 1);
    node.down().await;
    node.edit("weight = 999", "weight = 9");
    let edited = node.file();
    node.up().await;
    is_in_conflict(&node, &edited);
}

#[tokio::test]
async fn an_edit_that_is_taken_back_lets_the_file_be_written_again() {
    let mut node = killed_ahead().await;
    let before = node.file();
    node.edit(W2, "name = \"w2\"\nweight = 3");
    node.up().await;
    assert_eq!(node.told("config.conflict").len(), 1);
    node.down().await;
    node.write(&before);
    node.up().await;
    assert_eq!((weights(&node), node.revision()), (vec![5, 1], 2));
    assert!(node.file().contains("weight = 5"), "{}", node.file());
    node.done(weight("web/blue/w1", 6));
}

#[tokio::test]
async fn what_nobody_confirmed_does_not_come_back_with_an_edited_file() {
    let mut node = Node::start(&config(&hosts())).await;
    let mut unconfirmed = weight("web/blue/w1", 5);
    unconfirmed["confirm_within"] = json!("1s");
    node.done(unconfirmed);
    let written = node.file();
    node.edit(W2, "name = \"w2\"\nweight = 3");
    let edited = node.file();
    eventually!(node.revision() == 3);
    assert_eq!((weights(&node), node.file()), (vec![1, 1], edited.clone()));
    node.down().await;
    node.up().await;
    assert_eq!((weights(&node), node.revision()), (vec![1, 1], 3));
    assert_eq!(node.file(), edited);
    assert_eq!(
        node.told("config.conflict").len(),
        2,
        "once, and at the start"
    );
    // The edit taken back, the file has what was rolled back; it is written again.
    node.down().await;
    node.write(&written);
    node.up().await;
    assert_eq!((weights(&node), node.revision()), (vec![1, 1], 3));
    eventually!(!node.file().contains("weight = 5"));
}
