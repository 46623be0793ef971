//! The edge of a service: who is let in, who waits, how often, and who is really calling.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use pointsman::{
    control::{Balancer, status::ServiceStatus},
    model::topology::Topology,
};
use support::{echo, exchange, greeting, is_reset, serve, service, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    runtime::Handle,
};

/// A balancer for the topology `text`, and the port that it listens on.
fn started(text: &str) -> (Balancer, SocketAddr) {
    let topology: Topology = toml::from_str(text).unwrap();
    let balancer = Balancer::start(topology, Handle::current()).unwrap();
    let port = balancer.addresses(&"web".parse().unwrap())[0].port();
    (balancer, ([127, 0, 0, 1], port).into())
}

/// A balancer whose service has `keys` and `hosts`, each of which has `host_keys`.
fn balancer(keys: &str, hosts: &[SocketAddr], host_keys: &str) -> (Balancer, SocketAddr) {
    let text = service("web", &["127.0.0.1:0"], hosts, keys);
    started(&text.replace("\naddress", &format!("\n{host_keys}\naddress")))
}

/// A balancer whose group has `keys` and `hosts`.
fn grouping(keys: &str, hosts: &[SocketAddr]) -> (Balancer, SocketAddr) {
    let text = service("web", &["127.0.0.1:0"], hosts, "");
    started(&text.replace("name = \"blue\"", &format!("name = \"blue\"\n{keys}")))
}

fn status(balancer: &Balancer) -> ServiceStatus {
    balancer.status().services.remove(0)
}

fn refused(balancer: &Balancer, reason: &str) -> u64 {
    let refused = status(balancer).refused;
    let found = refused.iter().find(|(name, _)| *name == reason);
    found.unwrap().1
}

async fn from(source: &str, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    socket.connect(address).await.unwrap()
}

async fn is_served(client: &mut TcpStream) -> bool {
    exchange(client, b"hello")
        .await
        .is_ok_and(|answer| answer == b"hello")
}

#[tokio::test]
async fn an_access_rule_resets_whom_it_denies_and_nobody_else() {
    let keys = r#"access = ["allow 127.0.0.2", "deny 127.0.0.0/30", "allow all"]"#;
    let (balancer, address) = balancer(keys, &[echo().await], "");
    for (source, served) in [
        ("127.0.0.1", false),
        ("127.0.0.2", true),
        ("127.0.0.4", true),
    ] {
        let mut client = from(source, address).await;
        assert_eq!(is_served(&mut client).await, served, "{source}");
    }
    assert_eq!(refused(&balancer, "denied"), 1);
}

#[tokio::test]
async fn a_client_has_no_more_sessions_than_it_may_and_others_have_theirs() {
    let (balancer, address) = balancer("limits = { per_client = 2 }", &[echo().await], "");
    let mut two = [
        from("127.0.0.1", address).await,
        from("127.0.0.1", address).await,
    ];
    for client in &mut two {
        assert!(is_served(client).await);
    }
    assert!(is_reset(&mut from("127.0.0.1", address).await).await);
    assert!(is_served(&mut from("127.0.0.2", address).await).await);
    assert_eq!(refused(&balancer, "client_full"), 1);
    drop(two);
    eventually!(status(&balancer).sessions.active == 0);
    assert!(is_served(&mut from("127.0.0.1", address).await).await);
}

#[tokio::test]
async fn connections_beyond_the_rate_are_reset_and_each_client_has_its_own() {
    let rate = "limits = { rate_per_client = { per_second = 1, burst = 3 } }";
    let (balancer, address) = balancer(rate, &[echo().await], "");
    for source in ["127.0.0.1", "127.0.0.2"] {
        for _ in 0..3 {
            assert!(is_served(&mut from(source, address).await).await);
        }
        assert!(is_reset(&mut from(source, address).await).await);
    }
    assert_eq!(refused(&balancer, "client_rate"), 2);
}

#[tokio::test]
async fn connections_of_everybody_together_keep_to_the_rate_of_the_service() {
    let rate = "limits = { rate = { per_second = 1, burst = 3 } }";
    let (balancer, address) = balancer(rate, &[echo().await], "");
    for source in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
        assert!(is_served(&mut from(source, address).await).await);
    }
    assert!(is_reset(&mut from("127.0.0.4", address).await).await);
    assert_eq!(refused(&balancer, "rate"), 1);
}

/// A service with one host that takes one session at a time, and a queue.
async fn queueing(queue: &str) -> (Balancer, SocketAddr) {
    balancer(
        &format!("queue = {queue}"),
        &[echo().await],
        "max_sessions = 1",
    )
}

#[tokio::test]
async fn who_finds_every_host_full_waits_and_is_served_in_order() {
    let (balancer, address) = queueing("{ length = 10 }").await;
    let mut holder = TcpStream::connect(address).await.unwrap();
    assert!(is_served(&mut holder).await);
    let mut waiting = Vec::new();
    for number in 1..=3u32 {
        waiting.push(TcpStream::connect(address).await.unwrap());
        eventually!(status(&balancer).sessions.active == number + 1);
    }
    let mut current = holder;
    for mut next in waiting {
        next.write_all(b"mine").await.unwrap();
        // Nothing comes before the place is free.
        let mut answer = [0; 4];
        let early = tokio::time::timeout(Duration::from_millis(30), next.read(&mut answer)).await;
        assert!(early.is_err());
        drop(current);
        soon(next.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"mine");
        current = next;
    }
    assert_eq!(status(&balancer).queue_time.count, 3);
}

