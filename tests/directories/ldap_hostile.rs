//! The LDAP backend against servers that lie, stall, or were never LDAP servers.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use pointsman::auth::{Outcome, ldap::Ldap};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::ldap::{backend, log_in, unavailable};

/// What each question is answered with.
#[derive(Clone, Copy)]
enum Says {
    /// The bytes, with the number of the message in place of the first 0xff.
    Bytes(&'static [u8]),
    /// The same, one byte every 100 ms.
    Slowly(&'static [u8]),
    /// The first is answered well, as a bind, the others with these bytes.
    Later(&'static [u8]),
    /// Well to the first, and then entries without end.
    Flood,
    /// Nothing.
    Nothing,
    /// A reset.
    Reset,
}

/// Result 0 to a bind.
const BOUND: &[u8] = b"\x30\x0c\x02\x01\xff\x61\x07\x0a\x01\x00\x04\x00\x04\x00";

async fn fake(says: Says) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, says));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, says: Says) {
    let mut request = [0; 4096];
    let mut first = true;
    while let Ok(5..) = stream.read(&mut request).await {
        let id = request[4];
        let answer = match says {
            Says::Bytes(bytes) => bytes,
            Says::Slowly(bytes) => {
                for byte in numbered(bytes, id) {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                }
                continue;
            }
            Says::Later(_) | Says::Flood if first => BOUND,
            Says::Later(bytes) => bytes,
            Says::Flood => return flood(stream, id).await,
            Says::Nothing => continue,
            Says::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
        };
        first = false;
        if stream.write_all(&numbered(answer, id)).await.is_err() {
            return;
        }
    }
}

fn numbered(bytes: &[u8], id: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(place) = bytes.iter().position(|byte| *byte == 0xff) {
        bytes[place] = id;
    }
    bytes
}

/// Entries of 64 KiB.
async fn flood(mut stream: TcpStream, id: u8) {
    let name = [&[0x04], &long(0xffff)[..], &[b'x'; 0xffff], b"\x30\x00"].concat();
    let entry = [&[0x64], &long(name.len())[..], &name].concat();
    let body = [&[2, 1, id], &entry[..]].concat();
    let message = [&[0x30], &long(body.len())[..], &body].concat();
    while stream.write_all(&message).await.is_ok() {}
}

fn long(count: usize) -> Vec<u8> {
    [&[0x84][..], &u32::try_from(count).unwrap().to_be_bytes()].concat()
}

fn against(address: SocketAddr) -> Ldap {
    backend(&format!(
        "urls = [\"ldap://{address}\"]\nstart_tls = false\ntimeout = \"500ms\"\n\
         bind_dn = \"cn=svc\"\nbind_password = \"x\"\nuser_base = \"dc=x\""
    ))
}

