//! HTTP, as hosts really answer it.

use super::*;

fn ask(keys: Value, manner: Manner) -> Outcome {
    let alone = alone();
    alone.ask(keys, &Means::default(), Host::that(manner).address)
}

#[test]
fn the_status_decides() {
    let keys = || json!({"kind": "http", "path": "/ready"});
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    came_to(
        &ask(keys(), Manner::Answers(ok)),
        Verdict::Passed,
        "answers 200",
    );
    let broken = "HTTP/1.1 503 Service Unavailable\r\n\r\n";
    came_to(
        &ask(keys(), Manner::Answers(broken)),
        Verdict::Failed,
        "answers 503, not 200-399",
    );
    let keys = json!({"kind": "http", "status": ["204", "500-599"], "method": "HEAD"});
    came_to(
        &ask(keys, Manner::Answers(broken)),
        Verdict::Passed,
        "answers 503",
    );
}

#[test]
fn the_body_decides_where_a_text_is_wanted() {
    let keys = || json!({"kind": "http", "body": "all ready"});
    for (answer, verdict) in [
        ("HTTP/1.1 200 OK\r\n\r\n<p>all ready</p>", Verdict::Passed),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n6\r\n ready\r\n0\r\n\r\n",
            Verdict::Passed,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nnot yet", Verdict::Failed),
    ] {
        assert_eq!(
            ask(keys(), Manner::Answers(answer)).verdict,
            verdict,
            "{answer}"
        );
    }
}

#[test]
fn hosts_that_fail_are_told_apart() {
    let keys = || json!({"kind": "http", "body": "ready"});
    for (manner, reason) in [
        (Manner::Hangs, "answered nothing, and no more in time"),
        (Manner::HangsUp, "answered nothing, and then hung up"),
        (Manner::Resets, "connection reset"),
        (
            Manner::Answers("HTTP/1.1 200"),
            "answered 12 bytes of a head, and then hung up",
        ),
        (
            Manner::Answers("hello\r\n\r\n"),
            "answers what is not HTTP: hello",
        ),
        (
            Manner::Dribbles("HTTP/1.1 200 OK\r"),
            "bytes of a head, and no more in time",
        ),
        (
            Manner::Floods("HTTP/1.1 100 C\r\n\r\n"),
            "head of more than 16384 bytes",
        ),
        (Manner::Floods("x"), "head of more than 16384 bytes"),
    ] {
        came_to(&ask(keys(), manner), Verdict::Failed, reason);
    }
}

/// The bytes of a request, as `openssl s_server` and others would see them.
#[test]
fn a_request_has_what_it_needs() {
    use std::io::{Read, Write};
    let alone = alone();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let host = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let read = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    let keys =
        json!({"kind": "http", "path": "/a?b=c", "host": "web.example", "method": "OPTIONS"});
    alone.ask(keys, &Means::default(), address);
    let request = host.join().unwrap();
    assert!(
        request.starts_with("OPTIONS /a?b=c HTTP/1.1\r\n"),
        "{request}"
    );
    for line in ["\r\nHost: web.example\r\n", "\r\nConnection: close\r\n"] {
        assert!(request.contains(line), "{request}");
    }
    assert!(request.ends_with("\r\n\r\n"), "{request}");
}
