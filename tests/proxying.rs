//! What happens to the bytes of a session.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;

use pointsman::{control::Balancer, proxy::threads::DataThreads};
use rustix::net::{SendFlags, send};
use support::{
    at_rest, balancer, echo, exchange, greeting, next_words, pair, pattern, service, silent, soon,
    status,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_echoed_through_half_close_comes_back_whole() {
    let (_balancer, address) = balancer(&[echo().await], "");
    let mut sent = vec![0; 32 << 20];
    for (index, byte) in sent.iter_mut().enumerate() {
        *byte = (index * 31 % 251) as u8;
    }
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    soon(read.read_to_end(&mut received)).await.unwrap();
    soon(writing).await.unwrap();
    assert!(
        received == expected,
        "{} bytes came back, not the same",
        received.len()
    );
}

#[tokio::test]
async fn a_service_listens_on_many_addresses_of_both_families() {
    let listen = ["127.0.0.1:0", "[::1]:0", "127.0.0.2:0"];
    let topology = service("web", &listen, &[echo().await], "");
    let balancer = Balancer::start(toml::from_str(&topology).unwrap(), Handle::current()).unwrap();
    let addresses = balancer.addresses(&"web".parse().unwrap());
    assert_eq!(addresses.len(), 3);
    for (address, asked) in addresses.into_iter().zip(listen) {
        let asked: SocketAddr = asked.parse().unwrap();
        assert_eq!(address.ip(), asked.ip());
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    }
    assert_eq!(status(&balancer).sessions.total, 3);
}

#[tokio::test]
async fn a_service_may_ask_for_several_ports_of_the_systems_choice() {
    let listen = ["127.0.0.1:0", "127.0.0.1:0"];
    let topology = service("web", &listen, &[echo().await], "");
    let balancer = Balancer::start(toml::from_str(&topology).unwrap(), Handle::current()).unwrap();
    let addresses = balancer.addresses(&"web".parse().unwrap());
    assert_ne!(addresses[0], addresses[1]);
    for address in addresses {
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    }
}

#[tokio::test]
async fn hosts_are_reached_over_ipv6_as_well() {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let (_balancer, address) = balancer(&[listener.local_addr().unwrap()], "");
    let mut client = TcpStream::connect(address).await.unwrap();
    let (mut host, _) = soon(listener.accept()).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    assert_eq!(next_words(&mut host).await, "hello");
}

#[tokio::test]
async fn a_host_may_speak_first() {
    let (_balancer, address) = balancer(&[greeting("welcome").await], "");
    let mut client = TcpStream::connect(address).await.unwrap();
    assert_eq!(next_words(&mut client).await, "welcome");
}

#[tokio::test]
async fn messages_of_every_size_come_through_as_they_are() {
    let (_balancer, address) = balancer(&[echo().await], "");
    let mut client = TcpStream::connect(address).await.unwrap();
    for shift in 0..18 {
        for length in [(1 << shift) - 1, 1 << shift, (1 << shift) + 1] {
            let message = pattern(length, length as u64);
            let answer = exchange(&mut client, &message).await.unwrap();
            assert!(answer == message, "{length} bytes");
        }
    }
}

/// Reads `expected` in small sips, giving way to others after each.
async fn sip(mut from: impl AsyncRead + Unpin, expected: &[u8]) {
    let mut received = Vec::with_capacity(expected.len());
    let mut buffer = vec![0; 10_007];
    while received.len() < expected.len() {
        let read = soon(from.read(&mut buffer)).await.unwrap();
        assert!(read > 0, "only {} bytes came", received.len());
        received.extend_from_slice(&buffer[..read]);
        tokio::task::yield_now().await;
    }
    assert!(received == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_both_ways_at_once_past_slow_readers_stays_intact() {
    let (balancer, client, host) = pair("").await;
    let (up, down) = (pattern(24 << 20, 1), pattern(16 << 20, 2));
    let ((client_read, mut client_write), (host_read, mut host_write)) =
        (client.into_split(), host.into_split());
    let (to_host, to_client) = (up.clone(), down.clone());
    let sending_up = tokio::spawn(async move { client_write.write_all(&to_host).await });
    let sending_down = tokio::spawn(async move { host_write.write_all(&to_client).await });
    tokio::join!(sip(host_read, &up), sip(client_read, &down));
    soon(sending_up).await.unwrap().unwrap();
    soon(sending_down).await.unwrap().unwrap();
    eventually!(at_rest(&balancer));
    let bytes = status(&balancer).bytes;
    assert_eq!(bytes.to_host, up.len() as u64);
    assert_eq!(bytes.to_client, down.len() as u64);
}

#[tokio::test]
async fn many_small_pieces_behind_bulk_all_arrive_without_more_to_push_them() {
    let (_balancer, mut client, mut host) = pair("").await;
    let bulk = pattern(1 << 20, 4);
    let sending = async { host.write_all(&bulk).await.unwrap() };
    tokio::join!(sending, sip(&mut client, &bulk));
    // What goes elsewhere in between keeps the kernel from joining neighbours in its memory, as
    // packets from a network card are not joined: each takes up a place in a pipe. And nothing
    // is awaited, so that the balancer finds them all there at once.
    let elsewhere = TcpStream::connect(silent().await).await.unwrap();
    let pieces = pattern(400 * 100, 5);
    for piece in pieces.chunks(100) {
        for to in [&host, &elsewhere] {
            assert_eq!(send(to, piece, SendFlags::MORE).unwrap(), piece.len());
        }
    }
    host.set_nodelay(true).unwrap();
    sip(&mut client, &pieces).await;
}

/// How often the threads of this process that carry sessions have gone to sleep.
fn sleeps_of_data_threads() -> Vec<u64> {
    let mut sleeps: Vec<(String, u64)> = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| {
            let task = task.unwrap().path();
            let name = std::fs::read_to_string(task.join("comm")).ok()?;
            let status = std::fs::read_to_string(task.join("status")).ok()?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            Some((name, line.trim().parse().unwrap()))
        })
        .filter(|(name, _)| name.starts_with("data-"))
        .collect();
    sleeps.sort();
    sleeps.into_iter().map(|(_, sleeps)| sleeps).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_threads_serve_one_listener_at_rest_and_share_what_comes_at_once() {
    let topology = service("web", &["127.0.0.1:0"], &[echo().await], "");
    let data = DataThreads::start(2, false).unwrap();
    let probes = Handle::current();
    let topology = toml::from_str(&topology).unwrap();
    let balancer = Balancer::start_on(data.lanes(), u32::MAX, &probes, topology).unwrap();
    let address = balancer.addresses(&"web".parse().unwrap())[0];
    let one = async || {
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    };
    // Who wins is chance: by the end of these one of the two has most likely stepped back, and
    // whether it has or not, each is served.
    for _ in 0..200 {
        one().await;
    }
    let clients: Vec<_> = (0..200)
        .map(|_| {
            tokio::spawn(async move {
                let mut client = TcpStream::connect(address).await.unwrap();
                assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
                client
            })
        })
        .collect();
    let mut open = Vec::new();
    for client in clients {
        open.push(soon(client).await.unwrap());
    }
    assert_eq!(status(&balancer).sessions.active, 200);
    let before = sleeps_of_data_threads();
    for client in &mut open {
        assert_eq!(exchange(client, b"again").await.unwrap(), b"again");
    }
    let after = sleeps_of_data_threads();
    for (before, after) in before.iter().zip(&after) {
        assert!(after - before > 10, "{before} {after}: one has them all");
    }
}
