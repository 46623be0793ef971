//! Hosts by name: where sessions go, and what happens when the name leads elsewhere or nowhere.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use pointsman::{control::Balancer, discovery::dns::Resolver};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
};

use super::{
    name_server::{Manner, NameServer},
    support::{at_rest, is_reset, next_words, refused, soon, status},
};
use crate::eventually;

/// Hosts at 127.0.0.x, one for each of `last`, all on one port, which say x to whoever comes and
/// then echo; and that port.
async fn hosts(last: &[u8]) -> u16 {
    'port: loop {
        let first = TcpListener::bind((Ipv4Addr::new(127, 0, 0, last[0]), 0));
        let first = first.await.unwrap();
        let port = first.local_addr().unwrap().port();
        let mut listeners = vec![(last[0], first)];
        for last in &last[1..] {
            let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, *last), port));
            match TcpListener::bind(address).await {
                Ok(listener) => listeners.push((*last, listener)),
                Err(_) => continue 'port,
            }
        }
        for (last, listener) in listeners {
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let _ = stream.write_all(last.to_string().as_bytes()).await;
                        let (mut read, mut write) = stream.split();
                        let _ = tokio::io::copy(&mut read, &mut write).await;
                    });
                }
            });
        }
        return port;
    }
}

/// A balancer of the one host `name`, in a group with `keys`, that asks `server`.
fn balancer(server: &NameServer, name: &str, keys: &str) -> (Balancer, SocketAddr) {
    let text = format!(
        "[[service]]\nname = \"web\"\nlisten = [\"127.0.0.1:0\"]\n[[service.group]]\n\
         name = \"blue\"\n{keys}\nhost = [{{ name = \"w1\", address = \"{name}\" }}]\n"
    );
    let balancer = Balancer::start(Default::default(), Handle::current()).unwrap();
    balancer.resolve_by(Resolver::asking(vec![server.address]));
    balancer.apply(toml::from_str(&text).unwrap()).unwrap();
    let address = balancer.addresses(&"web".parse().unwrap())[0];
    (balancer, address)
}

fn leads_to(balancer: &Balancer) -> Vec<String> {
    let host = &status(balancer).groups[0].hosts[0];
    host.leads_to.iter().map(ToString::to_string).collect()
}

/// Which host a new session gets.
async fn served_by(address: SocketAddr) -> String {
    next_words(&mut TcpStream::connect(address).await.unwrap()).await
}

