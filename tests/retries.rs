//! Hosts that cannot be connected to: another one is tried, and the client is none the wiser.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use support::{
    Blackhole, at_rest, balancer, echo, exchange, greeting, is_reset, nobody, pattern, refused,
    reset, resetting, soon, status,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

#[tokio::test]
async fn a_refused_connect_leads_to_another_host() {
    let hosts = [nobody().await, echo().await, nobody().await];
    let (balancer, address) = balancer(&hosts, "");
    for _ in 0..30 {
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    }
    eventually!(at_rest(&balancer));
    let status = status(&balancer);
    let failures = |index: usize| status.groups[0].hosts[index].connect_failures;
    assert!(failures(0) > 0 && failures(2) > 0);
    assert_eq!(failures(1), 0);
    assert_eq!(status.retries, failures(0) + failures(2));
    assert_eq!(status.groups[0].hosts[1].sessions.total, 30);
    assert_eq!(status.sessions.total, 30);
}

#[tokio::test]
async fn without_retries_a_refused_connect_resets_the_client() {
    let (balancer, address) = balancer(&[nobody().await], "retries = 0");
    let mut client = TcpStream::connect(address).await.unwrap();
    assert!(is_reset(&mut client).await);
    eventually!(refused(&balancer, "connect_failed") == 1);
    let status = status(&balancer);
    assert_eq!(status.retries, 0);
    assert_eq!(status.sessions.total, 0);
    assert_eq!(status.groups[0].hosts[0].connect_failures, 1);
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn no_more_hosts_are_tried_than_there_are_retries() {
    let mut hosts = Vec::new();
    for _ in 0..6 {
        hosts.push(nobody().await);
    }
    let (balancer, address) = balancer(&hosts, "retries = 3");
    let mut client = TcpStream::connect(address).await.unwrap();
    assert!(is_reset(&mut client).await);
    eventually!(refused(&balancer, "connect_failed") == 1);
    let status = status(&balancer);
    let tried = status.groups[0].hosts.iter();
    let tried: Vec<u64> = tried.map(|host| host.connect_failures).collect();
    assert_eq!(status.retries, 3);
    assert_eq!(tried.iter().sum::<u64>(), 4);
    assert!(tried.iter().all(|times| *times <= 1), "{tried:?}");
}

#[tokio::test]
async fn a_connect_that_hangs_leads_to_another_host_in_time() {
    let hole = Blackhole::open().await;
    let hosts = [hole.address(), echo().await];
    let (balancer, address) = balancer(&hosts, "timeouts = { connect = \"150ms\" }");
    let began = Instant::now();
    for _ in 0..4 {
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    }
    assert!(began.elapsed() > Duration::from_millis(150));
    let status = status(&balancer);
    assert!(status.groups[0].hosts[0].connect_failures >= 1);
    assert_eq!(status.groups[0].hosts[1].sessions.total, 4);
}

/// A balancer whose first host hangs for a while, and the host that is then connected to. Who
/// comes first has time to do what it likes before.
async fn late() -> (
    Blackhole,
    TcpListener,
    pointsman::control::Balancer,
    SocketAddr,
) {
    let hole = Blackhole::open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hosts = [hole.address(), listener.local_addr().unwrap()];
    let (balancer, address) = balancer(&hosts, "timeouts = { connect = \"300ms\" }");
    (hole, listener, balancer, address)
}

async fn accept_late(listener: &TcpListener, balancer: &pointsman::control::Balancer) -> TcpStream {
    let (host, _) = soon(listener.accept()).await.unwrap();
    assert_eq!(status(balancer).groups[0].hosts[0].connect_failures, 1);
    host
}

#[tokio::test]
async fn nothing_is_lost_of_what_a_client_sends_before_it_has_a_host() {
    let (_hole, listener, balancer, address) = late().await;
    let sent = pattern(1 << 20, 1);
    let mut client = TcpStream::connect(address).await.unwrap();
    let expected = sent.clone();
    let sending = tokio::spawn(async move {
        client.write_all(&sent).await.unwrap();
        client
    });
    let mut host = accept_late(&listener, &balancer).await;
    let mut received = vec![0; expected.len()];
    soon(host.read_exact(&mut received)).await.unwrap();
    assert!(received == expected);
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn a_client_that_finishes_before_it_has_a_host_is_answered() {
    for question in [&b""[..], b"question"] {
        let (_hole, listener, balancer, address) = late().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(question).await.unwrap();
        client.shutdown().await.unwrap();
        let mut host = accept_late(&listener, &balancer).await;
        let mut received = Vec::new();
        soon(host.read_to_end(&mut received)).await.unwrap();
        assert_eq!(received, question);
        host.write_all(b"answer").await.unwrap();
        drop(host);
        received.clear();
        soon(client.read_to_end(&mut received)).await.unwrap();
        assert_eq!(received, b"answer");
        eventually!(at_rest(&balancer));
    }
}

#[tokio::test]
async fn of_a_client_that_leaves_before_it_has_a_host_everything_arrives() {
    for length in [0, 10, 100_000] {
        let (_hole, listener, balancer, address) = late().await;
        let sent = pattern(length, 2);
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&sent).await.unwrap();
        drop(client);
        let mut host = accept_late(&listener, &balancer).await;
        let mut received = Vec::new();
        soon(host.read_to_end(&mut received)).await.unwrap();
        assert!(received == sent, "{} of {length}", received.len());
        drop(host);
        eventually!(at_rest(&balancer));
    }
}

#[tokio::test]
async fn a_client_that_resets_before_it_has_a_host_resets_the_host() {
    let (_hole, listener, balancer, address) = late().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    eventually!(status(&balancer).sessions.active == 1);
    reset(client);
    let mut host = accept_late(&listener, &balancer).await;
    assert!(is_reset(&mut host).await);
    eventually!(at_rest(&balancer));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_clients_at_once_all_are_served_though_a_host_is_dead() {
    let hosts = [greeting("a").await, nobody().await, greeting("b").await];
    let (balancer, address) = balancer(&hosts, "");
    let mut clients = JoinSet::new();
    for number in 0..1000_u32 {
        clients.spawn(async move {
            let mut client = TcpStream::connect(address).await.unwrap();
            let name = soon(client.read_u8()).await.unwrap();
            assert!(name == b'a' || name == b'b');
            let message = number.to_be_bytes();
            assert_eq!(exchange(&mut client, &message).await.unwrap(), message);
            client
        });
    }
    let mut served = Vec::new();
    while let Some(client) = clients.join_next().await {
        served.push(client.unwrap());
    }
    let now = status(&balancer);
    assert_eq!(now.sessions.active, 1000);
    assert_eq!(now.sessions.total, 1000);
    assert!(now.refused.iter().all(|(_, times)| *times == 0));
    drop(served);
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn a_client_that_has_sent_nothing_is_not_told_that_its_host_broke_off() {
    let hosts = [resetting().await, echo().await];
    let (balancer, address) = balancer(&hosts, "");
    for _ in 0..10 {
        let mut client = TcpStream::connect(address).await.unwrap();
        let served = || status(&balancer).groups[0].hosts[1].sessions.active == 1;
        eventually!(served());
        assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
        drop(client);
        eventually!(at_rest(&balancer));
    }
    let status = status(&balancer);
    let broken = &status.groups[0].hosts[0];
    // A reset may come before we have seen that the connection stands.
    let failures = broken.early_resets + broken.connect_failures;
    assert!(failures >= 5, "{failures}");
    assert_eq!(status.retries, failures);
    assert_eq!(status.sessions.total, 10, "each client is one session");
    assert!(status.refused.iter().all(|(_, times)| *times == 0));
}

#[tokio::test]
async fn a_client_is_reset_when_no_other_host_is_left_or_a_host_has_heard_of_it() {
    let (alone, address) = balancer(&[resetting().await], "");
    let mut client = TcpStream::connect(address).await.unwrap();
    assert!(is_reset(&mut client).await);
    eventually!(at_rest(&alone));
    let alone = status(&alone);
    let host = &alone.groups[0].hosts[0];
    assert_eq!(host.early_resets + host.connect_failures, 1);
    assert_eq!(alone.retries, 0);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hosts = [listener.local_addr().unwrap(), echo().await];
    let (balancer, address) = balancer(&hosts, "");
    let mut client = TcpStream::connect(address).await.unwrap();
    let (mut host, _) = soon(listener.accept()).await.unwrap();
    client.write_all(b"transfer 100").await.unwrap();
    let mut heard = [0; 12];
    soon(host.read_exact(&mut heard)).await.unwrap();
    reset(host);
    assert!(is_reset(&mut client).await, "it is not said twice");
    assert_eq!(status(&balancer).retries, 0);
}
