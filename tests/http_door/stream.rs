//! Event streams.

use pointsman::model::event::Event;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};

use super::*;

type Stream = Lines<BufReader<UnixStream>>;

async fn open(node: &Node, token: &str, last: &str) -> Stream {
    let mut stream = node.unix().await;
    let head = format!(
        "GET /v1/events HTTP/1.1\r\nhost: pm\r\nauthorization: Bearer {token}\r\n{last}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    while line(&mut lines).await.unwrap() != ": events follow" {}
    lines
}

async fn line(stream: &mut Stream) -> Option<String> {
    let next = tokio::time::timeout(Duration::from_secs(15), stream.next_line());
    next.await.expect("no line for 15 seconds").unwrap()
}

/// The next event: its id, and itself.
async fn event(stream: &mut Stream) -> (u64, Value) {
    loop {
        let line_ = line(stream).await.expect("the stream ended");
        if let Some(id) = line_.strip_prefix("id: ") {
            let data = line(stream).await.unwrap();
            let data = data.strip_prefix("data: ").unwrap();
            return (id.parse().unwrap(), serde_json::from_str(data).unwrap());
        }
    }
}

async fn happen(node: &Node, kind: &str, subject: &str) {
    let event = Event::bare(kind, subject);
    node.control.record(vec![event]).await.unwrap();
}

#[tokio::test]
async fn a_stream_begins_now_or_after_the_last_that_its_reader_has() {
    let node = Node::start().await;
    for host in 1..=3 {
        happen(&node, "host.up", &format!("web/blue/w{host}")).await;
    }
    let mut now = open(&node, "viewer", "").await;
    let mut resumed = open(&node, "viewer", "last-event-id: 1\r\n").await;
    happen(&node, "host.down", "web/blue/w1").await;
    assert_eq!(event(&mut resumed).await.0, 2);
    assert_eq!(event(&mut resumed).await.0, 3);
    for stream in [&mut now, &mut resumed] {
        let (id, event) = event(stream).await;
        assert_eq!(id, 4);
        assert_eq!(event["type"], "pointsman.host.down");
        assert_eq!(event["source"], "/pointsman/lb1");
        assert_eq!(
            (&event["sequence"], &event["specversion"]),
            (&json!("4"), &json!("1.0"))
        );
    }
    let head = "GET /v1/events\nauthorization: Bearer viewer\nlast-event-id: junk";
    assert_eq!(ask(node.unix().await, head, "").await.status, 400);
    let head = "GET /v1/events\nauthorization: Bearer junk";
    assert_eq!(ask(node.unix().await, head, "").await.status, 401);
}

#[tokio::test]
async fn a_reader_that_lags_misses_nothing() {
    let node = Node::start().await;
    let mut stream = open(&node, "viewer", "").await;
    // Far more than are kept for a reader who lags, and than the socket's buffer holds.
    const MANY: u64 = 5_000;
    for number in 0..MANY {
        happen(&node, "host.up", &format!("web/blue/w{number}")).await;
    }
    for number in 1..=MANY {
        assert_eq!(event(&mut stream).await.0, number);
    }
}

#[tokio::test]
async fn readers_see_what_is_in_their_scope() {
    let node = Node::start().await;
    let mut web = open(&node, "web-admin", "").await;
    let mut all = open(&node, "admin", "").await;
    let mut viewer = open(&node, "viewer", "").await;
    happen(&node, "host.up", "db/blue/d1").await;
    happen(&node, "admin.command", "ada").await;
    happen(&node, "service.changed", "web").await;
    assert_eq!(event(&mut web).await.0, 3);
    for number in 1..=3 {
        assert_eq!(event(&mut all).await.0, number);
    }
    assert_eq!(event(&mut viewer).await.0, 1);
    assert_eq!(event(&mut viewer).await.0, 3);
}

#[tokio::test]
async fn a_login_that_ends_ends_its_streams() {
    let node = Node::start().await;
    let mut stream = open(&node, "viewer", "").await;
    node.authority.ended.store(true, Ordering::Relaxed);
    happen(&node, "host.up", "web/blue/w1").await;
    while let Some(line) = line(&mut stream).await {
        assert!(!line.starts_with("data:"), "{line}");
    }
}

#[tokio::test]
async fn streams_are_bounded_and_free_their_place() {
    let node = Node::start().await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(open(&node, "viewer", "").await);
    }
    let head = "GET /v1/events\nauthorization: Bearer viewer";
    assert_eq!(ask(node.unix().await, head, "").await.status, 503);
    let reply = node.command("viewer", &json!({"command": "status"})).await;
    assert_eq!(reply.status, 200);
    streams.clear();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        let mut stream = node.unix().await;
        let head = format!(
            "GET /v1/events HTTP/1.1\r\nhost: pm\r\n{}\r\n\r\n",
            bearer("viewer").trim()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        if status.ends_with(b"200") {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "no place became free");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
