//! Under load: reloads, moved listeners and upgrades, and nobody's connection is the worse for it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::MissedTickBehavior,
};

use crate::{
    eventually,
    node::Node,
    support::{echo, exchange, service},
    upgrade::{prepare, upgrade},
    upgrading::session,
};

/// New connections for each address in a second: a thousand in all.
const EACH: u64 = 250;
/// How often each of the three things is done.
const TIMES: usize = 10;
const LONG_SESSIONS: usize = 500;

/// Clients who come, say a word, hear it, and go.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    served: AtomicU64,
    failed: Mutex<Vec<String>>,
}

impl Load {
    async fn press(self: Arc<Self>, address: SocketAddr) {
        let mut pace = tokio::time::interval(Duration::from_millis(1000 / EACH));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.stop.load(Relaxed) {
            pace.tick().await;
            let load = Arc::clone(&self);
            tokio::spawn(async move {
                match call(address).await {
                    Ok(()) => drop(load.served.fetch_add(1, Relaxed)),
                    Err(error) => load.failed.lock().unwrap().push(error.to_string()),
                }
            });
        }
    }
}

async fn call(address: SocketAddr) -> std::io::Result<()> {
    let mut client = TcpStream::connect(address).await?;
    client.write_all(b"word").await?;
    let mut word = [0; 4];
    client.read_exact(&mut word).await?;
    assert_eq!(&word, b"word");
    client.shutdown().await?;
    let rest = client.read(&mut word).await?;
    assert_eq!(rest, 0);
    Ok(())
}

/// Where the service listens.
fn bound(node: &Node) -> Vec<SocketAddr> {
    let status = node.done(json!({"command": "status"}));
    let listen = status["data"]["services"][0]["listen"].as_array().unwrap();
    let listen = listen.iter().map(|address| address.as_str().unwrap());
    listen.map(|address| address.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_moved_listeners_and_upgrades_fail_no_connection_and_reset_no_session() {
    let hosts = [echo().await, echo().await, echo().await, echo().await];
    let head = "[node]\nname = \"lb1\"\nthreads = 2\ndrain_timeout = \"5m\"\n\n";
    let listen = ["127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0", "127.0.0.4:0"];
    let mut node = prepare(&(head.to_owned() + &service("web", &listen, &hosts, "retries = 2")));
    node.up().await;
    let bound = bound(&node);
    let load = Arc::new(Load::default());
    for address in &bound {
        tokio::spawn(Arc::clone(&load).press(*address));
    }
    let began = Instant::now();
    let mut sessions = Vec::new();
    let mut heirs = Vec::new();
    for turn in 0..TIMES {
        for number in 0..LONG_SESSIONS / TIMES {
            sessions.push(session(bound[number % bound.len()]).await);
        }
        let (before, after) = (
            format!("retries = {}", 2 + turn),
            format!("retries = {}", 3 + turn),
        );
        node.edit(&before, &after);
        node.done(json!({"command": "reload"}));

        // The first four stay; the last moves from port to port.
        let moved = format!("127.0.0.{}:0", 5 + turn);
        let listen: Vec<&str> = listen.iter().copied().chain([moved.as_str()]).collect();
        node.done(json!({"command": "set-listen", "service": "web", "listen": listen}));
        sessions.push(session(self::bound(&node)[4]).await);

        heirs.push(upgrade(&node).await.0);
    }
    load.stop.store(true, Relaxed);
    let pressed = began.elapsed();
    for session in &mut sessions {
        assert_eq!(
            exchange(session, b"to the end").await.unwrap(),
            b"to the end"
        );
    }
    let (served, failed) = (
        load.served.load(Relaxed),
        load.failed.lock().unwrap().clone(),
    );
    eprintln!(
        "{served} connections in {pressed:?}, {} a second, {} long sessions",
        served as f64 / pressed.as_secs_f64(),
        sessions.len(),
    );
    assert_eq!(failed, Vec::<String>::new());
    // A quick machine is done with everything in a second.
    assert!(served > 500, "only {served} connections: that is no load");
    assert_eq!(sessions.len(), LONG_SESSIONS + TIMES);
    drop(sessions);
    // Each process ends with the last of its sessions.
    assert_eq!(node.ended().await, Some(0));
    heirs.pop();
    for heir in &heirs {
        eventually!(heir.has_ended());
    }
}
