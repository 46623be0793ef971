//! What clients see while hosts fail: nothing.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use pointsman::health::report::Health;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    eventually,
    hosts::{Heard, Host, health, host, visit, visit_polite},
    support::balancer,
};

const PROBE: &str =
    "{ kind = \"tcp\", interval = \"200ms\", timeout = \"100ms\", fall = 3, rise = 2 }";

/// A balancer of hosts `w1`, `w2` … in a group with `more` keys.
pub fn group(
    hosts: &[SocketAddr],
    service: &str,
    more: &str,
) -> (pointsman::control::Balancer, SocketAddr) {
    let group = crate::support::group("blue", hosts);
    let group = group.replacen(
        "name = \"blue\"\n",
        &format!("name = \"blue\"\n{more}\n"),
        1,
    );
    let text =
        format!("[[service]]\nname = \"web\"\nlisten = [\"127.0.0.1:0\"]\n{service}\n{group}");
    let topology = toml::from_str(&text).unwrap();
    let runtime = tokio::runtime::Handle::current();
    let balancer = pointsman::control::Balancer::start(topology, runtime).unwrap();
    let address = balancer.addresses(&"web".parse().unwrap())[0];
    (balancer, address)
}

/// How many clients of a crowd are there at once, at most.
const AT_ONCE: usize = 400;

/// Clients that come at a fixed rate until told to stop; how many failed.
struct Crowd {
    stop: Arc<AtomicBool>,
    came: Arc<AtomicU32>,
    failed: Arc<AtomicU32>,
    coming: tokio::task::JoinHandle<()>,
}

