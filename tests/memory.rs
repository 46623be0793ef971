//! What sessions cost in memory, in a balancer that has a process to itself.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use support::{child, child::Process, echo, exchange, pattern, serve, settled, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Mutex,
};

/// Bytes of memory for a session in which nothing moves.
const IDLE: u64 = 2560;
/// One at a time: each wants most of the descriptors or of the memory that there is.
static ALONE: Mutex<()> = Mutex::const_new(());

#[test]
#[ignore = "what the other tests start"]
fn a_process_of_its_own() {
    child::run();
}

/// A balancer for `host` that has served before: what is there once for all does not count.
async fn warm(host: SocketAddr) -> Process {
    let mut balancer = Process::start(&[host], 1 << 20);
    drop(clients(balancer.address, 100).await);
    eventually!(balancer.counts().active == 0);
    balancer
}

/// Clients that have been answered and now have nothing to say.
async fn clients(address: SocketAddr, count: u64) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
        // So that ports are free again at once.
        client.set_zero_linger().unwrap();
        clients.push(client);
    }
    clients
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_costs_little() {
    let _alone = ALONE.lock().await;
    let descriptors = child::allow_descriptors(1 << 20);
    // The client and the host are both here, and need one each.
    let sessions = ((descriptors - 400) / 2).min(10_000);
    let mut balancer = warm(echo().await).await;
    let before = balancer.memory();
    let clients = clients(balancer.address, sessions).await;
    assert_eq!(balancer.counts().active, sessions);
    let each = (balancer.memory() - before) / sessions;
    println!("{each} bytes for each of {sessions} idle sessions");
    assert!(each <= IDLE, "{each} bytes for an idle session");
    drop(clients);
    eventually!(balancer.counts().active == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_busy_and_is_idle_again_has_given_everything_back() {
    let _alone = ALONE.lock().await;
    let mut balancer = warm(echo().await).await;
    let mut clients = clients(balancer.address, 400).await;
    let before = balancer.memory();
    let message = pattern(300_000, 1);
    for client in &mut clients {
        let (mut read, mut write) = client.split();
        let mut answer = vec![0; message.len()];
        let (sent, received) =
            soon(async { tokio::join!(write.write_all(&message), read.read_exact(&mut answer)) })
                .await;
        sent.unwrap();
        received.unwrap();
        assert!(answer == message);
    }
    let grown = balancer.memory().saturating_sub(before);
    println!("{grown} bytes more for 400 sessions that were busy");
    assert!(grown < 2 << 20, "{grown} bytes");
    assert_eq!(balancer.counts().active, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_the_sender_up_and_takes_no_memory() {
    const SESSIONS: u64 = 20;
    /// What the kernel may hold on the way: two buffers to send, two to receive.
    const ON_THE_WAY: u64 = 2 * ((4 << 20) + (32 << 20));
    let _alone = ALONE.lock().await;
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let endless = serve(move |mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            while let Ok(sent) = stream.write(&[7; 65_536]).await {
                counted.fetch_add(sent as u64, Relaxed);
            }
        }
    });
    let mut balancer = Process::start(&[endless.await], 1 << 20);
    let mut first = TcpStream::connect(balancer.address).await.unwrap();
    soon(first.read_exact(&mut [0; 100_000])).await.unwrap();
    let before = balancer.memory();
    let mut clients = Vec::new();
    for _ in 0..SESSIONS {
        clients.push(TcpStream::connect(balancer.address).await.unwrap());
    }
    eventually!(balancer.counts().active == SESSIONS + 1);
    let stopped_at = settled(|| sent.load(Relaxed)).await;
    assert!(stopped_at < (SESSIONS + 1) * ON_THE_WAY, "{stopped_at}");
    let each = balancer.memory().saturating_sub(before) / SESSIONS;
    println!("{each} bytes for each session with a slow reader");
    assert!(each < 128 << 10, "{each} bytes");
    drop((first, clients));
    eventually!(balancer.counts().active == 0);
}
