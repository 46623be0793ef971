//! What is counted of services and hosts.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use support::{at_rest, balancer, echo, exchange, next_words, pair, status};
use tokio::{io::AsyncWriteExt, net::TcpStream};

#[tokio::test]
async fn bytes_are_counted_by_direction_while_the_session_is_open() {
    let (balancer, mut client, mut host) = pair("").await;
    client.write_all(b"question").await.unwrap();
    assert_eq!(next_words(&mut host).await, "question");
    host.write_all(b"yes").await.unwrap();
    assert_eq!(next_words(&mut client).await, "yes");
    eventually!(status(&balancer).bytes.to_client == 3);
    let status = status(&balancer);
    assert_eq!(status.bytes.to_host, 8);
    assert_eq!(status.groups[0].hosts[0].bytes, status.bytes);
    assert_eq!(status.sessions.active, 1);
    assert_eq!(status.groups[0].hosts[0].sessions.active, 1);
}

#[tokio::test]
async fn every_session_is_counted_once_at_its_service_and_at_its_host() {
    let (balancer, address) = balancer(&[echo().await, echo().await], "");
    for _ in 0..20 {
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(exchange(&mut client, b"four").await.unwrap(), b"four");
    }
    eventually!(at_rest(&balancer));
    let status = status(&balancer);
    assert_eq!(status.accepted, 20);
    assert_eq!(status.sessions.total, 20);
    assert_eq!(status.bytes.to_host, 80);
    assert_eq!(status.bytes.to_client, 80);
    let hosts = &status.groups[0].hosts;
    let sum = |count: fn(&pointsman::control::status::HostStatus) -> u64| -> u64 {
        hosts.iter().map(count).sum()
    };
    assert_eq!(sum(|host| host.sessions.total), 20);
    assert_eq!(sum(|host| host.bytes.to_host), 80);
    assert_eq!(sum(|host| host.connect_time.count), 20);
    assert_eq!(sum(|host| host.session_time.count), 20);
    assert_eq!(sum(|host| host.connect_failures), 0);
}

#[tokio::test]
async fn times_are_recorded_as_long_as_they_were() {
    let (balancer, client, _host) = pair("").await;
    tokio::time::sleep(Duration::from_millis(120)).await;
    client.set_zero_linger().unwrap();
    drop(client);
    eventually!(at_rest(&balancer));
    let host = &status(&balancer).groups[0].hosts[0];
    assert!(host.session_time.sum >= Duration::from_millis(120));
    assert!(host.connect_time.sum < Duration::from_millis(100));
}
