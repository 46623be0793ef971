//! Answers of every kind, in pieces of every size.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::topology::{Probe, ProbeKind};

fn wanted(mut keys: Value) -> HttpProbe {
    keys["kind"] = json!("http");
    let probe: Probe = serde_json::from_value(keys).unwrap();
    let ProbeKind::Http(http) = probe.kind else {
        panic!("{probe:?}");
    };
    http
}

/// What `answer`, ended after its last byte, comes to when it comes in pieces of `size` bytes.
fn read(keys: Value, answer: &[u8], size: usize) -> End {
    let mut reading = Answer::new(&wanted(keys));
    for piece in answer.chunks(size) {
        if let Some(end) = reading.take(piece) {
            return end;
        }
    }
    reading.take(&[]).unwrap()
}

/// The same for pieces of any size.
#[track_caller]
fn always(keys: Value, answer: &str) -> End {
    let whole = read(keys.clone(), answer.as_bytes(), usize::MAX);
    for size in [1, 2, 3, 7, 1000] {
        assert_eq!(read(keys.clone(), answer.as_bytes(), size), whole, "{size}");
    }
    whole
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

#[test]
fn the_status_is_what_the_status_line_says() {
    for (answer, status) in [
        ("HTTP/1.1 200 OK\r\n\r\n", 200),
        ("HTTP/1.0 503 Service Unavailable\r\nA: b\r\n\r\n", 503),
        ("HTTP/1.1 404\n\n", 404),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 204 X\r\n\r\n",
            204,
        ),
    ] {
        let found = Found {
            status,
            has_text: true,
        };
        assert_eq!(always(json!({}), answer), Ok(found), "{answer}");
    }
}

#[test]
fn what_is_not_http_or_not_whole_is_told() {
    for (answer, error) in [
        ("", "answered nothing, and then hung up"),
        (
            "HTTP/1.1 200 OK\r\n",
            "answered 17 bytes of a head, and then hung up",
        ),
        (
            "SSH-2.0-OpenSSH\r\n\r\n",
            "answers what is not HTTP: SSH-2.0-OpenSSH",
        ),
        ("HTTP/2 200\r\n\r\n", "answers what is not HTTP: HTTP/2 200"),
        (
            "HTTP/1.1 2000 X\r\n\r\n",
            "answers what is not HTTP: HTTP/1.1 2000 X",
        ),
        (
            "HTTP/1.1 +20 X\r\n\r\n",
            "answers what is not HTTP: HTTP/1.1 +20 X",
        ),
        (
            "HTTP/1.1 999 X\r\n\r\n",
            "answers what is not HTTP: HTTP/1.1 999 X",
        ),
        (
            "HTTP/1.1 200 X\r\nContent-Length: -1\r\n\r\n",
            "answers with a length of -1",
        ),
        (
            "HTTP/1.1 200 X\r\nTransfer-Encoding: gzip\r\n\r\n",
            "answers in the transfer encoding gzip",
        ),
    ] {
        assert_eq!(always(json!({}), answer), Err(error.to_owned()), "{answer}");
    }
}

#[test]
fn a_text_is_found_however_the_body_is_framed() {
    let keys = || json!({"body": "all is ready"});
    for (rest, has_text) in [
        ("\r\nall is ready", true),
        ("\r\nall is all is ready!", true),
        ("\r\nall is not ready", false),
        ("Content-Length: 12\r\n\r\nall is ready", true),
        ("Content-Length: 11\r\n\r\nall is ready", false),
        ("Content-Length: 0\r\n\r\n", false),
        (
            "Transfer-Encoding: chunked\r\n\r\n6;x=y\r\nall is\r\n6\r\n ready\r\n0\r\n\r\n",
            true,
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\n6\r\nall is\r\n0\r\n\r\n ready",
            false,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nC\r\nall is ready\r\n",
            true,
        ),
    ] {
        let found = Found {
            status: 200,
            has_text,
        };
        assert_eq!(always(keys(), &format!("{OK}{rest}")), Ok(found), "{rest}");
    }
}

#[test]
fn chunks_that_make_no_sense_are_told() {
    for rest in ["x\r\n", "-1\r\n", "\r\n", "1\r\naXX", &"1".repeat(300)] {
        let answer = format!("{OK}Transfer-Encoding: chunked\r\n\r\n{rest}");
        let error = always(json!({"body": "zz"}), &answer).unwrap_err();
        assert_eq!(error, "answers in chunks that make no sense", "{rest}");
    }
}

#[test]
fn no_more_is_read_than_the_bounds() {
    let endless = format!("{OK}A: {}", "a".repeat(20_000));
    let error = read(json!({}), endless.as_bytes(), 100).unwrap_err();
    assert_eq!(error, "its answer has a head of more than 16384 bytes");

    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    let error = read(json!({}), interim.as_bytes(), 100).unwrap_err();
    assert!(error.ends_with("of more than 16384 bytes"), "{error}");

    let late = format!("{OK}\r\n{}ready", "a".repeat(64 * 1024 - 4));
    let mut reading = Answer::new(&wanted(json!({"body": "ready"})));
    let taken = late
        .as_bytes()
        .chunks(100)
        .position(|piece| reading.take(piece).is_some());
    assert!(taken.is_some_and(|pieces| pieces * 100 <= 64 * 1024 + OK.len() + 102));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_go_on_for_ever(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        start in prop::sample::select(vec![
            "", OK, "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ]),
        size in 1..50_usize,
    ) {
        let answer = [start.as_bytes(), &bytes].concat();
        let pieces = read(json!({"body": "ready"}), &answer, size);
        let whole = read(json!({"body": "ready"}), &answer, usize::MAX);
        prop_assert_eq!(pieces.is_ok(), whole.is_ok());
    }

    #[test]
    fn a_text_is_found_just_where_it_is(
        before in "[ab]{0,40}",
        after in "[ab]{0,40}",
        text in "[ab]{1,6}",
        chunk in 1..20_usize,
        size in 1..50_usize,
    ) {
        let body = format!("{before}{after}");
        let chunks: String = body.as_bytes().chunks(chunk).map(|chunk| {
            format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap())
        }).collect();
        let answer = format!("{OK}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
        let found = Found { status: 200, has_text: body.contains(&text) };
        prop_assert_eq!(read(json!({"body": text}), answer.as_bytes(), size), Ok(found));
    }
}
