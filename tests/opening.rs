//! What a service makes of who has spoken first in its sessions so far.
#![allow(clippy::unwrap_used)]

mod support;

use std::{net::SocketAddr, time::Duration};

use pointsman::control::Balancer;
use support::{balancer, next_words, soon};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Longer than it takes a host to learn of a connection, shorter than any acknowledgement waits.
const MOMENT: Duration = Duration::from_millis(50);
/// How often it is tried to see what a busy machine may hide.
const ATTEMPTS: usize = 10;

/// A service, and its host, after a thousand sessions that the client has begun.
async fn with_a_habit() -> (Balancer, SocketAddr, TcpListener) {
    let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (balancer, address) = balancer(&[host.local_addr().unwrap()], "");
    for _ in 0..1000 {
        let client = TcpStream::connect(address).await.unwrap();
        client_begins(client, &host).await;
    }
    (balancer, address, host)
}

/// The client says hello, and has its answer.
async fn client_begins(mut client: TcpStream, host: &TcpListener) {
    client.write_all(b"hello").await.unwrap();
    let (mut session, _) = soon(host.accept()).await.unwrap();
    assert_eq!(next_words(&mut session).await, "hello");
    session.write_all(b"yes").await.unwrap();
    assert_eq!(next_words(&mut client).await, "yes");
}

/// The host greets a client that says nothing.
async fn host_begins(mut client: TcpStream, mut session: TcpStream) {
    session.write_all(b"welcome").await.unwrap();
    assert_eq!(next_words(&mut client).await, "welcome");
}

#[tokio::test]
async fn where_clients_always_begin_a_host_hears_of_a_session_with_its_first_bytes() {
    let (_balancer, address, host) = with_a_habit().await;
    let mut held = false;
    for _ in 0..ATTEMPTS {
        let client = TcpStream::connect(address).await.unwrap();
        match timeout(MOMENT, host.accept()).await {
            Err(_elapsed) => {
                held = true;
                client_begins(client, &host).await;
                break;
            }
            Ok(session) => drop((session.unwrap(), client)),
        }
    }
    assert!(held, "it heard of each at once");
}

#[tokio::test]
async fn a_host_that_speaks_first_after_all_is_heard_and_later_ones_at_once() {
    let (_balancer, address, host) = with_a_habit().await;
    let client = TcpStream::connect(address).await.unwrap();
    let (session, _) = soon(host.accept()).await.unwrap();
    host_begins(client, session).await;
    let mut at_once = false;
    for _ in 0..ATTEMPTS {
        let client = TcpStream::connect(address).await.unwrap();
        let accepted = timeout(MOMENT, host.accept()).await;
        at_once |= accepted.is_ok();
        let (session, _) = match accepted {
            Ok(accepted) => accepted.unwrap(),
            Err(_elapsed) => soon(host.accept()).await.unwrap(),
        };
        host_begins(client, session).await;
    }
    assert!(at_once, "each acknowledgement was held");
}