#[tokio::test]
async fn who_does_not_fit_into_the_queue_or_waits_too_long_is_reset() {
    let (balancer, address) = queueing(r#"{ length = 1, timeout = "100ms" }"#).await;
    let mut holder = TcpStream::connect(address).await.unwrap();
    assert!(is_served(&mut holder).await);
    let mut first = TcpStream::connect(address).await.unwrap();
    eventually!(status(&balancer).sessions.active == 2);
    let mut second = TcpStream::connect(address).await.unwrap();
    assert!(is_reset(&mut second).await);
    assert_eq!(refused(&balancer, "hosts_full"), 1);
    assert!(is_reset(&mut first).await);
    assert_eq!(refused(&balancer, "queue_timeout"), 1);
}

#[tokio::test]
async fn who_leaves_the_queue_frees_its_place_at_once() {
    let (balancer, address) = queueing("{ length = 1 }").await;
    let mut holder = TcpStream::connect(address).await.unwrap();
    assert!(is_served(&mut holder).await);
    for with_reset in [true, false] {
        let client = TcpStream::connect(address).await.unwrap();
        eventually!(status(&balancer).sessions.active == 2);
        if with_reset {
            support::reset(client);
        } else {
            drop(client);
        }
        eventually!(status(&balancer).sessions.active == 1);
    }
    assert_eq!(refused(&balancer, "client_left"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_churn_nobody_in_a_queue_of_a_thousand_is_forgotten() {
    let hosts = [echo().await, echo().await];
    let keys = r#"queue = { length = 1000, timeout = "0s" }"#;
    let (balancer, address) = balancer(keys, &hosts, "max_sessions = 4");
    let clients = (0..1000u32).map(|number| {
        tokio::spawn(async move {
            let mut client = TcpStream::connect(address).await.unwrap();
            // Every seventh leaves without having said anything, some while they wait.
            if number % 7 == 0 {
                tokio::time::sleep(Duration::from_millis(u64::from(number % 50))).await;
                return true;
            }
            is_served(&mut client).await
        })
    });
    let clients: Vec<_> = clients.collect();
    for client in clients {
        assert!(soon(client).await.unwrap());
    }
    eventually!(status(&balancer).sessions.active == 0);
    assert_eq!(refused(&balancer, "queue_timeout"), 0);
}

#[tokio::test]
async fn a_host_that_is_added_serves_those_who_wait() {
    let (balancer, address) = queueing("{ length = 1 }").await;
    let mut holder = TcpStream::connect(address).await.unwrap();
    assert!(is_served(&mut holder).await);
    let mut waiting = TcpStream::connect(address).await.unwrap();
    eventually!(status(&balancer).sessions.active == 2);
    let mut more = balancer.topology();
    let group = &mut more.services[0].groups[0];
    let mut host = group.hosts[0].clone();
    host.name = "another".parse().unwrap();
    host.address = echo().await.into();
    group.hosts.push(host);
    balancer.apply(more).unwrap();
    assert!(is_served(&mut waiting).await);
}

/// A host that answers with everything that it has heard when the client has finished.
async fn recorder() -> SocketAddr {
    serve(|mut stream| async move {
        let mut heard = Vec::new();
        if stream.read_to_end(&mut heard).await.is_ok() {
            let _ = stream.write_all(&heard).await;
        }
    })
    .await
}

/// What a host hears when a client connects to `address` and says `words`.
async fn heard(address: SocketAddr, words: &[u8]) -> Vec<u8> {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(words).await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = Vec::new();
    soon(client.read_to_end(&mut heard)).await.unwrap();
    heard
}

const FROM_US: &str = r#"proxy_protocol = { accept_from = ["127.0.0.1"] }"#;

#[tokio::test]
async fn an_announced_client_is_taken_for_the_client_and_the_header_goes_no_further() {
    let keys = format!("{FROM_US}\naccess = [\"deny 10.0.0.66\"]");
    let (balancer, address) = balancer(&keys, &[recorder().await], "");
    let good = b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nhello";
    assert_eq!(heard(address, good).await, b"hello");
    let mut denied = TcpStream::connect(address).await.unwrap();
    let header = b"PROXY TCP4 10.0.0.66 10.0.0.2 1 2\r\nhello";
    denied.write_all(header).await.unwrap();
    assert!(is_reset(&mut denied).await);
    assert_eq!(refused(&balancer, "denied"), 1);
    let mut stranger = from("127.0.0.2", address).await;
    stranger.write_all(good).await.unwrap();
    stranger.shutdown().await.unwrap();
    let mut answer = Vec::new();
    soon(stranger.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, good, "no header is looked for from others");
}

#[tokio::test]
async fn a_header_may_come_byte_by_byte_and_what_follows_is_kept() {
    let (_balancer, address) = balancer(FROM_US, &[echo().await], "");
    let mut client = TcpStream::connect(address).await.unwrap();
    client.set_nodelay(true).unwrap();
    for byte in b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nhel" {
        client.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = [0; 5];
    client.write_all(b"lo").await.unwrap();
    soon(client.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"hello");
}

#[tokio::test]
async fn without_a_proper_header_no_byte_reaches_a_host() {
    let reached = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reached);
    let host = serve(move |_stream| {
        counter.fetch_add(1, SeqCst);
        async {}
    })
    .await;
    let (balancer, address) = balancer(FROM_US, &[host], "");
    let mut long = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".to_vec();
    long.extend([0; 300]);
    let hostile: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 1\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x12\x00\x0c123456789012",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c123456789012",
        &long,
        &[b'P'; 3000],
    ];
    for bytes in hostile {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(bytes).await.unwrap();
        assert!(is_reset(&mut client).await, "{bytes:?}");
    }
    let mut cut = TcpStream::connect(address).await.unwrap();
    cut.write_all(b"PROXY TCP4 10.0.0.1").await.unwrap();
    cut.shutdown().await.unwrap();
    assert!(is_reset(&mut cut).await);
    assert_eq!(refused(&balancer, "unannounced"), 6);
    assert_eq!(refused(&balancer, "client_left"), 1);
    assert_eq!(reached.load(SeqCst), 0);
}

#[tokio::test]
async fn who_is_slow_with_its_header_is_reset_after_five_seconds() {
    let (balancer, address) = balancer(FROM_US, &[echo().await], "");
    let began = Instant::now();
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"PROXY ").await.unwrap();
    assert!(is_reset(&mut client).await);
    assert!(began.elapsed() >= Duration::from_secs(4));
    assert_eq!(refused(&balancer, "unannounced"), 1);
}

fn sending(version: &str, hosts: &[SocketAddr]) -> (Balancer, SocketAddr) {
    grouping(&format!("send_proxy = \"{version}\""), hosts)
}

#[tokio::test]
async fn a_host_is_told_who_the_client_is_before_anything_else() {
    let (_balancer, address) = sending("v1", &[recorder().await]);
    let heard = String::from_utf8(heard(address, b"hello").await).unwrap();
    let port = address.port();
    assert!(
        heard.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "),
        "{heard}"
    );
    assert!(heard.ends_with(&format!(" {port}\r\nhello")), "{heard}");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_announced_all_the_same() {
    let (_balancer, address) = sending("v1", &[greeting("first").await]);
    let mut client = TcpStream::connect(address).await.unwrap();
    let mut answer = [0; 5];
    soon(client.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"first");
}

#[tokio::test]
async fn two_in_a_row_tell_the_host_of_the_first_ones_client() {
    for version in ["v1", "v2"] {
        let (_inner, address) = balancer(
            r#"proxy_protocol = { accept_from = ["127.0.0.0/8"] }
               access = ["allow 127.0.0.7", "deny all"]"#,
            &[echo().await],
            "",
        );
        let (_outer, address) = sending(version, &[address]);
        assert!(is_served(&mut from("127.0.0.7", address).await).await);
        assert!(!is_served(&mut from("127.0.0.8", address).await).await);
    }
}

#[tokio::test]
async fn connections_to_hosts_come_from_the_source_address() {
    let host = serve(|mut stream| async move {
        let peer = stream.peer_addr().unwrap().ip().to_string();
        let _ = stream.write_all(peer.as_bytes()).await;
    })
    .await;
    let (_balancer, address) = grouping("source = \"127.0.0.9\"", &[host]);
    assert_eq!(heard(address, b"").await, b"127.0.0.9");
}

#[tokio::test]
async fn a_connection_may_be_accepted_only_when_its_client_speaks() {
    let (balancer, address) = balancer("tcp = { defer_accept = \"30s\" }", &[echo().await], "");
    let mut client = TcpStream::connect(address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(status(&balancer).accepted, 0);
    assert!(is_served(&mut client).await);
    assert_eq!(status(&balancer).accepted, 1);
}

#[tokio::test]
async fn options_of_a_listener_change_while_it_listens() {
    let (balancer, address) = balancer("tcp = { defer_accept = \"30s\" }", &[echo().await], "");
    let mut now = balancer.topology();
    now.services[0].tcp = Default::default();
    balancer.apply(now).unwrap();
    let _silent = TcpStream::connect(address).await.unwrap();
    eventually!(status(&balancer).accepted == 1);
}

#[tokio::test]
async fn without_v6only_a_listener_on_ipv6_serves_ipv4_too() {
    let keys = "tcp = { v6only = false }\naccess = [\"deny 127.0.0.2\"]";
    let (balancer, address) = started(&service("web", &["[::]:0"], &[echo().await], keys));
    assert!(is_served(&mut from("127.0.0.1", address).await).await);
    assert!(!is_served(&mut from("127.0.0.2", address).await).await);
    let mut now = balancer.topology();
    now.services[0].tcp.v6only = true;
    assert!(balancer.apply(now).is_err());
}