fn events(balancer: &Balancer) -> Vec<(String, serde_json::Value)> {
    let events = balancer.take_events().into_iter();
    events
        .map(|event| (event.kind.to_string(), event.data))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_new_sessions_follow_a_name_within_its_time_to_live_and_old_ones_stay() {
    let port = hosts(&[11, 12]).await;
    let server = NameServer::start();
    server.say("app.test", &[11], 1);
    let (balancer, address) = balancer(&server, &format!("app.test:{port}"), "");
    eventually!(leads_to(&balancer) == [format!("127.0.0.11:{port}")]);
    let mut lasting = TcpStream::connect(address).await.unwrap();
    assert_eq!(next_words(&mut lasting).await, "11");

    let (stop, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let load = (0..8).map(|_| {
        let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
        tokio::spawn(async move {
            let mut newest = Vec::new();
            while !stop.load(SeqCst) {
                newest.push((Instant::now(), served_by(address).await));
                served.fetch_add(1, SeqCst);
            }
            newest
        })
    });
    let load: Vec<_> = load.collect();
    eventually!(served.load(SeqCst) > 100);
    let changed = Instant::now();
    server.say("app.test", &[12], 1);
    eventually!(leads_to(&balancer) == [format!("127.0.0.12:{port}")]);
    let (followed, so_far) = (Instant::now(), served.load(SeqCst));
    assert!(
        followed - changed < Duration::from_secs(3),
        "a second, and some"
    );
    eventually!(served.load(SeqCst) > so_far + 100);
    stop.store(true, SeqCst);
    let (mut before, mut after) = (0, 0);
    for client in load {
        for (began, host) in soon(client).await.unwrap() {
            if began < changed {
                assert_eq!(host, "11");
                before += 1;
            } else if began > followed {
                assert_eq!(host, "12");
                after += 1;
            }
        }
    }
    assert!(before >= 80 && after >= 80, "{before}, {after}");
    assert_eq!(refused(&balancer, "connect_failed"), 0);
    lasting.write_all(b"still").await.unwrap();
    assert_eq!(next_words(&mut lasting).await, "still");
    let told = events(&balancer);
    let told: Vec<_> = told
        .iter()
        .filter(|(kind, _)| kind == "host.resolved")
        .collect();
    assert_eq!(told.len(), 2);
    assert_eq!(told[1].1["addresses"][0], "127.0.0.12");
    assert_eq!(told[1].1["before"][0], "127.0.0.11");
}

#[tokio::test]
async fn a_dead_resolver_changes_nothing_and_neither_does_a_name_that_is_gone() {
    let port = hosts(&[13]).await;
    let server = NameServer::start();
    server.say("app.test", &[13], 1);
    let (balancer, address) = balancer(&server, &format!("app.test:{port}"), "");
    eventually!(!leads_to(&balancer).is_empty());
    events(&balancer);
    server.forget("app.test");
    eventually!(
        !status(&balancer).groups[0].hosts[0]
            .health
            .outlook
            .is_empty()
    );
    let told = events(&balancer);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, "host.unresolved");
    assert_eq!(told[0].1["addresses"][0], "127.0.0.13");
    server.be_deaf(true);
    let asked = server.questions.load(SeqCst);
    eventually!(server.questions.load(SeqCst) > asked);
    assert_eq!(served_by(address).await, "13");
    // Nor does a change of something else.
    let mut next = balancer.topology();
    next.services[0].groups[0].hosts[0].weight = 7.try_into().unwrap();
    balancer.apply(next).unwrap();
    assert_eq!(served_by(address).await, "13");
    server.say("app.test", &[13], 1);
    server.be_deaf(false);
    eventually!(
        status(&balancer).groups[0].hosts[0]
            .health
            .outlook
            .is_empty()
    );
    assert_eq!(events(&balancer)[0].0, "host.resolved");
}

#[tokio::test]
async fn a_host_that_is_not_resolved_yet_takes_no_sessions_and_says_why() {
    let port = hosts(&[14]).await;
    let server = NameServer::start();
    let (balancer, address) = balancer(&server, &format!("App.Test:{port}"), "");
    let reason = || status(&balancer).groups[0].hosts[0].health.reason.clone();
    assert_eq!(reason(), "its name has not been resolved yet");
    eventually!(reason().contains("cannot resolve app.test"));
    assert!(is_reset(&mut TcpStream::connect(address).await.unwrap()).await);
    assert_eq!(refused(&balancer, "no_host"), 1);
    server.say("app.test", &[14], 60);
    eventually!(!leads_to(&balancer).is_empty());
    assert_eq!(served_by(address).await, "14");
    // Another host of that name needs no answer of its own.
    server.be_deaf(true);
    let mut next = balancer.topology();
    let mut another = next.services[0].groups[0].hosts[0].clone();
    another.name = "w2".parse().unwrap();
    next.services[0].groups[0].hosts = vec![another];
    balancer.apply(next).unwrap();
    assert_eq!(served_by(address).await, "14");
}

#[tokio::test]
async fn the_addresses_of_a_name_are_tried_in_turn_and_probes_do_so_too() {
    let port = hosts(&[17]).await;
    let server = NameServer::start();
    server.say("app.test", &[15, 16, 17], 60);
    let probe = "probe = { kind = \"tcp\", interval = \"100ms\", timeout = \"100ms\" }";
    for keys in ["", probe] {
        let (balancer, address) = balancer(&server, &format!("app.test:{port}"), keys);
        eventually!(leads_to(&balancer).len() == 3);
        assert_eq!(served_by(address).await, "17");
        eventually!(leads_to(&balancer)[0] == format!("127.0.0.17:{port}"));
        let host = status(&balancer).groups[0].hosts[0].clone();
        assert_eq!(host.connect_failures, 0, "the host did not fail");
        eventually!(at_rest(&balancer));
    }
}

#[tokio::test]
async fn who_waits_in_the_queue_is_served_when_the_name_is_resolved_and_the_place_is_free() {
    let port = hosts(&[18]).await;
    let server = NameServer::start();
    server.say("app.test", &[18], 1);
    let (balancer, address) = balancer(&server, &format!("app.test:{port}"), "");
    eventually!(!leads_to(&balancer).is_empty());
    let mut next = balancer.topology();
    next.services[0].queue = serde_json::from_value(serde_json::json!({"length": 5})).unwrap();
    next.services[0].groups[0].hosts[0].max_sessions = Some(1.try_into().unwrap());
    balancer.apply(next).unwrap();
    let mut holder = TcpStream::connect(address).await.unwrap();
    assert_eq!(next_words(&mut holder).await, "18");
    let mut waits = TcpStream::connect(address).await.unwrap();
    eventually!(status(&balancer).queued == 1);
    drop(holder);
    assert_eq!(next_words(&mut waits).await, "18");
    let mut end = Vec::new();
    waits.shutdown().await.unwrap();
    soon(waits.read_to_end(&mut end)).await.unwrap();
}

#[tokio::test]
async fn of_a_service_whose_names_are_on_their_way_nothing_is_told_and_of_lost_ones_it_is() {
    let port = hosts(&[19]).await;
    let server = NameServer::start();
    server.say("app.test", &[19], 60);
    let (found, _) = balancer(&server, &format!("app.test:{port}"), "");
    eventually!(!leads_to(&found).is_empty());
    let told = |balancer: &Balancer| {
        let kinds = events(balancer).into_iter().map(|(kind, _)| kind);
        kinds.collect::<Vec<_>>()
    };
    // The first look at a service comes after it was told where its hosts are.
    let mut next = found.topology();
    next.services[0].groups[0].hosts[0].admin = serde_json::from_value("disabled".into()).unwrap();
    found.apply(next.clone()).unwrap();
    let mut heard = Vec::new();
    eventually!({
        heard.extend(told(&found));
        heard.len() == 2
    });
    assert_eq!(heard, ["host.resolved", "service.exhausted"]);

    server.forget("app.test");
    let (lost, _) = balancer(&server, &format!("app.test:{port}"), "");
    let mut heard = Vec::new();
    eventually!({
        heard.extend(told(&lost));
        heard.len() == 2
    });
    assert_eq!(heard, ["host.unresolved", "service.exhausted"]);
    server.say("app.test", &[19], 60);
    eventually!({
        heard.extend(told(&lost));
        heard.len() == 4
    });
    heard[2..].sort();
    assert_eq!(heard[2..], ["host.resolved", "service.restored"]);
}

#[tokio::test]
async fn a_name_that_leads_to_the_service_itself_is_passed_over_and_says_so() {
    let port = hosts(&[21]).await;
    let server = NameServer::start();
    server.say("app.test", &[21], 1);
    let (balancer, address) = balancer(&server, &format!("app.test:{port}"), "");
    eventually!(!leads_to(&balancer).is_empty());
    let mut next = balancer.topology();
    next.services[0]
        .listen
        .push(format!("127.0.0.22:{port}").parse().unwrap());
    balancer.apply(next).unwrap();
    let reason = || status(&balancer).groups[0].hosts[0].health.reason.clone();
    server.say("app.test", &[22], 1);
    eventually!(reason() == "its name leads to the service itself");
    assert!(is_reset(&mut TcpStream::connect(address).await.unwrap()).await);
    assert_eq!(refused(&balancer, "no_host"), 1);
    eventually!(
        events(&balancer)
            .iter()
            .any(|(kind, _)| kind == "service.exhausted")
    );
    server.say("app.test", &[21, 22], 1);
    eventually!(leads_to(&balancer) == [format!("127.0.0.21:{port}")]);
    assert_eq!(served_by(address).await, "21");
}

/// A reply with `records` of `kind` and time to live 60, each with the data that `data` gives.
fn odd(question: &[u8], kind: u8, records: u8, data: impl Fn(u8) -> Vec<u8>) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let mut reply = question[..2].to_vec();
    reply.extend([0x81, 0x80, 0, 1, 0, records, 0, 0, 0, 0]);
    reply.extend(&question[12..end]);
    for record in 0..records {
        let data = data(record);
        reply.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        reply.extend(data);
    }
    reply
}

