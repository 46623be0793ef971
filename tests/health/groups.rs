//! Groups that stand in for each other, and sessions that are spread again.

use std::{net::SocketAddr, sync::atomic::Ordering::SeqCst, time::Duration};

use pointsman::{control::Balancer, health::report::Health};
use tokio::{net::TcpStream, runtime::Handle};

use crate::{
    eventually,
    hosts::{Heard, Host, health, host, visit},
    sessions::group,
    support::{self, exchange, status},
};

const PROBE: &str =
    "probe = { kind = \"tcp\", interval = \"200ms\", timeout = \"100ms\", fall = 2, rise = 2 }";

/// A service of `blue` and `green`, with one host each, in which green stands in for blue.
fn two_groups(blue: SocketAddr, green: SocketAddr) -> (Balancer, SocketAddr) {
    let named = |name: &str, address: SocketAddr| {
        let name = format!("name = \"{name}\"\n");
        let text = support::group(name.split('"').nth(1).unwrap(), &[address]);
        text.replacen(&name, &format!("{name}{PROBE}\n"), 1)
    };
    let head = "[[service]]\nname = \"web\"\nlisten = [\"127.0.0.1:0\"]\n\
                backup = { group = \"green\", hold = \"400ms\" }\n";
    let text = format!("{head}{}{}", named("blue", blue), named("green", green));
    let balancer = Balancer::start(toml::from_str(&text).unwrap(), Handle::current()).unwrap();
    let address = balancer.addresses(&"web".parse().unwrap())[0];
    (balancer, address)
}

#[tokio::test]
async fn another_group_takes_over_and_gives_back_and_sessions_stay_where_they_are() {
    let (mut blue, green) = (Host::up().await, Host::up().await);
    let (balancer, address) = two_groups(blue.address, green.address);
    let mut heard = Heard::new(&balancer);
    let mut old = TcpStream::connect(address).await.unwrap();
    exchange(&mut old, b"first").await.unwrap();
    assert_eq!(blue.accepted.load(SeqCst), 1);

    blue.kill().await;
    eventually!(heard.has("group.activated", "web/green"));
    let over = heard.find("group.activated", "web/green").unwrap();
    assert_eq!(
        (&over.data["by"], &over.data["from"]),
        (&"failover".into(), &"blue".into())
    );
    assert_eq!(status(&balancer).active.unwrap().as_str(), "green");
    visit(address).await.unwrap();
    let mut new = TcpStream::connect(address).await.unwrap();
    exchange(&mut new, b"second").await.unwrap();
    assert_eq!(green.accepted.load(SeqCst), 2);
    assert!(
        !heard.has("service.exhausted", "web"),
        "{:?}",
        heard.kinds()
    );

    blue.rise();
    eventually!(heard.has("host.up", "web/blue/w1") && health(&balancer, "w1") == Health::Up);
    eventually!(heard.has("group.activated", "web/blue"));
    let back = heard.find("group.activated", "web/blue").unwrap();
    assert_eq!(back.data["by"], "hand-back");
    let before = blue.accepted.load(SeqCst);
    visit(address).await.unwrap();
    assert_eq!(blue.accepted.load(SeqCst), before + 1);
    exchange(&mut old, b"still here").await.unwrap();
    exchange(&mut new, b"still here").await.unwrap();
}

#[tokio::test]
async fn a_group_that_is_made_the_active_one_serves_whoever_stood_in() {
    let (mut blue, green) = (Host::up().await, Host::up().await);
    let (balancer, address) = two_groups(blue.address, green.address);
    let mut heard = Heard::new(&balancer);
    blue.kill().await;
    eventually!(heard.has("group.activated", "web/green"));
    let mut topology = balancer.topology();
    topology.services[0].active = Some("green".parse().unwrap());
    balancer.apply(topology.clone()).unwrap();
    assert_eq!(status(&balancer).active.unwrap().as_str(), "green");
    visit(address).await.unwrap();
    // Green is its own backup now, which does nothing.
    topology.services[0].active = Some("blue".parse().unwrap());
    balancer.apply(topology).unwrap();
    eventually!(status(&balancer).active.unwrap().as_str() == "green");
    visit(address).await.unwrap();
}

#[tokio::test]
async fn lasting_sessions_are_spread_again_when_a_host_is_back_and_no_faster_than_allowed() {
    let mut hosts = [Host::up().await, Host::up().await];
    let addresses = hosts.each_ref().map(|host| host.address);
    let rebalance = "rebalance = { rate = 8, idle = \"0s\", min_age = \"0s\" }";
    let more = format!("scheduler = \"least-connections\"\n{PROBE}");
    let (balancer, address) = group(&addresses, rebalance, &more);
    hosts[1].kill().await;
    eventually!(health(&balancer, "w2") == Health::Down);
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = TcpStream::connect(address).await.unwrap();
        exchange(&mut client, b"hello").await.unwrap();
        clients.push(client);
    }
    assert_eq!(host(&balancer, "w1").sessions.active, 20);
    hosts[1].rise();
    eventually!(health(&balancer, "w2") == Health::Up);
    let began = std::time::Instant::now();
    // Each that is closed comes back, and finds the host that has fewer.
    eventually!({
        for client in &mut clients {
            let mut byte = [0];
            if let Ok(0) = client.try_read(&mut byte) {
                *client = TcpStream::connect(address).await.unwrap();
                exchange(client, b"again").await.unwrap();
            }
        }
        host(&balancer, "w2").sessions.active == 10
    });
    assert!(
        began.elapsed() >= Duration::from_millis(900),
        "ten at eight a second"
    );
    let active = support::settled(|| host(&balancer, "w1").sessions.active).await;
    assert_eq!(active, 10);
}
