//! Hosts that can be killed and brought back at the same address, and what is asked of them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use pointsman::{
    control::{Balancer, status::HostStatus},
    health::report::Health,
    model::event::Event,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use crate::support::{nobody, reset, status};

/// A host that echoes, and that is killed and brought back.
pub struct Host {
    pub address: SocketAddr,
    accepting: Option<(oneshot::Sender<Duration>, JoinHandle<()>)>,
    pub accepted: Arc<AtomicU32>,
    /// Whether it resets every second connection that sends something.
    pub flaky: Arc<AtomicBool>,
    /// Whether it speaks first.
    pub greets: Arc<AtomicBool>,
}

impl Host {
    pub async fn up() -> Self {
        let mut host = Self::down().await;
        host.rise();
        host
    }

    pub async fn down() -> Self {
        Self {
            address: nobody().await,
            accepting: None,
            accepted: Arc::default(),
            flaky: Arc::default(),
            greets: Arc::default(),
        }
    }

    pub fn rise(&mut self) {
        let listener = listen(self.address);
        let (accepted, flaky) = (Arc::clone(&self.accepted), Arc::clone(&self.flaky));
        let greets = Arc::clone(&self.greets);
        let (stop, mut stopped) = oneshot::channel();
        let accepting = tokio::spawn(async move {
            loop {
                // What waits comes first: closing would reset it.
                let stream = tokio::select! {
                    biased;
                    accepted = listener.accept() => accepted.unwrap().0,
                    hang = &mut stopped => {
                        return tokio::time::sleep(hang.unwrap_or_default()).await;
                    }
                };
                let greets = greets.load(SeqCst);
                tokio::spawn(serve(
                    stream,
                    greets,
                    Arc::clone(&accepted),
                    Arc::clone(&flaky),
                ));
            }
        });
        self.accepting = Some((stop, accepting));
    }

    /// From now on nobody listens. Connections that stand go on: no balancer can save those.
    pub async fn kill(&mut self) {
        let (stop, accepting) = self.accepting.take().unwrap();
        stop.send(Duration::ZERO).unwrap();
        accepting.await.unwrap();
    }

    /// The same for one that has hung before: who waits to be accepted is reset.
    pub async fn crash(&mut self) {
        let (stop, accepting) = self.accepting.take().unwrap();
        stop.send(Duration::from_millis(50)).unwrap();
        accepting.await.unwrap();
    }
}

/// What a host says that speaks first.
const GREETING: &[u8; 5] = b"ready";

fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(4096).unwrap()
}

/// Probes that send nothing are not counted.
async fn serve(
    mut stream: TcpStream,
    greets: bool,
    accepted: Arc<AtomicU32>,
    flaky: Arc<AtomicBool>,
) {
    if greets {
        let _ = stream.write_all(GREETING).await;
    }
    let mut buffer = [0; 256];
    let Ok(read @ 1..) = stream.read(&mut buffer).await else {
        return;
    };
    let number = accepted.fetch_add(1, SeqCst);
    if flaky.load(SeqCst) && number.is_multiple_of(2) {
        return reset(stream);
    }
    let _ = stream.write_all(&buffer[..read]).await;
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let _ = stream.write_all(&buffer[..read]).await;
    }
}

/// One connection that says something and hears it back.
pub async fn visit(address: SocketAddr) -> std::io::Result<()> {
    let mut client = TcpStream::connect(address).await?;
    client.write_all(b"hello").await?;
    let mut answer = [0; 5];
    let read = client.read_exact(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await??;
    Ok(())
}

/// The same with a host that speaks first: the client says nothing before it was greeted.
pub async fn visit_polite(address: SocketAddr) -> std::io::Result<()> {
    let mut client = TcpStream::connect(address).await?;
    for said in [GREETING, b"hello"] {
        let mut heard = [0; 5];
        let read = client.read_exact(&mut heard);
        tokio::time::timeout(Duration::from_secs(10), read).await??;
        assert_eq!(&heard, said);
        client.write_all(b"hello").await?;
    }
    Ok(())
}

/// The host called `name` of the first group.
pub fn host(balancer: &Balancer, name: &str) -> HostStatus {
    let groups = status(balancer).groups;
    let mut hosts = groups.into_iter().flat_map(|group| group.hosts);
    hosts.find(|host| host.name.as_str() == name).unwrap()
}

pub fn health(balancer: &Balancer, name: &str) -> Health {
    host(balancer, name).health.health
}

/// Events as they come, gathered while somebody waits for one.
pub struct Heard<'a> {
    balancer: &'a Balancer,
    pub events: Vec<Event>,
}

impl<'a> Heard<'a> {
    pub fn new(balancer: &'a Balancer) -> Self {
        let events = Vec::new();
        Self { balancer, events }
    }

    /// Whether there was an event of this kind about `subject`.
    pub fn has(&mut self, kind: &str, subject: &str) -> bool {
        self.find(kind, subject).is_some()
    }

    pub fn find(&mut self, kind: &str, subject: &str) -> Option<&Event> {
        self.events.extend(self.balancer.take_events());
        let is_it = |event: &&Event| event.kind == kind && event.subject == subject;
        self.events.iter().find(is_it)
    }

    pub fn kinds(&mut self) -> Vec<String> {
        self.events.extend(self.balancer.take_events());
        let told = |event: &Event| format!("{} {}", event.kind, event.subject);
        self.events.iter().map(told).collect()
    }
}