fn asks(question: &[u8], kind: u8) -> bool {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    question[end - 3] == kind
}

const A: u8 = 1;
const CNAME: u8 = 5;
const AAAA: u8 = 28;

/// Round and round: a.test is b.test, and b.test is a.test.
fn round(question: &[u8]) -> Vec<u8> {
    let other = if question[13] == b'a' { b'b' } else { b'a' };
    odd(question, CNAME, 1, |_| {
        [&[1, other][..], b"\x04test\0"].concat()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_answers_end_in_a_bounded_time_with_an_error_that_names_the_name() {
    let manners: [Manner; 6] = [
        |_| b"garbage".to_vec(),
        |_| Vec::new(),
        |question| {
            let mut reply = odd(question, A, 1, |_| vec![10, 0, 0, 1]);
            reply[0] ^= 1;
            reply
        },
        // Cut off, and nobody answers over TCP.
        |question| {
            let mut reply = odd(question, A, 0, |_| Vec::new());
            reply[2] |= 2;
            reply
        },
        // An address of three bytes.
        |question| odd(question, A, 1, |_| vec![10, 0, 0]),
        round,
    ];
    let asking = manners.map(|manner| {
        tokio::spawn(async move {
            let server = NameServer::start();
            server.behave(manner);
            let resolver = Resolver::asking(vec![server.address]);
            let began = Instant::now();
            let error = resolver.lookup("a.test.").await.unwrap_err().to_string();
            (error, began.elapsed(), server.questions.load(SeqCst))
        })
    });
    let mut asked = 0;
    for answer in asking {
        let (error, took, questions) = answer.await.unwrap();
        assert!(error.starts_with("cannot resolve a.test.: "), "{error}");
        assert!(took < Duration::from_secs(12), "{error}: {took:?}");
        assert!((1..=64).contains(&questions), "{error}: {questions}");
        asked += 1;
    }
    assert_eq!(asked, 6);
}

#[tokio::test]
async fn of_many_addresses_64_are_taken_and_those_of_ipv6_alone_do() {
    let server = NameServer::start();
    let resolver = Resolver::asking(vec![server.address]);
    server.behave(|question| match asks(question, A) {
        true => odd(question, A, 70, |last| vec![10, 0, 0, last]),
        false => odd(question, A, 0, |_| Vec::new()),
    });
    let many = soon(resolver.lookup("a.test.")).await.unwrap();
    assert_eq!(many.addresses.len(), 64);
    server.behave(|question| match asks(question, AAAA) {
        true => odd(question, AAAA, 1, |_| [vec![0; 15], vec![1]].concat()),
        false => odd(question, A, 0, |_| Vec::new()),
    });
    let found = soon(resolver.lookup("a.test.")).await.unwrap();
    assert_eq!(
        found.addresses,
        ["::1".parse::<std::net::IpAddr>().unwrap()]
    );
}
