//! Everything at once that clients, hosts and administrators do.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    node::Node,
    support::{exchange, pattern, reset},
};

const CHURNING: usize = 6;
const LASTING: usize = 20;

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) sessions: u64,
    /// Sessions that a host which vanished has broken.
    pub(super) broken: u64,
    pub(super) changes: u64,
    pub(super) reloads: u64,
}

impl Done {
    pub(super) fn add(&mut self, other: Self) {
        self.sessions += other.sessions;
        self.broken += other.broken;
        self.changes += other.changes;
        self.reloads += other.reloads;
    }
}

/// A host that is there for a moment and gone for the next, with all its sessions.
pub(super) struct Vanishing(SocketAddr);

impl Vanishing {
    /// On an IP of its own, so that nobody else is given the port while it is gone.
    pub(super) async fn new() -> Self {
        Self(crate::support::nobody().await)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0
    }

    async fn come_and_go(address: SocketAddr, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(address).unwrap();
            let listener = socket.listen(1024).unwrap();
            let _ = tokio::time::timeout(Duration::from_millis(700), serve(listener)).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

async fn serve(listener: TcpListener) {
    let mut sessions = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        stream.set_zero_linger().unwrap();
        sessions.spawn(async move {
            let (mut read, mut write) = stream.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        while sessions.try_join_next().is_some() {}
    }
}

/// What goes on.
pub(super) struct Busy {
    clients: Vec<JoinHandle<(u64, u64)>>,
    administrators: JoinHandle<(u64, u64)>,
    vanishing: JoinHandle<()>,
}

/// Begins everything, until `stop`.
pub(super) fn start(node: &Arc<Node>, vanishing: &Vanishing, stop: &CancellationToken) -> Busy {
    let [web, shaky] = listening(node);
    let mut clients = Vec::new();
    for number in 0..CHURNING {
        let (to, may_break) = if number % 3 == 0 {
            (shaky, true)
        } else {
            (web, false)
        };
        clients.push(tokio::spawn(churn(to, may_break, stop.clone())));
    }
    for number in 0..LASTING {
        let (to, may_break) = if number % 3 == 0 {
            (shaky, true)
        } else {
            (web, false)
        };
        clients.push(tokio::spawn(last(to, may_break, stop.clone())));
    }
    let come_and_go = Vanishing::come_and_go(vanishing.address(), stop.clone());
    Busy {
        clients,
        administrators: tokio::spawn(administer(Arc::clone(node), stop.clone())),
        vanishing: tokio::spawn(come_and_go),
    }
}

impl Busy {
    /// Waits for the end of all of it.
    pub(super) async fn end(self) -> Done {
        let mut done = Done::default();
        for client in self.clients {
            let (sessions, broken) = client.await.unwrap();
            done.sessions += sessions;
            done.broken += broken;
        }
        (done.changes, done.reloads) = self.administrators.await.unwrap();
        self.vanishing.await.unwrap();
        done
    }
}

fn listening(node: &Node) -> [SocketAddr; 2] {
    let status = node.done(json!({"command": "status"}));
    [0, 1].map(|service| {
        let address = &status["data"]["services"][service]["listen"][0];
        address.as_str().unwrap().parse().unwrap()
    })
}

/// Sessions of every kind, one after the other.
async fn churn(to: SocketAddr, may_break: bool, stop: CancellationToken) -> (u64, u64) {
    static TURN: AtomicU64 = AtomicU64::new(0);
    let (mut sessions, mut broken) = (0, 0);
    while !stop.is_cancelled() {
        let done = session(to, TURN.fetch_add(1, Relaxed)).await;
        assert!(done.is_ok() || may_break, "{done:?}");
        sessions += 1;
        broken += u64::from(done.is_err());
        // The clients and the hosts share the machine with the node.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (sessions, broken)
}

/// One session; how it goes depends on its turn.
async fn session(to: SocketAddr, turn: u64) -> std::io::Result<()> {
    let mut client = TcpStream::connect(to).await?;
    match turn % 8 {
        // Leaves without a word.
        0 => return Ok(()),
        // Breaks off in the middle.
        1 => {
            client.write_all(&[1; 1000]).await?;
            reset(client);
            return Ok(());
        }
        // Enough for splice(2).
        2 => {
            let message = pattern(200_000, turn);
            let (mut read, mut write) = client.split();
            let mut answer = vec![0; message.len()];
            let (sent, received) =
                tokio::join!(write.write_all(&message), read.read_exact(&mut answer));
            sent?;
            received?;
            assert!(answer == message);
        }
        // Says that it has finished, and hears the same.
        3 => {
            client.write_all(b"last words").await?;
            client.shutdown().await?;
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await?;
        }
        _ => {
            exchange(&mut client, b"hello").await?;
        }
    }
    // So that the port is free again at once.
    client.set_zero_linger()
}

/// Sessions that last; one at a time, unless they break.
async fn last(to: SocketAddr, may_break: bool, stop: CancellationToken) -> (u64, u64) {
    let (mut sessions, mut broken) = (0, 0);
    while !stop.is_cancelled() {
        let mut client = TcpStream::connect(to).await.unwrap();
        sessions += 1;
        while !stop.is_cancelled() {
            let answer = exchange(&mut client, b"hello").await;
            assert!(answer.is_ok() || may_break, "{answer:?}");
            if answer.is_err() {
                broken += 1;
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    (sessions, broken)
}

/// Changes of every kind, and back; what is refused; edits of the file.
async fn administer(node: Arc<Node>, stop: CancellationToken) -> (u64, u64) {
    let (mut changes, mut reloads) = (0, 0);
    while !stop.is_cancelled() {
        let asked = Arc::clone(&node);
        let turn = tokio::task::spawn_blocking(move || one_turn(&asked)).await;
        let (changed, reloaded) = turn.unwrap();
        changes += changed;
        reloads += reloaded;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (changes, reloads)
}

fn one_turn(node: &Node) -> (u64, u64) {
    let group = json!([{"name": "a", "scheduler": "source-hash", "sticky": {"ttl": "1m"},
        "probe": {"kind": "tcp", "interval": "100ms", "timeout": "100ms"}, "host": [{"name": "x", "address": "127.0.0.1:9"}]}]);
    let changes: [Value; 8] = [
        json!({"command": "set-weight", "host": "web/blue/w1", "weight": 5}),
        json!({"command": "add-host", "host": "web/blue/w9", "address": "127.0.0.1:9", "weight": 0}),
        json!({"command": "add-service", "service": "more", "listen": ["127.0.0.1:0"], "group": group}),
        json!({"command": "set-group", "group": "shaky/blue", "scheduler": "least-connections"}),
        json!({"command": "set-listen", "service": "more", "listen": ["127.0.0.1:0", "127.0.0.2:0"]}),
        json!({"command": "set-group", "group": "shaky/blue", "scheduler": null}),
        json!({"command": "remove-host", "host": "web/blue/w9"}),
        json!({"command": "remove-service", "service": "more"}),
    ];
    let count = changes.len() as u64;
    for change in changes {
        node.done(change);
    }
    node.refused(json!({"command": "set-weight", "host": "web/blue/nobody", "weight": 5}));
    node.ask(json!({"command": "history"}));
    drop(node.stream(None, None));
    node.edit("weight = 5", "weight = 1");
    node.done(json!({"command": "reload"}));
    (count, 1)
}
