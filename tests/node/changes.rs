//! What a change does and leaves undone: dry runs, expected revisions, refusals, roll-backs.
//! It must not wait for anything but answers.

use std::net::TcpListener;

use serde_json::json;

use crate::{
    config, hosts,
    node::Node,
    settings,
    support::{group, service},
};

#[tokio::test]
async fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let node = Node::start(&config(&hosts())).await;
    let (file, shown) = (node.file(), node.shown());
    let dry = json!({"command": "set-weight", "host": "web/blue/w1", "weight": 5,
        "dry_run": true, "confirm_within": "1h"});
    let answer = node.done(dry);
    assert_eq!(
        (&answer["revision"], &answer["diff"]),
        (&json!(1), &json!(["~ web/blue/w1 weight: 1 → 5"]))
    );
    for command in [
        "drain-host",
        "remove-host",
        "disable-host",
        "close-sessions",
    ] {
        node.done(json!({"command": command, "host": "web/blue/w1", "dry_run": true}));
    }
    assert_eq!(
        (node.file(), node.shown(), node.revision()),
        (file, shown, 1)
    );
    for kind in [
        "host.changed",
        "host.draining",
        "host.drained",
        "host.removed",
    ] {
        assert!(node.told(kind).is_empty(), "{kind}");
    }
    assert_eq!(node.told("config.changed").len(), 1);
    assert!(
        node.told("admin.command")
            .iter()
            .all(|told| told["dry_run"] == true)
    );
    assert_eq!(node.refused(json!({"command": "confirm"})).0, "conflict");
}

#[tokio::test]
async fn a_dry_run_is_refused_what_the_change_would_be_refused_and_leaves_no_trace() {
    let node = Node::start(&config(&hosts())).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listen = |dry_run| json!({"command": "set-listen", "service": "web", "listen": [address], "dry_run": dry_run});
    let (code, message) = node.refused(listen(true));
    assert_eq!(code, "failed");
    assert!(message.contains(&address.to_string()), "{message}");
    assert_eq!((code, message), node.refused(listen(false)));
    drop(taken);
    node.done(listen(true));
    TcpListener::bind(address).unwrap();

    node.write(&(node.file() + "# by hand\n"));
    let edited = node.file();
    let weigh = |dry_run| json!({"command": "set-weight", "host": "web/blue/w1", "weight": 5, "dry_run": dry_run});
    let refused = node.refused(weigh(true));
    assert_eq!(refused.0, "conflict");
    assert_eq!(refused, node.refused(weigh(false)));
    assert_eq!((node.file(), node.revision()), (edited, 1));
    assert!(node.leftovers().is_empty(), "{:?}", node.leftovers());
}

#[tokio::test]
async fn what_is_pending_is_not_confirmed_by_a_dry_run_and_not_armed_by_a_refusal() {
    let node = Node::start(&config(&hosts())).await;
    for wrong in [
        json!({"command": "set-weight", "host": "web/blue/x", "weight": 5, "confirm_within": "1h"}),
        json!({"command": "set-weight", "host": "web/blue/w1", "weight": 5, "confirm_within": "1h", "expect_revision": 7}),
        json!({"command": "set-listen", "service": "web", "listen": ["192.0.2.1:80"], "confirm_within": "1h"}),
    ] {
        node.refused(wrong);
        assert_eq!(node.refused(json!({"command": "confirm"})).0, "conflict");
    }
    node.done(json!({"command": "set-weight", "host": "web/blue/w1", "weight": 5, "confirm_within": "1h"}));
    node.done(json!({"command": "confirm", "dry_run": true}));
    assert_eq!(
        node.refused(json!({"command": "set-weight", "host": "web/blue/w2", "weight": 5}))
            .0,
        "conflict"
    );
    assert!(node.told("config.confirmed").is_empty());
    node.done(json!({"command": "confirm", "revision": 2}));
    assert_eq!(node.told("config.confirmed"), [json!({"revision": 2})]);
}

#[tokio::test]
async fn a_change_that_expects_another_revision_is_refused() {
    let node = Node::start(&config(&hosts())).await;
    let change = |weight: u16| json!({"command": "set-weight", "host": "web/blue/w1", "weight": weight, "expect_revision": 1});
    node.done(change(2));
    let (code, message) = node.refused(change(3));
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("conflict", "revision is 2, not the 1 expected")
    );
}

