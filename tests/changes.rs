//! What a change of the topology does to listeners, hosts and open sessions.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use pointsman::{control::Balancer, model::topology::Topology};
use proptest::prelude::*;
use support::{
    at_rest, balancer, echo, exchange, greeting, group, next_words, nobody, service, soon, status,
    topology,
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
};

fn parse(text: &str) -> Topology {
    toml::from_str(text).unwrap()
}

fn start(text: &str) -> Balancer {
    Balancer::start(parse(text), Handle::current()).unwrap()
}

fn addresses(balancer: &Balancer, service: &str) -> Vec<SocketAddr> {
    balancer.addresses(&service.parse().unwrap())
}

/// Who answers at `address`; `None` where nobody does.
async fn who(address: SocketAddr) -> Option<String> {
    let mut client = TcpStream::connect(address).await.ok()?;
    Some(next_words(&mut client).await)
}

async fn still_works(client: &mut TcpStream) {
    assert_eq!(exchange(client, b"still").await.unwrap(), b"still");
}

#[tokio::test]
async fn a_listener_that_is_added_accepts_and_one_that_is_removed_does_not() {
    let hosts = [greeting("a").await];
    let one = nobody().await.to_string();
    let two = nobody().await.to_string();
    let balancer = start(&service("web", &[&one], &hosts, ""));
    let mut old = TcpStream::connect(&one).await.unwrap();
    assert_eq!(next_words(&mut old).await, "a");
    balancer
        .apply(parse(&service("web", &[&one, &two], &hosts, "")))
        .unwrap();
    assert_eq!(who(one.parse().unwrap()).await.unwrap(), "a");
    assert_eq!(who(two.parse().unwrap()).await.unwrap(), "a");
    balancer
        .apply(parse(&service("web", &[&two], &hosts, "")))
        .unwrap();
    eventually!(TcpStream::connect(&one).await.is_err());
    assert_eq!(who(two.parse().unwrap()).await.unwrap(), "a");
    still_works(&mut old).await;
}

#[tokio::test]
async fn a_port_of_the_systems_choice_stays_from_change_to_change() {
    let (balancer, address) = balancer(&[greeting("a").await], "");
    balancer
        .apply(topology(&[greeting("b").await], "retries = 1"))
        .unwrap();
    assert_eq!(addresses(&balancer, "web"), [address]);
    assert_eq!(who(address).await.unwrap(), "b");
}

#[tokio::test]
async fn a_bind_that_fails_changes_nothing() {
    let (a, b) = (greeting("a").await, greeting("b").await);
    let free = nobody().await.to_string();
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let (balancer, address) = balancer(&[a], "");
    let before = balancer.topology();
    let next = service("web", &["127.0.0.1:0", &free, &taken], &[b], "");
    let error = balancer.apply(parse(&next)).unwrap_err().to_string();
    assert!(error.contains(&taken) && error.contains("web"), "{error}");
    assert_eq!(balancer.topology(), before);
    assert_eq!(addresses(&balancer, "web"), [address]);
    assert_eq!(who(address).await.unwrap(), "a");
    assert!(TcpStream::connect(&free).await.is_err());
}

