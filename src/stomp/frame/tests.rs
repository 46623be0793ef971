//! The codec as the specification and ActiveMQ have it, and as nobody should.

use proptest::{collection::vec, prelude::*, test_runner::Config};

use super::*;

fn limits() -> Limits {
    Limits {
        headers: 4,
        line: 64,
        body: 16,
    }
}

/// The frames in `bytes`, decoded in pieces that end at `cuts`.
fn decode_in_pieces(
    bytes: &[u8],
    cuts: &[usize],
    limits: Limits,
) -> Result<Vec<Frame>, DecodeError> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.push(bytes.len());
    cuts.sort_unstable();
    let mut decoder = Decoder::new(limits);
    let (mut frames, mut start) = (Vec::new(), 0);
    for end in cuts {
        let mut piece = &bytes[start..end];
        while let Some(frame) = decoder.decode(&mut piece)? {
            frames.push(frame);
        }
        assert!(piece.is_empty());
        start = end;
    }
    Ok(frames)
}

fn decode(text: &str) -> Result<Vec<Frame>, DecodeError> {
    decode_in_pieces(text.as_bytes(), &[], limits())
}

fn one(text: &str) -> Frame {
    let mut frames = decode(text).unwrap();
    assert_eq!(frames.len(), 1, "{text:?}");
    frames.remove(0)
}

fn whole(text: &str) -> Body {
    Body::Whole(text.as_bytes().to_vec())
}

#[test]
fn frames_follow_each_other_with_any_line_ends_between_them() {
    let frames = decode(
        "\n\r\n\nCONNECTED\nversion:1.2\n\n\0\n\n\r\nRECEIPT\r\nreceipt-id:7\r\n\r\n\0MESSAGE\n\nhi\0\n",
    );
    let frames = frames.unwrap();
    assert_eq!(frames.len(), 3);
    assert_eq!(frames[0].command, ServerCommand::Connected);
    assert_eq!(frames[1].headers.get("receipt-id"), Some("7"));
    assert_eq!(frames[2].body, whole("hi"));
}

#[test]
fn values_are_unescaped_and_keep_their_colons_and_spaces() {
    let frame = one("MESSAGE\nmessage-id:ID\\chost-1\\c2:3\na\\cb: x\\n\\\\n\\r \n\n\0");
    assert_eq!(frame.headers.get("message-id"), Some("ID:host-1:2:3"));
    assert_eq!(frame.headers.get("a:b"), Some(" x\n\\n\r "));
}

#[test]
fn connected_has_no_escapes() {
    let frame = one("CONNECTED\nsession:ID:host\\c1\n\n\0");
    assert_eq!(frame.headers.get("session"), Some("ID:host\\c1"));
}

#[test]
fn an_error_may_come_before_there_are_escapes() {
    let frame = one("ERROR\nmessage:C:\\temp\na:b\\cc\n\n\0");
    assert_eq!(frame.headers.get("message"), Some("C:\\temp"));
    assert_eq!(frame.headers.get("a"), Some("b:c"));
}

#[test]
fn the_first_of_repeated_headers_counts() {
    let frame = one("MESSAGE\nfoo:World\nfoo:Hello\n\n\0");
    assert_eq!(frame.headers.get("foo"), Some("World"));
    assert_eq!(frame.headers.iter().count(), 2);
}

#[test]
fn a_length_makes_nul_and_anything_else_part_of_the_body() {
    let frames = decode("MESSAGE\ncontent-length:4\n\na\0\n\0\0\nMESSAGE\ncontent-length:0\n\n\0");
    let frames = frames.unwrap();
    assert_eq!(frames[0].body, whole("a\0\n\0"));
    assert_eq!(frames[1].body, whole(""));
    let mut bytes = b"MESSAGE\n\n".to_vec();
    bytes.extend([0xff, 0xfe, 0]);
    let frames = decode_in_pieces(&bytes, &[], limits()).unwrap();
    assert_eq!(frames[0].body, Body::Whole(vec![0xff, 0xfe]));
}

