//! What is over a limit is reset and counted, and what ends makes room again.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;

use pointsman::{
    control::Balancer,
    model::topology::{Admin, Count, Topology},
};
use support::{at_rest, balancer, greeting, is_reset, next_words, refused, soon, status, topology};
use tokio::{io::AsyncReadExt, net::TcpStream, runtime::Handle, task::JoinSet};

/// A client that has been answered, or `None` where it was reset.
async fn served(address: SocketAddr) -> Option<TcpStream> {
    // A reset may come before the connect has been seen to succeed.
    let mut client = TcpStream::connect(address).await.ok()?;
    soon(client.read_u8()).await.is_ok().then_some(client)
}

fn start(topology: Topology) -> (Balancer, SocketAddr) {
    let balancer = Balancer::start(topology, Handle::current()).unwrap();
    let address = balancer.addresses(&"web".parse().unwrap())[0];
    (balancer, address)
}

/// The topology of one group, with room for so many sessions on each of `hosts`.
fn narrow(hosts: &[(SocketAddr, i64)]) -> Topology {
    let addresses: Vec<SocketAddr> = hosts.iter().map(|(address, _)| *address).collect();
    let mut topology = topology(&addresses, "");
    let group = &mut topology.services[0].groups[0];
    for (host, (_, most)) in group.hosts.iter_mut().zip(hosts) {
        host.max_sessions = Some(Count::try_from(*most).unwrap());
    }
    topology
}

#[tokio::test]
async fn sessions_over_the_limit_of_the_service_are_reset_and_counted() {
    let (balancer, address) = balancer(&[greeting("a").await], "limits = { sessions = 2 }");
    let first = served(address).await.unwrap();
    let _second = served(address).await.unwrap();
    for _ in 0..3 {
        let mut client = TcpStream::connect(address).await.unwrap();
        assert!(is_reset(&mut client).await);
    }
    assert_eq!(refused(&balancer, "service_full"), 3);
    assert_eq!(status(&balancer).accepted, 5);
    assert_eq!(status(&balancer).sessions.active, 2);
    drop(first);
    eventually!(status(&balancer).sessions.active == 1);
    assert!(served(address).await.is_some());
}

#[tokio::test]
async fn a_full_host_is_passed_over_and_when_all_are_full_clients_are_reset() {
    let hosts = [(greeting("a").await, 1), (greeting("b").await, 2)];
    let (balancer, address) = start(narrow(&hosts));
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(served(address).await.unwrap());
    }
    let hosts = &status(&balancer).groups[0].hosts;
    assert_eq!(hosts[0].sessions.active, 1);
    assert_eq!(hosts[1].sessions.active, 2);
    assert!(served(address).await.is_none());
    assert_eq!(refused(&balancer, "hosts_full"), 1);
    assert_eq!(status(&balancer).retries, 0);
    drop(clients);
    eventually!(at_rest(&balancer));
    assert!(served(address).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_exact_however_many_come_at_once() {
    let hosts = [(greeting("a").await, 7), (greeting("b").await, 5)];
    let (balancer, address) = start(narrow(&hosts));
    let mut clients = JoinSet::new();
    for _ in 0..200 {
        clients.spawn(served(address));
    }
    let clients = clients.join_all().await;
    assert_eq!(clients.iter().flatten().count(), 12);
    assert_eq!(refused(&balancer, "hosts_full"), 188);
    drop(clients);
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn hosts_that_may_take_no_sessions_get_none() {
    let addresses = [
        greeting("a").await,
        greeting("b").await,
        greeting("c").await,
    ];
    let mut topology = topology(&addresses, "");
    let hosts = &mut topology.services[0].groups[0].hosts;
    hosts[0].admin = Admin::Draining;
    hosts[1].weight = 0.try_into().unwrap();
    let (balancer, address) = start(topology.clone());
    for _ in 0..10 {
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(next_words(&mut client).await, "c");
    }
    topology.services[0].groups[0].hosts[2].admin = Admin::Disabled;
    balancer.apply(topology).unwrap();
    assert!(served(address).await.is_none());
    assert_eq!(refused(&balancer, "no_host"), 1);
    eventually!(at_rest(&balancer));
}