#[tokio::test]
async fn a_topology_that_contradicts_itself_changes_nothing() {
    let (balancer, address) = balancer(&[greeting("a").await], "");
    let before = balancer.topology();
    let twice = topology(&[greeting("b").await], "").services[0].clone();
    let services = vec![twice.clone(), twice];
    assert!(balancer.apply(Topology { services }).is_err());
    assert_eq!(balancer.topology(), before);
    assert_eq!(who(address).await.unwrap(), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_moves_from_service_to_service_without_refusing_anybody() {
    let (a, b) = ([greeting("a").await], [greeting("b").await]);
    let shared = nobody().await;
    let (here, own) = (shared.to_string(), "127.0.0.1:0");
    let layout =
        |x: &[&str], y: &[&str]| parse(&(service("x", x, &a, "") + &service("y", y, &b, "")));
    let of_x = layout(&[own, &here], &[own]);
    let of_y = layout(&[own], &[own, &here]);
    let balancer = Balancer::start(of_x.clone(), Handle::current()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let calling = tokio::spawn(async move {
        let mut heard = 0;
        while !stopped.load(Relaxed) {
            let name = who(shared).await.expect("somebody answers");
            assert!(name == "a" || name == "b", "{name:?}");
            heard += 1;
        }
        heard
    });
    for _ in 0..50 {
        balancer.apply(of_y.clone()).unwrap();
        assert_eq!(who(shared).await.unwrap().len(), 1);
        balancer.apply(of_x.clone()).unwrap();
    }
    balancer.apply(of_y).unwrap();
    eventually!(who(shared).await.unwrap() == "b");
    stop.store(true, Relaxed);
    assert!(soon(calling).await.unwrap() > 0);
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn activating_another_group_concerns_new_sessions_only() {
    let groups = group("green", &[greeting("b").await]);
    let text = service("web", &["127.0.0.1:0"], &[greeting("a").await], "") + &groups;
    let balancer = start(&text);
    let address = addresses(&balancer, "web")[0];
    let mut old = TcpStream::connect(address).await.unwrap();
    assert_eq!(next_words(&mut old).await, "a");
    let mut next = balancer.topology();
    next.services[0].active = Some("green".parse().unwrap());
    balancer.apply(next).unwrap();
    assert_eq!(who(address).await.unwrap(), "b");
    still_works(&mut old).await;
    let blue = &status(&balancer).groups[0].hosts[0];
    assert_eq!((blue.sessions.active, blue.sessions.total), (1, 1));
    drop(old);
    eventually!(at_rest(&balancer));
}

#[tokio::test]
async fn sessions_outlive_their_host_and_their_service() {
    let (balancer, address) = balancer(&[echo().await], "");
    let mut client = TcpStream::connect(address).await.unwrap();
    still_works(&mut client).await;
    balancer
        .apply(topology(&[greeting("b").await], ""))
        .unwrap();
    assert_eq!(who(address).await.unwrap(), "b");
    still_works(&mut client).await;
    balancer.apply(Topology::default()).unwrap();
    still_works(&mut client).await;
    eventually!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_host_that_stays_keeps_its_counters_and_one_that_moves_does_not() {
    let (stays, moves) = (echo().await, echo().await);
    let (balancer, address) = balancer(&[stays, moves], "");
    let totals = || {
        let status = status(&balancer);
        let hosts = status.groups[0].hosts.iter();
        hosts.map(|host| host.sessions.total).collect::<Vec<_>>()
    };
    for _ in 0..4 {
        still_works(&mut TcpStream::connect(address).await.unwrap()).await;
    }
    assert_eq!(totals(), [2, 2]);
    balancer
        .apply(topology(&[stays, echo().await], "retries = 5"))
        .unwrap();
    assert_eq!(totals(), [2, 0]);
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Call,
    Leave(usize),
    Apply {
        hosts: Vec<usize>,
        green: bool,
        sessions: u8,
    },
    Remove,
}

fn step() -> impl Strategy<Value = Step> {
    let hosts = proptest::sample::subsequence(vec![0, 1, 2, 3], 0..=4);
    let apply = (hosts, any::<bool>(), 1..20_u8);
    prop_oneof![
        5 => Just(Step::Call),
        2 => any::<usize>().prop_map(Step::Leave),
        3 => apply.prop_map(|(hosts, green, sessions)| Step::Apply { hosts, green, sessions }),
        1 => Just(Step::Remove),
    ]
}

async fn live_through(steps: Vec<Step>) {
    let mut hosts = Vec::new();
    for name in ["a", "b", "c"] {
        hosts.push(greeting(name).await);
    }
    hosts.push(nobody().await);
    let listen = nobody().await.to_string();
    let balancer = start(&service("web", &[&listen], &hosts, ""));
    let mut clients = Vec::new();
    for step in steps {
        match step {
            Step::Call => clients.extend(TcpStream::connect(&listen).await.ok()),
            Step::Leave(_) if clients.is_empty() => {}
            Step::Leave(which) => drop(clients.swap_remove(which % clients.len())),
            Step::Apply {
                hosts: chosen,
                green,
                sessions,
            } => {
                let chosen: Vec<SocketAddr> = chosen.iter().map(|index| hosts[*index]).collect();
                let active = if green { "green" } else { "blue" };
                let more = format!("active = \"{active}\"\nlimits = {{ sessions = {sessions} }}");
                let text = service("web", &[&listen], &chosen, &more);
                let next = parse(&(text + &group("green", &hosts)));
                balancer.apply(next).unwrap();
            }
            Step::Remove => balancer.apply(Topology::default()).unwrap(),
        }
    }
    let last = parse(&service("web", &[&listen], &hosts, ""));
    balancer.apply(last).unwrap();
    drop(clients);
    eventually!(at_rest(&balancer));
    let left = balancer.shut_down(std::time::Duration::from_secs(5)).await;
    assert_eq!(left.reset, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_changes_with_sessions_open_nothing_is_counted_when_all_have_ended(
        steps in proptest::collection::vec(step(), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live_through(steps));
    }
}