#[test]
fn a_body_that_is_too_long_is_read_past_and_its_headers_are_told() {
    let long = "x".repeat(17);
    for length in ["", "content-length:17\n"] {
        let frames = decode(&format!("MESSAGE\nack:1\n{length}\n{long}\0RECEIPT\n\n\0"));
        let frames = frames.unwrap();
        assert_eq!(frames[0].headers.get("ack"), Some("1"));
        assert_eq!(frames[0].body, Body::TooLong(17));
        assert_eq!(frames[1].command, ServerCommand::Receipt);
    }
}

#[test]
fn of_too_many_or_too_long_headers_those_of_stomp_are_kept() {
    let many: String = (0..1000).map(|number| format!("h{number}:x\n")).collect();
    let frame = one(&format!(
        "MESSAGE\n{many}ack:7\nack:8\ncontent-length:2\n\n\0\0\0"
    ));
    assert!(frame.headers.are_cut());
    assert_eq!(frame.headers.iter().count(), 6);
    assert_eq!(frame.headers.get("ack"), Some("7"));
    assert_eq!(frame.headers.get("h3"), Some("x"));
    assert_eq!(frame.body, Body::Whole(vec![0, 0]));

    let long = "x".repeat(100_000);
    let frame = one(&format!("MESSAGE\nlong:{long}\nack:7\n\n\0"));
    assert!(frame.headers.are_cut());
    assert_eq!(frame.headers.get("long"), None);
    assert_eq!(frame.headers.get("ack"), Some("7"));
    assert!(!one("MESSAGE\nack:7\n\n\0").headers.are_cut());
}

#[test]
fn what_is_not_stomp_is_an_error() {
    use DecodeError::{Command, Header, Length, Overlong};
    let header = |line: &str| Header(line.to_owned());
    for (text, error) in [
        ("SEND\n\n\0", Command("SEND".to_owned())),
        (
            "HTTP/1.1 400 Bad Request\n",
            Command("HTTP/1.1 4".to_owned()),
        ),
        ("message\n\n\0", Command("message".to_owned())),
        ("CONNECTEDX\n", Command("CONNECTEDX".to_owned())),
        ("MESSAGE\nno colon\n\n\0", header("no colon")),
        ("MESSAGE\na:\\t\n\n\0", header("a:\\t")),
        ("MESSAGE\na:x\\\n\n\0", header("a:x\\")),
        ("MESSAGE\ncontent-length:-1\n\n\0", Length("-1".to_owned())),
        ("MESSAGE\ncontent-length:+1\n\n\0", Length("+1".to_owned())),
        ("MESSAGE\ncontent-length:\n\n\0", Length(String::new())),
        (
            "MESSAGE\ncontent-length:99999999999999999999\n\n\0",
            Length("9".repeat(20)),
        ),
        ("MESSAGE\ncontent-length:1\n\nab\0", Overlong(1)),
    ] {
        assert_eq!(decode(text), Err(error), "{text:?}");
    }
    let not_utf8 = decode_in_pieces(b"MESSAGE\na:\xff\n\n\0", &[], limits());
    assert!(matches!(not_utf8, Err(Header(_))));
}

#[test]
fn nothing_of_an_unfinished_frame_is_told() {
    let text = "MESSAGE\nack:1\ncontent-length:3\n\nabc\0";
    for length in 0..text.len() {
        assert_eq!(decode(&text[..length]), Ok(vec![]), "{length}");
    }
}

fn encoded(frame: impl Into<ClientFrame<ClientCommand>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&frame.into(), &mut bytes).unwrap();
    bytes
}

#[test]
fn a_header_cannot_hold_a_second_frame() {
    use stomp_rs::protocol::frame::{Connect, Send};
    let send = Send::new("/queue/a").header("x", "a:b\nEVIL:1\r\n\nSEND\\");
    let text = String::from_utf8(encoded(send)).unwrap();
    assert!(
        text.contains("\nx:a\\cb\\nEVIL\\c1\\r\\n\\nSEND\\\\\n"),
        "{text:?}"
    );
    let mut bytes = b"before".to_vec();
    let send = Send::new("/queue/a\0");
    assert!(encode(&send.into(), &mut bytes).is_err());
    for wrong in ["a\nb", "a\rb", "a\0b"] {
        let connect = Connect::new("1.2", "mq").header("passcode", wrong);
        let error = encode(&connect.into(), &mut bytes).unwrap_err();
        assert!(!error.to_string().contains(wrong), "{error}");
    }
    assert_eq!(bytes, b"before");
    let connect = encoded(Connect::new("1.2", "mq").header("passcode", "a:b\\"));
    let connect = String::from_utf8(connect).unwrap();
    assert!(connect.contains("\npasscode:a:b\\\n"), "{connect:?}");
}

