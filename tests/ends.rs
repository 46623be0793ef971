//! How sessions end: half-close, reset and time running out, each passed on as what it is.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use rustix::net::{SendFlags, send};
use support::{at_rest, balancer, exchange, is_reset, pair, reset, resetting, silent, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Reads until the end, which must be a clean one.
async fn everything(stream: &mut TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    soon(stream.read_to_end(&mut received)).await.unwrap();
    received
}

/// Sends from one end until the other has it all.
async fn pass(from: &mut TcpStream, to: &mut TcpStream, message: &[u8]) {
    from.write_all(message).await.unwrap();
    let mut received = vec![0; message.len()];
    soon(to.read_exact(&mut received)).await.unwrap();
    assert_eq!(received, message);
}

#[tokio::test]
async fn a_client_that_has_finished_still_hears_the_host() {
    let (balancer, mut client, mut host) = pair("").await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(everything(&mut host).await, b"question");
    for part in [&b"one"[..], b"two", b"three"] {
        pass(&mut host, &mut client, part).await;
    }
    host.shutdown().await.unwrap();
    assert_eq!(everything(&mut client).await, b"");
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn a_host_that_has_finished_still_hears_the_client() {
    let (balancer, mut client, mut host) = pair("").await;
    host.write_all(b"greeting").await.unwrap();
    host.shutdown().await.unwrap();
    assert_eq!(everything(&mut client).await, b"greeting");
    for part in [&b"one"[..], b"two", b"three"] {
        pass(&mut client, &mut host, part).await;
    }
    client.shutdown().await.unwrap();
    assert_eq!(everything(&mut host).await, b"");
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn a_reset_by_the_client_reaches_the_host_as_a_reset() {
    let (balancer, mut client, mut host) = pair("").await;
    pass(&mut client, &mut host, b"hello").await;
    reset(client);
    assert!(is_reset(&mut host).await);
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn a_reset_by_the_host_reaches_the_client_as_a_reset() {
    let (balancer, mut client, mut host) = pair("").await;
    pass(&mut client, &mut host, b"hello").await;
    reset(host);
    assert!(is_reset(&mut client).await);
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn a_reset_right_behind_the_last_bytes_is_no_end() {
    for by_the_host in [true, false] {
        let (balancer, mut client, mut host) = pair("").await;
        pass(&mut client, &mut host, b"hello").await;
        let (breaks, mut hears) = if by_the_host {
            (host, client)
        } else {
            (client, host)
        };
        // Nothing is awaited in between: the balancer sees both at once.
        assert_eq!(breaks.try_write(b"last words").unwrap(), 10);
        reset(breaks);
        assert!(is_reset(&mut hears).await);
        eventually!(at_rest(&balancer));
    }
}

#[tokio::test]
async fn what_follows_urgent_bytes_right_before_the_end_is_passed_on() {
    let (balancer, mut client, mut host) = pair("").await;
    pass(&mut client, &mut host, b"hello").await;
    // Nothing is awaited in between: the balancer sees all at once, and a receive stops at the mark.
    for (part, flags) in [
        (b"before", SendFlags::empty()),
        (b"urgent", SendFlags::OOB),
        (b"behind", SendFlags::empty()),
    ] {
        assert_eq!(send(&client, part, flags).unwrap(), part.len());
    }
    client.shutdown().await.unwrap();
    assert_eq!(everything(&mut host).await, b"beforeurgentbehind");
    host.shutdown().await.unwrap();
    assert_eq!(everything(&mut client).await, b"");
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn a_client_that_has_finished_can_still_reset() {
    let (balancer, mut client, mut host) = pair("").await;
    client.shutdown().await.unwrap();
    assert_eq!(everything(&mut host).await, b"");
    reset(client);
    eventually!(at_rest(&balancer));
    // The end came already, so the host learns of the reset from what it sends.
    assert!(host.write_all(b"anybody?").await.is_err());
}

#[tokio::test]
async fn a_host_that_has_finished_can_still_reset() {
    let (balancer, mut client, mut host) = pair("").await;
    host.shutdown().await.unwrap();
    assert_eq!(everything(&mut client).await, b"");
    reset(host);
    eventually!(at_rest(&balancer));
    assert!(client.write_all(b"anybody?").await.is_err());
}

#[tokio::test]
async fn a_host_that_resets_after_the_client_has_finished_is_heard() {
    let (balancer, mut client, mut host) = pair("").await;
    client.shutdown().await.unwrap();
    assert_eq!(everything(&mut host).await, b"");
    reset(host);
    assert!(is_reset(&mut client).await);
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn a_client_that_resets_after_the_host_has_finished_is_heard() {
    let (balancer, mut client, mut host) = pair("").await;
    host.shutdown().await.unwrap();
    assert_eq!(everything(&mut client).await, b"");
    reset(client);
    assert!(is_reset(&mut host).await);
    eventually!(at_rest(&balancer));
}

/// Fills the way from one end to the other until nothing more fits.
async fn stuff(from: &mut TcpStream) {
    let block = vec![7; 1 << 20];
    let quiet = Duration::from_millis(250);
    while let Ok(sent) = tokio::time::timeout(quiet, from.write(&block)).await {
        sent.unwrap();
    }
}

#[tokio::test]
async fn a_reset_by_the_client_is_not_lost_behind_bytes_that_the_host_has_yet_to_read() {
    let (balancer, mut client, mut host) = pair("").await;
    stuff(&mut client).await;
    reset(client);
    assert!(is_reset(&mut host).await);
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn a_reset_by_the_host_is_not_lost_behind_bytes_that_the_client_has_yet_to_read() {
    let (balancer, mut client, mut host) = pair("").await;
    stuff(&mut host).await;
    reset(host);
    assert!(is_reset(&mut client).await);
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn a_host_that_always_resets_does_so_to_the_client() {
    let (balancer, address) = balancer(&[resetting().await], "retries = 0");
    for _ in 0..20 {
        let mut client = TcpStream::connect(address).await.unwrap();
        let _ = client.write_all(b"hello").await;
        assert!(is_reset(&mut client).await);
    }
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn an_idle_session_is_reset_on_both_sides() {
    let (balancer, mut client, mut host) = pair("timeouts = { idle = \"200ms\" }").await;
    let began = Instant::now();
    assert!(is_reset(&mut client).await);
    assert!(is_reset(&mut host).await);
    assert!(began.elapsed() > Duration::from_millis(150));
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn a_session_with_bytes_in_either_direction_is_not_idle() {
    let (_balancer, mut client, mut host) = pair("timeouts = { idle = \"600ms\" }").await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1000) {
        pass(&mut client, &mut host, b"up").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while began.elapsed() < Duration::from_millis(2000) {
        pass(&mut host, &mut client, b"down").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    pass(&mut client, &mut host, b"still here").await;
}

#[tokio::test]
async fn a_host_that_accepts_and_never_answers_is_given_up_when_idle() {
    let (balancer, address) = balancer(&[silent().await], "timeouts = { idle = \"200ms\" }");
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"question").await.unwrap();
    assert!(is_reset(&mut client).await);
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn a_half_closed_session_waits_less_long() {
    let more = "timeouts = { idle = \"60s\", half_closed = \"200ms\" }";
    let (balancer, mut client, mut host) = pair(more).await;
    host.write_all(b"early").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(everything(&mut host).await, b"");
    assert!(is_reset(&mut client).await);
    eventually!(host.write_all(b"late").await.is_err());
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn a_session_that_nobody_has_half_closed_may_wait_longer() {
    let (_balancer, mut client, mut host) = pair("timeouts = { half_closed = \"100ms\" }").await;
    pass(&mut client, &mut host, b"before").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    pass(&mut client, &mut host, b"after").await;
}

#[tokio::test]
async fn a_lifetime_ends_a_session_however_busy() {
    let host = support::echo().await;
    let (balancer, address) = balancer(&[host], "timeouts = { lifetime = \"300ms\" }");
    let mut client = TcpStream::connect(address).await.unwrap();
    let began = Instant::now();
    eventually!(exchange(&mut client, b"more").await.is_err());
    assert!(began.elapsed() > Duration::from_millis(250));
    eventually!(at_rest(&balancer));
}