impl Crowd {
    fn come(address: SocketAddr, per_second: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (came, failed) = (Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
        let (stopped, counted, lost) = (stop.clone(), came.clone(), failed.clone());
        let coming = tokio::spawn(async move {
            let tick = Duration::from_millis(10);
            let mut ticks = interval(tick);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut visits = tokio::task::JoinSet::new();
            while !stopped.load(SeqCst) {
                ticks.tick().await;
                for _ in 0..per_second / 100 {
                    // A machine that cannot do it at this rate does it at its own.
                    if visits.len() >= AT_ONCE {
                        break;
                    }
                    let (counted, lost) = (counted.clone(), lost.clone());
                    visits.spawn(async move {
                        let answer = visit_polite(address).await;
                        counted.fetch_add(1, SeqCst);
                        if let Err(error) = answer {
                            eprintln!("a client saw: {error}");
                            lost.fetch_add(1, SeqCst);
                        }
                    });
                }
                while visits.try_join_next().is_some() {}
            }
            visits.join_all().await;
        });
        Self {
            stop,
            came,
            failed,
            coming,
        }
    }

    /// How many came and how many failed.
    async fn leave(self) -> (u32, u32) {
        self.stop.store(true, SeqCst);
        self.coming.await.unwrap();
        (self.came.load(SeqCst), self.failed.load(SeqCst))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_notices_a_host_that_is_killed_under_load() {
    let mut hosts = [Host::up().await, Host::up().await, Host::up().await];
    // What a client has said to a host that is killed with it may have been heard, and no balancer
    // can say it to another one. So here the hosts speak first.
    hosts
        .iter()
        .for_each(|host| host.greets.store(true, SeqCst));
    let addresses = hosts.each_ref().map(|host| host.address);
    let (balancer, address) = group(&addresses, "", &format!("probe = {PROBE}"));
    let mut heard = Heard::new(&balancer);
    eventually!(
        ["w1", "w2", "w3"]
            .iter()
            .all(|name| health(&balancer, name) == Health::Up)
    );
    let (crowd, began) = (Crowd::come(address, 2000), Instant::now());
    tokio::time::sleep(Duration::from_millis(500)).await;
    hosts[1].crash().await;
    let (killed, before) = (Instant::now(), crowd.came.load(SeqCst));
    eventually!(heard.has("host.down", "web/blue/w2"));
    let took = killed.elapsed();
    // The interval and a tenth, as often as it takes to fall, and the time that a probe may take.
    let promised = Duration::from_millis(3 * 220 + 100);
    assert!(took <= promised + Duration::from_secs(1), "{took:?}");
    // Who had picked it just before may still be on the way.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let failures = host(&balancer, "w2").connect_failures;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        host(&balancer, "w2").connect_failures,
        failures,
        "it is not tried any more"
    );
    hosts[1].rise();
    eventually!(heard.has("host.up", "web/blue/w2") && health(&balancer, "w2") == Health::Up);
    // So many more come while a host is missing and after it, on a machine that has time for it.
    eventually!(crowd.came.load(SeqCst) >= before + 2000);
    let lasted = began.elapsed();
    let (came, failed) = crowd.leave().await;
    assert_eq!(failed, 0, "of {came}");
    let rate = f64::from(came) / lasted.as_secs_f64();
    println!("{came} clients, {rate:.0} a second; told after {took:?} of {promised:?}");
    // Without optimization a busy machine does not get as far.
    let least = if cfg!(debug_assertions) {
        100.0
    } else {
        1900.0
    };
    assert!(rate >= least, "only {rate:.0} a second came");
    let down = heard.find("host.down", "web/blue/w2").unwrap();
    assert_eq!(down.data["by"], "probe");
    assert_eq!(
        (&down.data["hosts_up"], &down.data["hosts"]),
        (&2.into(), &3.into())
    );
    assert!(
        down.data["reason"].as_str().unwrap().contains("refused"),
        "{down:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_resets_every_second_session_is_ejected_until_it_stops() {
    let hosts = [Host::up().await, Host::up().await];
    let addresses = hosts.each_ref().map(|host| host.address);
    let outlier =
        "outlier = { failures = 3, window = \"5s\", eject = \"300ms\", max_eject = \"1s\" }";
    let more = format!("probe = {PROBE}\n{outlier}");
    let (balancer, address) = group(&addresses, "", &more);
    let mut heard = Heard::new(&balancer);
    hosts[0].flaky.store(true, SeqCst);
    let mut resets = 0;
    while health(&balancer, "w1") != Health::Ejected {
        resets += u32::from(visit(address).await.is_err());
        assert!(resets < 100, "it is never ejected");
    }
    assert!((3..=50).contains(&resets), "{resets}");
    let ejected = heard.find("host.ejected", "web/blue/w1").unwrap();
    assert_eq!(ejected.data["by"], "outlier");
    assert_eq!(host(&balancer, "w1").early_resets, u64::from(resets));
    // The probes pass all the while: they alone do not bring it back before its time.
    hosts[0].flaky.store(false, SeqCst);
    for _ in 0..10 {
        visit(address).await.unwrap();
    }
    eventually!(heard.has("host.readmitted", "web/blue/w1"));
    assert_eq!(
        heard.find("host.readmitted", "web/blue/w1").unwrap().data["by"],
        "probe"
    );
    let before = hosts[0].accepted.load(SeqCst);
    for _ in 0..10 {
        visit(address).await.unwrap();
    }
    assert!(hosts[0].accepted.load(SeqCst) > before);
}

#[tokio::test]
async fn a_host_that_refuses_sessions_is_ejected_though_nobody_probes_it() {
    let (mut hosts, outlier) = ([Host::up().await, Host::up().await], "outlier = {}");
    let addresses = hosts.each_ref().map(|host| host.address);
    let (balancer, address) = group(&addresses, "", outlier);
    hosts[0].kill().await;
    for _ in 0..20 {
        visit(address).await.unwrap();
    }
    eventually!(health(&balancer, "w1") == Health::Ejected);
    assert_eq!(health(&balancer, "w2"), Health::Unknown);
    let failures = host(&balancer, "w1").connect_failures;
    for _ in 0..20 {
        visit(address).await.unwrap();
    }
    assert_eq!(host(&balancer, "w1").connect_failures, failures);
}

#[tokio::test]
async fn sessions_that_are_open_stay_on_a_host_that_goes_down() {
    use tokio::{io::AsyncWriteExt, net::TcpStream};
    let mut hosts = [Host::up().await];
    let (balancer, address) = group(&[hosts[0].address], "", &format!("probe = {PROBE}"));
    let mut client = TcpStream::connect(address).await.unwrap();
    let answer = crate::support::exchange(&mut client, b"hello").await;
    assert_eq!(answer.unwrap(), b"hello");
    hosts[0].kill().await;
    eventually!(health(&balancer, "w1") == Health::Down);
    let answer = crate::support::exchange(&mut client, b"still there").await;
    assert_eq!(answer.unwrap(), b"still there");
    client.shutdown().await.unwrap();
}

#[tokio::test]
async fn nothing_is_probed_or_told_where_nothing_is_wanted() {
    let host = Host::down().await;
    let (balancer, _) = balancer(&[host.address], "");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(health(&balancer, "w1"), Health::Unknown);
    assert_eq!(balancer.take_events(), []);
}
