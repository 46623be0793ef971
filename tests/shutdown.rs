//! How a balancer is shut down: nobody new, time for those who are there, then a reset.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    io::{Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use pointsman::{control::balancer::Shutdown, model::topology::Topology};
use support::{Blackhole, at_rest, balancer, echo, exchange, is_reset, pair, soon, status};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn with_nobody_there_it_ends_at_once() {
    let (balancer, address) = balancer(&[echo().await], "");
    let began = Instant::now();
    assert_eq!(balancer.shut_down(LONG).await, Shutdown { reset: 0 });
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn sessions_may_end_in_their_own_time() {
    let (balancer, mut client, mut host) = pair("").await;
    let address = status(&balancer).listen[0].ip().unwrap();
    let ending = async {
        eventually!(TcpStream::connect(address).await.is_err());
        client.write_all(b"last words").await.unwrap();
        client.shutdown().await.unwrap();
        let mut received = Vec::new();
        soon(host.read_to_end(&mut received)).await.unwrap();
        assert_eq!(received, b"last words");
        drop(host);
        assert!(!is_reset(&mut client).await);
    };
    let (shutdown, ()) = soon(async { tokio::join!(balancer.shut_down(LONG), ending) }).await;
    assert_eq!(shutdown, Shutdown { reset: 0 });
    assert!(at_rest(&balancer));
}

#[tokio::test]
async fn sessions_that_stay_are_reset_when_patience_is_over() {
    let (balancer, mut client, mut host) = pair("").await;
    let began = Instant::now();
    let patience = Duration::from_millis(200);
    let shutdown = soon(balancer.shut_down(patience)).await;
    assert_eq!(shutdown, Shutdown { reset: 1 });
    assert!((patience..Duration::from_secs(1)).contains(&began.elapsed()));
    assert!(is_reset(&mut client).await);
    assert!(is_reset(&mut host).await);
    assert!(at_rest(&balancer));
}

#[tokio::test]
async fn half_closed_sessions_are_reset_as_well() {
    let (balancer, mut client, mut host) = pair("").await;
    client.shutdown().await.unwrap();
    assert_eq!(soon(host.read(&mut [0])).await.unwrap(), 0);
    let shutdown = soon(balancer.shut_down(Duration::ZERO)).await;
    assert_eq!(shutdown, Shutdown { reset: 1 });
    assert!(is_reset(&mut client).await);
    assert!(at_rest(&balancer));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_sessions_each_is_reset() {
    let (balancer, address) = balancer(&[echo().await], "");
    let mut clients = Vec::new();
    for _ in 0..500 {
        let mut client = TcpStream::connect(address).await.unwrap();
        exchange(&mut client, b"hello").await.unwrap();
        clients.push(client);
    }
    let shutdown = soon(balancer.shut_down(Duration::from_millis(50))).await;
    assert_eq!(shutdown, Shutdown { reset: 500 });
    for mut client in clients {
        assert!(is_reset(&mut client).await);
    }
    assert!(at_rest(&balancer));
}

/// Clients whom the kernel has let in while the balancer, whose thread this is, does nothing.
fn let_in(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let connect = |_| {
        let mut client = std::net::TcpStream::connect(address).unwrap();
        client.write_all(b"hello").unwrap();
        client.set_nonblocking(true).unwrap();
        assert!(client.read(&mut [0]).is_err());
        TcpStream::from_std(client).unwrap()
    };
    (0..count).map(connect).collect()
}

async fn serve_out(clients: Vec<TcpStream>) {
    for mut client in clients {
        let mut answer = [0; 5];
        soon(client.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"hello");
    }
}

#[tokio::test]
async fn who_was_let_in_before_is_still_served() {
    let (balancer, address) = balancer(&[echo().await], "");
    let clients = let_in(address, 100);
    let (shutdown, ()) = tokio::join!(balancer.shut_down(LONG), serve_out(clients));
    assert_eq!(shutdown, Shutdown { reset: 0 });
    assert_eq!(status(&balancer).sessions.total, 100);
}

#[tokio::test]
async fn who_was_let_in_before_a_service_was_removed_is_still_waited_for() {
    let (balancer, address) = balancer(&[echo().await], "");
    let clients = let_in(address, 10);
    balancer.apply(Topology::default()).unwrap();
    let patience = Duration::from_millis(200);
    assert_eq!(soon(balancer.shut_down(patience)).await.reset, 10);
    for mut client in clients {
        assert!(is_reset(&mut client).await);
    }
}

#[tokio::test]
async fn sessions_of_a_removed_service_are_waited_for() {
    let (balancer, mut client, _host) = pair("").await;
    balancer.apply(Topology::default()).unwrap();
    let shutdown = soon(balancer.shut_down(Duration::from_millis(50))).await;
    assert_eq!(shutdown, Shutdown { reset: 1 });
    assert!(is_reset(&mut client).await);
}

#[tokio::test]
async fn a_session_that_has_no_host_yet_is_reset_as_well() {
    let hole = Blackhole::open().await;
    let (balancer, address) = balancer(&[hole.address()], "timeouts = { connect = \"60s\" }");
    let mut client = TcpStream::connect(address).await.unwrap();
    eventually!(status(&balancer).sessions.active == 1);
    let shutdown = soon(balancer.shut_down(Duration::ZERO)).await;
    assert_eq!(shutdown, Shutdown { reset: 1 });
    assert!(is_reset(&mut client).await);
    assert!(at_rest(&balancer));
}
