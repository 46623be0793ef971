//! The shapes of `data`, against which other programs are written: these keys and no others.
//! It must not be about values, but where they are promised.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    hosts,
    node::{Node, PASSWORD, user},
    settings,
    support::service,
};

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn set(words: &'static str) -> BTreeSet<&'static str> {
    words.split(' ').collect()
}

#[tokio::test]
async fn data_has_the_shape_that_the_contract_promises() {
    let text = settings(&user("root", "role = \"admin\""))
        + &service("web", &["127.0.0.1:0"], &hosts(), "");
    let node = Node::start(&text).await;
    let (_, login) = node.post(
        "/v1/login",
        None,
        &json!({"user": "root", "password": PASSWORD}),
    );
    assert_eq!(
        keys(&login["data"]),
        set("token login user role services by expires")
    );
    let token = login["data"]["token"].as_str().unwrap();
    let ask = |command: Value| node.post("/v1/commands", Some(token), &command).1;
    let data = |command: Value| ask(command)["data"].clone();

    let mut known = login["data"].clone();
    known.as_object_mut().unwrap().remove("token");
    assert_eq!(data(json!({"command": "whoami"})), known);
    let without = node.done(json!({"command": "whoami"}))["data"].clone();
    assert_eq!(keys(&without), set("user role services by"));

    let status = data(json!({"command": "status"}));
    assert_eq!(keys(&status), set("node uptime_s services"));
    let service = &status["services"][0];
    assert_eq!(keys(service), set("name listen active sessions groups"));
    assert_eq!(keys(&service["sessions"]), set("active total"));
    assert_eq!(keys(&service["groups"][0]), set("name scheduler hosts"));
    let host = &service["groups"][0]["hosts"][0];
    assert_eq!(
        keys(host),
        set("name address weight admin health reason since results outlook sessions")
    );
    assert_eq!(
        (&host["health"], keys(&host["sessions"])),
        (&json!("unknown"), set("active total"))
    );
}

#[tokio::test]
async fn lists_changes_and_refusals_have_the_shape_that_the_contract_promises() {
    let text = settings("") + &service("web", &["127.0.0.1:0"], &hosts(), "");
    let node = Node::start(&text).await;
    let ask = |command: Value| node.ask(command);
    let data = |command: Value| ask(command)["data"].clone();

    let history = data(json!({"command": "history"}));
    assert_eq!(keys(&history), set("revisions"));
    assert_eq!(
        keys(&history["revisions"][0]),
        set("revision time author door reason diff")
    );
    let explained = json!({"command": "explain", "service": "web", "client": "10.0.0.7"});
    for command in [
        explained,
        json!({"command": "explain", "host": "web/blue/w1"}),
    ] {
        let explained = data(command);
        assert_eq!(keys(&explained), set("verdict because"));
        assert!(explained["verdict"].is_string() && explained["because"][0].is_string());
    }
    let shown = ask(json!({"command": "show"}));
    assert_eq!(keys(&shown["data"]), set("services"));
    let replaced = json!({"command": "replace", "services": shown["data"]["services"]});
    assert_eq!(ask(replaced)["revision"], 1);
    let changed =
        ask(json!({"command": "add-host", "host": "web/blue/w3", "address": "127.9.9.3:9"}));
    assert_eq!(keys(&changed), set("id ok revision diff"));
    let events = data(json!({"command": "events"}));
    assert_eq!(keys(&events), set("events"));
    let mut added = events["events"].as_array().unwrap().iter();
    let added = added
        .rfind(|event| event["type"] == "pointsman.host.added")
        .unwrap();
    assert_eq!(
        added["data"],
        json!({"address": "127.9.9.3:9", "weight": 1, "admin": "enabled"})
    );
    let refused = ask(json!({"command": "no-such"}));
    assert_eq!(keys(&refused), set("id ok error revision"));
    assert_eq!(keys(&refused["error"]), set("code message"));
}
