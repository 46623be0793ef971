//! Figures while something happens.

use std::net::TcpListener;

use serde_json::json;
use tokio::net::TcpStream;

use crate::{
    eventually,
    node::Node,
    page::{self, fetch},
    support::{echo, exchange, nobody, soon},
};

#[tokio::test]
async fn a_session_is_counted_where_it_was() {
    let node = Node::start(&page::config(&[echo().await], "")).await;
    let figures = page::address(&node).await;
    let mut client = soon(TcpStream::connect(node.address())).await.unwrap();
    exchange(&mut client, b"hello").await.unwrap();
    let host = "service=\"web\",group=\"blue\",host=\"w1\"";
    let active = format!("pointsman_host_sessions_active{{{host}}}");
    eventually!(page::read(figures).value(&active) == 1.0);
    drop(client);
    let ended = format!("pointsman_host_session_seconds_count{{{host}}}");
    eventually!(page::read(figures).value(&ended) == 1.0);
    let page = page::read(figures);
    for (figure, value) in [
        (active, 0.0),
        (
            "pointsman_service_sessions_active{service=\"web\"}".to_owned(),
            0.0,
        ),
        (
            "pointsman_service_sessions_total{service=\"web\"}".to_owned(),
            1.0,
        ),
        (format!("pointsman_host_sessions_total{{{host}}}"), 1.0),
        (
            format!("pointsman_host_bytes_total{{{host},direction=\"to_host\"}}"),
            5.0,
        ),
        (
            format!("pointsman_host_bytes_total{{{host},direction=\"to_client\"}}"),
            5.0,
        ),
        (
            format!("pointsman_host_connect_seconds_bucket{{{host},le=\"+Inf\"}}"),
            1.0,
        ),
        (
            format!("pointsman_host_connect_seconds_bucket{{{host},le=\"4.194304\"}}"),
            1.0,
        ),
        (
            format!("pointsman_host_health{{{host},health=\"unknown\"}}"),
            1.0,
        ),
        (
            format!("pointsman_host_health{{{host},health=\"down\"}}"),
            0.0,
        ),
        (
            "pointsman_service_active_group{service=\"web\",group=\"blue\"}".to_owned(),
            1.0,
        ),
        ("pointsman_bus_connected".to_owned(), 0.0),
    ] {
        assert!(
            (page.value(&figure) - value).abs() < 1e-9,
            "{figure}: {}",
            page.value(&figure)
        );
    }
}

#[tokio::test]
async fn commands_and_log_ins_are_counted_by_what_came_of_them() {
    let node = Node::start(&page::config(&[nobody().await], "")).await;
    let figures = page::address(&node).await;
    let token = node.login("ada");
    let token = Some(token.as_str());
    let wrong = json!({"user": "ada", "password": "guess"});
    assert_eq!(node.post("/v1/login", None, &wrong).0, 401);
    let weight = json!({"command": "set-weight", "host": "web/blue/w1", "weight": 7});
    assert_eq!(node.post("/v1/commands", token, &weight).0, 200);
    assert_eq!(node.post("/v1/commands", None, &weight).0, 401);
    let nowhere = json!({"command": "drain-host", "host": "web/blue/w9"});
    assert_eq!(node.post("/v1/commands", token, &nowhere).0, 404);
    node.write("nonsense");
    let reload = json!({"command": "reload"});
    assert_eq!(node.post("/v1/commands", token, &reload).0, 400);
    let not_found = "pointsman_commands_total{door=\"socket\",result=\"not-found\"}";
    eventually!(page::read(figures).value(not_found) == 1.0);
    let page = page::read(figures);
    for (figure, value) in [
        (
            "pointsman_commands_total{door=\"socket\",result=\"ok\"}",
            1.0,
        ),
        (
            "pointsman_commands_total{door=\"socket\",result=\"invalid\"}",
            1.0,
        ),
        ("pointsman_commands_total{door=\"http\",result=\"ok\"}", 0.0),
        (
            "pointsman_logins_total{backend=\"local\",result=\"accepted\"}",
            1.0,
        ),
        (
            "pointsman_logins_total{backend=\"local\",result=\"rejected\"}",
            1.0,
        ),
        ("pointsman_reloads_total{result=\"refused\"}", 1.0),
        ("pointsman_last_reload_failed", 1.0),
        ("pointsman_revision", 2.0),
        (
            "pointsman_host_weight{service=\"web\",group=\"blue\",host=\"w1\"}",
            7.0,
        ),
    ] {
        assert!(
            (page.value(figure) - value).abs() < 1e-9,
            "{figure}: {}",
            page.value(figure)
        );
    }
    assert!(page.value("pointsman_events_total") >= 5.0);
}

#[tokio::test]
async fn each_thing_that_an_administrator_does_leaves_a_line_without_a_secret() {
    let node = Node::start(&page::config(&[nobody().await], "")).await;
    let token = node.login("ada");
    let wrong = json!({"user": "ada", "password": "guess"});
    assert_eq!(node.post("/v1/login", None, &wrong).0, 401);
    for (host, status) in [("web/blue/w1", 200), ("web/blue/w9", 404)] {
        let command = json!({"command": "set-weight", "host": host, "weight": 7});
        assert_eq!(node.post("/v1/commands", Some(&token), &command).0, status);
    }
    eventually!(node.log().contains("not-found"));
    let log = node.log();
    let line = |words: [&str; 3]| {
        let found = log
            .lines()
            .find(|line| words.iter().all(|word| line.contains(word)));
        assert!(found.is_some(), "no line with {words:?}: {log}");
    };
    line(["admin.login", "by=\"local\"", "subject="]);
    line(["admin.command", "command=\"set-weight\"", "revision=2"]);
    line(["admin.command", "web/blue/w9", "code=\"not-found\""]);
    for secret in [crate::node::PASSWORD, "guess", &token] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn the_door_answers_nothing_else_and_moves_with_a_reload() {
    let node = Node::start(&page::config(&[nobody().await], "")).await;
    let first = page::address(&node).await;
    let (head, _) = fetch(first, "/metrics");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    for path in ["/", "/v1/commands", "/healthz"] {
        assert!(fetch(first, path).0.starts_with("HTTP/1.1 404"), "{path}");
    }
    let token = node.login("ada");
    let reload = || node.post("/v1/commands", Some(&token), &json!({"command": "reload"}));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let moved = node.file().replace(
        "listen = \"127.0.0.1:0\"\n[bus]",
        &format!("listen = \"{address}\"\n[bus]"),
    );
    node.write(&moved);
    let (status, answer) = reload();
    assert_eq!(
        (status, &answer["error"]["code"]),
        (500, &json!("failed")),
        "{answer}"
    );
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains(&address),
        "{answer}"
    );
    page::read(first);
    drop(taken);
    assert_eq!(reload().0, 200);
    assert_eq!(page::address(&node).await.to_string(), address);
    page::read(address.parse().unwrap());
    eventually!(std::net::TcpStream::connect(first).is_err());
}

#[tokio::test]
async fn the_number_of_figures_grows_with_the_configuration_only() {
    let hosts = [nobody().await, nobody().await, nobody().await];
    let mut counts = Vec::new();
    for number in 1..=3 {
        let node = Node::start(&page::config(&hosts[..number], "")).await;
        counts.push(page::read(page::address(&node).await).lines.len());
    }
    let each = counts[1] - counts[0];
    assert_eq!(counts[2] - counts[1], each, "{counts:?}");
    assert!((40..=55).contains(&each), "of a host: {each}");
    assert!(counts[0] - each < 150, "of the rest: {}", counts[0] - each);
}