#[test]
fn a_length_is_sent_only_with_a_body_that_has_a_nul() {
    use stomp_rs::protocol::frame::Send;
    let text = String::from_utf8(encoded(Send::new("/queue/a").body("hi"))).unwrap();
    assert_eq!(text, "SEND\ndestination:/queue/a\n\nhi\0");
    let send = Send::new("/queue/a")
        .header("content-length", "99")
        .body("h\0i");
    let text = String::from_utf8(encoded(send)).unwrap();
    assert!(text.ends_with("content-length:3\n\nh\0i\0"), "{text:?}");
    assert!(!text.contains("99"));
}

/// What we wrote, as a broker would hand it on: another command, the rest as it is.
fn handed_on(bytes: &[u8]) -> Vec<u8> {
    [b"MESSAGE", &bytes[b"SEND".len()..]].concat()
}

fn text() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![
            Just(':'),
            Just('\n'),
            Just('\r'),
            Just('\\'),
            Just('c'),
            Just('é'),
            any::<char>()
        ],
        0..12,
    )
    .prop_map(|characters| characters.into_iter().filter(|c| *c != '\0').collect())
}

/// Bytes that are often nearly STOMP.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("MESSAGE\n"),
        Just("CONNECTED\n"),
        Just("RECEIPT\r\n"),
        Just("ERROR\n"),
        Just("\n"),
        Just("\n\n"),
        Just("\0"),
        Just("ack:1\n"),
        Just("a:\\c\n"),
        Just("content-length:3\n"),
        Just("content-length:1000000000000\n"),
        Just("abc"),
        Just("\\"),
        Just(":"),
        Just("\r"),
    ];
    let part = prop_oneof![
        4 => word.prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..40),
    ];
    vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(1000) })]

    #[test]
    fn what_is_written_reads_the_same(
        headers in vec((text(), text()), 0..6), body in ".{0,20}", cuts in vec(any::<usize>(), 0..8),
    ) {
        use stomp_rs::protocol::frame::Send;
        let mut send = Send::new("/queue/a");
        for (name, value) in &headers {
            send = send.header(format!("x{name}"), value);
        }
        let bytes = handed_on(&encoded(send.body(body.clone())));
        let frames = decode_in_pieces(&bytes, &cuts, Limits::with_body(1000)).unwrap();
        prop_assert_eq!(frames.len(), 1);
        prop_assert_eq!(&frames[0].body, &whole(&body));
        let mut names = std::collections::HashMap::new();
        names.extend(headers.iter().map(|(name, value)| (format!("x{name}"), value)));
        for (name, value) in names {
            prop_assert_eq!(frames[0].headers.get(&name), Some(value.as_str()));
        }
    }

    #[test]
    fn anything_in_any_pieces_gives_the_same_and_keeps_to_the_limits(
        bytes in noise(), cuts in vec(any::<usize>(), 0..30),
    ) {
        let at_once = decode_in_pieces(&bytes, &[], limits());
        let in_pieces = decode_in_pieces(&bytes, &cuts, limits());
        prop_assert_eq!(&at_once, &in_pieces);
        for frame in at_once.unwrap_or_default() {
            prop_assert!(frame.headers.iter().count() <= limits().headers + 12);
            for (name, value) in frame.headers.iter() {
                prop_assert!(name.len() + value.len() < limits().line);
            }
            match frame.body {
                Body::Whole(body) => prop_assert!(body.len() <= limits().body),
                Body::TooLong(length) => prop_assert!(length > limits().body as u64),
            }
        }
    }
}