#[tokio::test]
async fn whatever_a_server_says_it_is_away_within_the_time_and_nobody_is_refused() {
    let cases = [
        ("nothing", Says::Nothing),
        ("a reset", Says::Reset),
        ("HTTP", Says::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
        (
            "a length without end",
            Says::Bytes(b"\x30\x84\xff\xff\xff\xff"),
        ),
        (
            "an open length",
            Says::Bytes(b"\x30\x80\x02\x01\xff\x00\x00"),
        ),
        ("byte by byte", Says::Slowly(BOUND)),
        // Each of these makes the library panic, in one task or another.
        ("no message", Says::Bytes(b"\x30\x00")),
        ("no number", Says::Bytes(b"\x30\x04\x04\x00\x04\x00")),
        (
            "a result without a code",
            Says::Bytes(b"\x30\x05\x02\x01\xff\x61\x00"),
        ),
        (
            "a result that is text",
            Says::Bytes(b"\x30\x0a\x02\x01\xff\x61\x05\x04\x03abc"),
        ),
        (
            "text that is no text",
            Says::Bytes(b"\x30\x0d\x02\x01\xff\x61\x08\x0a\x01\x00\x04\x01\xfe\x04\x00"),
        ),
        (
            "an empty entry",
            Says::Later(b"\x30\x05\x02\x01\xff\x64\x00"),
        ),
        (
            "an entry that is a number",
            Says::Later(b"\x30\x08\x02\x01\xff\x64\x03\x02\x01\x00"),
        ),
        ("a bind instead of an entry", Says::Later(BOUND)),
        (
            "controls that are none",
            Says::Bytes(
                b"\x30\x10\x02\x01\xff\x61\x07\x0a\x01\x00\x04\x00\x04\x00\xa0\x02\x30\x00",
            ),
        ),
        ("entries without end", Says::Flood),
    ];
    for (name, says) in cases {
        let backend = against(fake(says).await);
        let start = Instant::now();
        let outcome = log_in(&backend, "ada", "secret").await;
        assert!(
            matches!(outcome, Outcome::Unavailable(_)),
            "{name}: {outcome:?}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{name}: {:?}",
            start.elapsed()
        );
    }
}

#[tokio::test]
async fn parts_within_parts_without_end_do_not_end_the_process() {
    // From the inside: the head of the part that holds so much, all heads in front of each other.
    let depth = 100_000;
    let heads = (0..depth)
        .rev()
        .map(|within| [&[0x30], &long(within * 6)[..]].concat());
    let nested: &'static [u8] = Box::leak(heads.collect::<Vec<_>>().concat().into_boxed_slice());
    let backend = against(fake(Says::Bytes(nested)).await);
    let because = unavailable(log_in(&backend, "ada", "secret").await);
    assert!(because.contains("do not fit into each other"), "{because}");
}

#[tokio::test]
async fn one_server_that_stalls_leaves_time_for_the_next() {
    let stalls = fake(Says::Nothing).await;
    let speaks = fake(Says::Later(
        b"\x30\x0c\x02\x01\xff\x65\x07\x0a\x01\x00\x04\x00\x04\x00",
    ))
    .await;
    let backend = backend(&format!(
        "urls = [\"ldap://{stalls}\", \"ldap://{speaks}\"]\nstart_tls = false\n\
         timeout = \"300ms\"\nbind_dn = \"cn=svc\"\nbind_password = \"x\"\nuser_base = \"dc=x\""
    ));
    let ask = async || log_in(&backend, "ada", "secret").await;
    let nobody = |outcome: &Outcome| matches!(outcome, Outcome::Rejected(because) if because == "there is no such user");
    assert!(nobody(&ask().await));
    // Remembered, so that not everybody waits for it.
    let start = Instant::now();
    assert!(nobody(&ask().await));
    assert!(
        start.elapsed() < Duration::from_millis(200),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_server_that_refuses_tls_or_slips_something_in_before_it_gets_no_password() {
    // StartTLS refused; agreed to and then more in the clear.
    for answer in [
        &b"\x30\x0c\x02\x01\xff\x78\x07\x0a\x01\x02\x04\x00\x04\x00"[..],
        b"\x30\x0c\x02\x01\xff\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = vec![0; 64];
            let count = stream.read(&mut seen).await.unwrap();
            seen.truncate(count);
            stream.write_all(&numbered(answer, seen[4])).await.unwrap();
            let _ = stream.read_to_end(&mut seen).await;
            seen
        });
        let backend = backend(&format!(
            "urls = [\"ldap://{address}\"]\ntimeout = \"500ms\"\n\
             bind_dn = \"cn=svc\"\nbind_password = \"hunter2\"\nuser_base = \"dc=x\""
        ));
        unavailable(log_in(&backend, "ada", "secret").await);
        let seen = seen.await.unwrap();
        let text = String::from_utf8_lossy(&seen);
        assert!(text.contains("1.3.6.1.4.1.1466.20037"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("cn=svc"), "{text}");
    }
}