#[tokio::test]
async fn the_last_host_of_the_active_group_is_not_taken_away() {
    let text = config(&hosts()[..1]) + &group("green", &hosts()[1..]) + &group("empty", &[]);
    let node = Node::start(&text).await;
    let host = "web/blue/w1";
    for command in [
        json!({"command": "remove-host", "host": host}),
        json!({"command": "disable-host", "host": host}),
        json!({"command": "drain-host", "host": host}),
        json!({"command": "set-weight", "host": host, "weight": 0}),
        json!({"command": "set-host", "host": host, "admin": "disabled"}),
        json!({"command": "set-host", "host": host, "weight": 0}),
        json!({"command": "set-group", "group": "web/blue", "host": []}),
        json!({"command": "activate-group", "group": "web/empty"}),
        json!({"command": "set-service", "service": "web", "active": "empty"}),
    ] {
        let (code, message) = node.refused(command.clone());
        if command["command"] == "set-group" && code == "invalid" {
            continue;
        }
        assert_eq!(code, "conflict", "{command}: {message}");
        assert!(
            message.contains("the active group, without a host"),
            "{message}"
        );
    }
    assert_eq!(node.revision(), 1);
    node.done(json!({"command": "activate-group", "group": "web/green"}));
    node.done(json!({"command": "remove-host", "host": host}));
}

#[tokio::test]
async fn a_roll_back_to_any_revision_gives_exactly_that_and_writes_it() {
    let mut node = Node::start(&config(&hosts())).await;
    let mut shown = vec![node.shown()];
    for command in [
        json!({"command": "set-weight", "host": "web/blue/w1", "weight": 5}),
        json!({"command": "add-host", "host": "web/blue/w3", "address": "127.9.9.3:9", "max_sessions": 7}),
        json!({"command": "add-service", "service": "db", "listen": ["127.0.0.1:0"], "retries": 1, "group": [{"name": "a", "host": []}]}),
        json!({"command": "remove-host", "host": "web/blue/w1"}),
        json!({"command": "set-service", "service": "web", "timeouts": {"idle": "1m"}}),
        json!({"command": "remove-service", "service": "web"}),
        json!({"command": "replace", "services": []}),
    ] {
        node.done(command);
        shown.push(node.shown());
    }
    for (index, wanted) in shown.iter().enumerate() {
        let number = index + 1;
        node.done(json!({"command": "rollback", "revision": number}));
        assert_eq!(node.shown(), *wanted, "revision {number}");
        assert_eq!(
            node.done(json!({"command": "diff"}))["diff"],
            json!(null),
            "revision {number}"
        );
    }
    assert_eq!(
        node.refused(json!({"command": "rollback", "revision": 999}))
            .0,
        "not-found"
    );
    let told = node.told("config.rolled-back");
    assert_eq!(told.last().unwrap()["to"], 8);
    node.done(json!({"command": "rollback", "revision": 3}));
    node.down().await;
    node.up().await;
    assert_eq!(node.shown(), shown[2]);
}

#[tokio::test]
async fn what_changes_nothing_makes_no_revision() {
    let node = Node::start(&config(&hosts())).await;
    let file = node.file();
    for command in [
        json!({"command": "enable-host", "host": "web/blue/w1"}),
        json!({"command": "set-weight", "host": "web/blue/w1", "weight": 1, "confirm_within": "1h"}),
        json!({"command": "reload"}),
        json!({"command": "rollback", "revision": 1}),
    ] {
        assert_eq!(node.done(command)["revision"], 1);
    }
    assert_eq!(node.file(), file);
    assert_eq!(node.refused(json!({"command": "confirm"})).0, "conflict");
}

#[tokio::test]
async fn a_viewer_of_some_services_sees_the_history_of_those_alone() {
    let people = crate::node::user("root", "role = \"admin\"")
        + &crate::node::user("web", "role = \"viewer\"\nservices = [\"web\"]");
    let services = service("web", &["127.0.0.1:0"], &hosts(), "")
        + &service("db", &["127.0.0.1:0"], &hosts(), "");
    let node = Node::start(&(settings(&people) + &services)).await;
    let (root, web) = (node.login("root"), node.login("web"));
    let change =
        json!({"command": "set-weight", "host": "db/blue/w1", "weight": 2, "reason": "a secret"});
    assert_eq!(node.post("/v1/commands", Some(&root), &change).0, 200);
    let (_, answer) = node.post("/v1/commands", Some(&web), &json!({"command": "history"}));
    assert!(!answer.to_string().contains("secret"), "{answer}");
    assert!(!answer.to_string().contains("db/"), "{answer}");
}
