//! What nobody should send: a 4xx or a closed connection, and others are answered meanwhile.

use super::*;

/// Asserts that the connection is refused (4xx) or closed.
async fn turned_away(stream: UnixStream, what: &str) {
    if let Some(reply) = reply(stream).await {
        assert!((400..500).contains(&reply.status), "{what}: {reply:?}");
    }
}

async fn still_answers(node: &Node) {
    let command = json!({"command": "status"});
    let answered = node.command("", &command);
    let reply = tokio::time::timeout(Duration::from_secs(2), answered).await;
    assert_eq!(reply.expect("it does not answer").status, 200);
}

/// How much memory this process holds, in bytes.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kibibytes.parse::<usize>().unwrap() * 1024
}

/// Asserts that what was sent was not kept. Other tests run in the same process, hence the room.
fn hardly_grew(before: usize) {
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "grew by {grown} bytes");
}

#[tokio::test]
async fn garbage_is_turned_away() {
    let node = Node::start().await;
    let before = resident();
    let many = "x: y\r\n".repeat(10_000);
    let long = "x".repeat(1_000_000);
    for garbage in [
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
        vec![0xff; 100_000],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"POST /v1/commands HTTP/1.1\r\nhost: pm\r\ncontent-length: -1\r\n\r\n".to_vec(),
        b"POST /v1/commands HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
        b"POST /v1/commands HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
        b"POST /v1/commands HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n"
            .to_vec(),
        b"GET /%ff%00/../../etc/passwd HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec(),
        format!("GET / HTTP/1.1\r\n{many}\r\n").into_bytes(),
        format!("GET /{long} HTTP/1.1\r\n\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\nx: {long}\r\n\r\n").into_bytes(),
    ] {
        let mut stream = node.unix().await;
        let _ = stream.write_all(&garbage).await;
        let _ = stream.shutdown().await;
        let what = String::from_utf8_lossy(&garbage[..garbage.len().min(80)]).into_owned();
        turned_away(stream, &what).await;
        still_answers(&node).await;
    }
    hardly_grew(before);
}

#[tokio::test]
async fn deep_or_broken_json_is_invalid() {
    let node = Node::start().await;
    let before = resident();
    let deep = "[".repeat(500_000);
    let nested = format!(
        "{{\"command\":{}1{}}}",
        "{\"a\":".repeat(900),
        "}".repeat(900)
    );
    for body in [
        deep.as_str(),
        &nested,
        "",
        "{",
        "null",
        "\u{0}",
        "{\"command\":1}",
        "{}",
        // Nobody has to guess which of two counts.
        "{\"command\":\"status\",\"command\":\"reload\"}",
        "{\"command\":\"set-weight\",\"host\":\"web/blue/w1\",\"weight\":2,\"weight\":3}",
    ] {
        let reply = ask(node.unix().await, "POST /v1/commands", body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid"));
        assert!(reply.body.len() < 1000, "{}", reply.body);
    }
    let reply = ask(node.unix().await, "POST /v1/commands", [0xff, 0xfe]).await;
    assert_eq!(reply.status, 400);
    hardly_grew(before);
}

#[tokio::test]
async fn a_gibibyte_is_too_large_and_takes_no_memory() {
    let node = Node::start().await;
    let before = resident();
    // Announced: refused before a byte of it came.
    let head = format!("POST /v1/commands\ncontent-length: {}", 1 << 30);
    assert_eq!(ask(node.unix().await, &head, "").await.status, 413);
    let mut exact = br#"{"command":"status"}"#.to_vec();
    exact.resize(1024 * 1024, b' ');
    let reply = ask(node.unix().await, "POST /v1/commands", &exact).await;
    assert_eq!(reply.status, 200, "a mebibyte just fits");
    exact.push(b' ');
    let reply = ask(node.unix().await, "POST /v1/commands", &exact).await;
    assert_eq!(reply.status, 413);

    // In chunks: cut off when it is too much.
    for path in ["/v1/commands", "/v1/login"] {
        let mut stream = node.unix().await;
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: pm\r\ntransfer-encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
        let mut sent = 0;
        while sent < 1 << 30 && stream.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
        }
        assert!(sent < 16 << 20, "{sent} bytes were taken");
        turned_away(stream, "chunked").await;
    }
    // Nobody gets to send anything large.
    let head = "POST /v1/commands\nauthorization: Bearer nobody";
    assert_eq!(ask(node.unix().await, head, &exact).await.status, 401);
    hardly_grew(before);
    still_answers(&node).await;
}

#[tokio::test]
async fn slow_heads_and_bodies_are_given_up() {
    let node = Node::start().await;
    let mut head = node.unix().await;
    head.write_all(b"GET /healthz HT").await.unwrap();
    let mut body = node.unix().await;
    let text = "POST /v1/commands HTTP/1.1\r\nhost: pm\r\ncontent-length: 100\r\n\r\n{";
    body.write_all(text.as_bytes()).await.unwrap();
    still_answers(&node).await;
    let (head, body) = tokio::join!(reply(head), reply(body));
    assert!(head.is_none_or(|reply| reply.status == 408));
    assert_eq!(body.unwrap().status, 408);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_turn() {
    let node = Node::start().await;
    let mut stream = node.unix().await;
    let mut text = String::new();
    for number in 0..500 {
        text += &format!("GET /healthz HTTP/1.1\r\nhost: pm\r\nx-request-id: {number}\r\n\r\n");
    }
    text += "GET /healthz HTTP/1.1\r\nhost: pm\r\nconnection: close\r\n\r\n";
    let (mut read, mut write) = stream.split();
    let mut answers = String::new();
    let sent = write.write_all(text.as_bytes());
    let (sent, received) = tokio::join!(sent, read.read_to_string(&mut answers));
    sent.unwrap();
    received.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 501);
    let at = |id: u32| answers.find(&format!("\"id\":\"{id}\"")).unwrap();
    assert!((1..500).all(|number| at(number - 1) < at(number)));
}

#[tokio::test]
async fn those_who_connect_and_say_nothing_keep_nobody_out() {
    let node = Node::start().await;
    let mut silent = Vec::new();
    for number in 0..300 {
        let mut stream = node.unix().await;
        if number % 3 == 1 {
            let _ = stream
                .write_all(b"POST /v1/commands HTTP/1.1\r\nhost")
                .await;
        } else if number % 3 == 2 {
            let text = "POST /v1/commands HTTP/1.1\r\nhost: pm\r\ncontent-length: 9\r\n\r\n{";
            let _ = stream.write_all(text.as_bytes()).await;
        }
        silent.push(stream);
        if number % 50 == 0 {
            still_answers(&node).await;
        }
    }
    still_answers(&node).await;
    let mut over_tcp = Vec::new();
    for _ in 0..300 {
        over_tcp.push(node.over_tcp().await);
    }
    let reply = ask(node.over_tcp().await, "GET /healthz", "").await;
    assert_eq!(reply.status, 200);
}
