//! Groups that lose all of their hosts, or seem to, and get them back.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use pointsman::health::report::Health;
use tokio::time::sleep;

use crate::{
    eventually,
    hosts::{Heard, Host, health, host, visit},
    sessions::group,
    support::refused,
};

const PROBE: &str =
    "{ kind = \"tcp\", interval = \"300ms\", timeout = \"100ms\", fall = 2, rise = 2 }";

async fn hosts<const N: usize>() -> ([Host; N], [SocketAddr; N]) {
    let mut hosts = Vec::new();
    for _ in 0..N {
        hosts.push(Host::up().await);
    }
    let hosts: [Host; N] = hosts.try_into().ok().unwrap();
    let addresses = hosts.each_ref().map(|host| host.address);
    (hosts, addresses)
}

/// Visitors that come again and again until told to stop.
fn visitors(address: SocketAddr, many: usize) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..many {
        let stop = Arc::clone(&stop);
        tokio::spawn(async move {
            while !stop.load(SeqCst) {
                let _ = visit(address).await;
                sleep(Duration::from_millis(20)).await;
            }
        });
    }
    stop
}

async fn nobody_is_run_over(scheduler: &str) {
    let (mut hosts, addresses) = hosts::<6>().await;
    let more = format!("scheduler = \"{scheduler}\"\nprobe = {PROBE}");
    let (balancer, address) = group(&addresses, "", &more);
    let mut heard = Heard::new(&balancer);
    let stop = visitors(address, 20);
    for host in &mut hosts {
        host.kill().await;
    }
    eventually!(heard.has("service.exhausted", "web"));
    eventually!(refused(&balancer, "no_host") > 0);
    // Hosts that are down accept nobody: all that come from here on are counted.
    let before = hosts.each_ref().map(|host| host.accepted.load(SeqCst));
    for host in &mut hosts {
        host.rise();
    }
    eventually!(heard.has("service.restored", "web"));
    sleep(Duration::from_secs(1)).await;
    let after = hosts.each_ref().map(|host| host.accepted.load(SeqCst));
    stop.store(true, SeqCst);
    let came: Vec<u32> = before
        .iter()
        .zip(after)
        .map(|(before, after)| after - before)
        .collect();
    let fair = f64::from(came.iter().sum::<u32>()) / 6.0;
    assert!(fair >= 20.0, "{came:?}");
    let most = came.iter().max().unwrap();
    assert!(f64::from(*most) <= 2.0 * fair, "{scheduler}: {came:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_hosts_come_back_none_is_run_over_in_turn() {
    nobody_is_run_over("round-robin").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_hosts_come_back_none_is_run_over_by_load() {
    nobody_is_run_over("least-connections").await;
}

#[tokio::test]
async fn with_use_all_sessions_are_sent_to_hosts_that_are_all_down() {
    let (mut hosts, addresses) = hosts::<2>().await;
    let more = format!("probe = {PROBE}\nwhen_all_down = \"use-all\"");
    let (balancer, address) = group(&addresses, "", &more);
    for host in &mut hosts {
        host.kill().await;
    }
    eventually!(
        ["w1", "w2"]
            .iter()
            .all(|name| health(&balancer, name) == Health::Down)
    );
    // The status says so a moment before sessions go by it: the first may try only one host.
    eventually!(
        visit(address).await.is_err()
            && ["w1", "w2"]
                .iter()
                .all(|name| host(&balancer, name).connect_failures > 0)
    );
    assert_eq!(refused(&balancer, "no_host"), 0);
}

/// The hosts take sessions, and only what the probes ask says otherwise.
#[tokio::test]
async fn probes_that_are_wrong_about_too_many_hosts_take_none_out() {
    let (hosts, addresses) = hosts::<3>().await;
    let mut asked = Host::up().await;
    let port = asked.address.port();
    // The port that is probed is somebody else's, on the same addresses.
    let probed = format!("{}, port = {port} }}", PROBE.trim_end_matches(" }"));
    let more = format!("probe = {probed}\npanic = \"50%\"");
    let (balancer, address) = group(&addresses, "", &more);
    let mut heard = Heard::new(&balancer);
    eventually!(heard.has("service.panic", "web"));
    let panic = heard.find("service.panic", "web").unwrap();
    assert_eq!(panic.data["hosts"], 3);
    eventually!(health(&balancer, "w1") == Health::Down);
    for _ in 0..9 {
        visit(address).await.unwrap();
    }
    let used = hosts.iter().filter(|host| host.accepted.load(SeqCst) > 0);
    assert_eq!(used.count(), 3);
    assert!(!heard.has("service.exhausted", "web"));
    asked.kill().await;
}

#[tokio::test]
async fn hosts_that_are_really_gone_leave_at_the_first_session_that_fails() {
    let (mut hosts, addresses) = hosts::<4>().await;
    let more = format!("probe = {PROBE}\npanic = \"50%\"");
    let (balancer, address) = group(&addresses, "retries = 3", &more);
    let mut heard = Heard::new(&balancer);
    eventually!(
        ["w1", "w2", "w3", "w4"]
            .iter()
            .all(|name| health(&balancer, name) == Health::Up)
    );
    for host in &mut hosts[..3] {
        host.kill().await;
    }
    eventually!(heard.has("service.panic", "web"));
    eventually!({
        visit(address).await.unwrap();
        heard.has("service.panic-ended", "web")
    });
    let failures = || ["w1", "w2", "w3"].map(|name| host(&balancer, name).connect_failures);
    let before = failures();
    for _ in 0..20 {
        visit(address).await.unwrap();
    }
    assert_eq!(failures(), before, "only the one that is left is used");
}

#[tokio::test]
async fn a_host_that_comes_back_gets_its_sessions_little_by_little() {
    let (mut hosts, addresses) = hosts::<2>().await;
    let more = format!("probe = {PROBE}\nslow_start = \"1h\"");
    let (balancer, address) = group(&addresses, "", &more);
    let mut heard = Heard::new(&balancer);
    eventually!(health(&balancer, "w1") == Health::Up);
    for _ in 0..100 {
        visit(address).await.unwrap();
    }
    assert_eq!(hosts[0].accepted.load(SeqCst), 50, "not at the start");
    hosts[0].kill().await;
    eventually!(heard.has("host.down", "web/blue/w1"));
    hosts[0].rise();
    eventually!(health(&balancer, "w1") == Health::Up);
    let before = hosts[0].accepted.load(SeqCst);
    for _ in 0..400 {
        visit(address).await.unwrap();
    }
    // A tenth of its half.
    let came = hosts[0].accepted.load(SeqCst) - before;
    assert!((4..=50).contains(&came), "{came}");
}
