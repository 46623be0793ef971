//! What the tests share: hosts that misbehave as told, balancers, and waiting for a condition.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod child;

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU8, Ordering::Relaxed},
    time::{Duration, Instant},
};

use pointsman::{
    control::{Balancer, status::ServiceStatus},
    model::topology::Topology,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Handle,
};

/// Waits until the condition holds, and fails with its text when it does not within ten seconds.
#[macro_export]
macro_rules! eventually {
    ($condition:expr) => {{
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !$condition {
            assert!(
                std::time::Instant::now() < deadline,
                "never came true: {}",
                stringify!($condition)
            );
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }};
}

/// A host that answers every byte with itself, and the end with the end.
pub async fn echo() -> SocketAddr {
    serve(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
        let _ = write.shutdown().await;
    })
    .await
}

/// A host that says its name and hangs up when asked anything.
pub async fn named(name: &'static str) -> SocketAddr {
    serve(move |mut stream| async move {
        let mut request = [0; 256];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(name.as_bytes()).await;
    })
    .await
}

/// A host that does `work` with each connection.
pub async fn serve<F, W>(work: W) -> SocketAddr
where
    W: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    // The usual backlog of 128 overflows when all come at once, and the kernel then forgets
    // clients who believe that they are connected.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(4096).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(work(stream));
        }
    });
    address
}

/// A host that says its name at once and echoes what comes after.
pub async fn greeting(name: &'static str) -> SocketAddr {
    serve(move |mut stream| async move {
        let _ = stream.write_all(name.as_bytes()).await;
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await
}

/// A host that accepts and then says nothing, for as long as its peer stays.
pub async fn silent() -> SocketAddr {
    serve(|mut stream| async move {
        while let Ok(1..) = stream.read(&mut [0; 4096]).await {}
        std::future::pending().await
    })
    .await
}

/// A host that resets every connection.
pub async fn resetting() -> SocketAddr {
    serve(|stream| async move { reset(stream) }).await
}

/// A host that resets the connection when it is asked anything.
pub async fn resetting_when_asked() -> SocketAddr {
    serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 64]).await;
        reset(stream);
    })
    .await
}

/// A place where connections hang: its backlog is full. For as long as it is kept.
pub struct Blackhole {
    listener: TcpListener,
    waiting: TcpStream,
}

impl Blackhole {
    pub async fn open() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let waiting = TcpStream::connect(address).await.unwrap();
        Self { listener, waiting }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

/// An address at which nobody listens: on an IP of its own, of which the system gives no port to
/// anybody else meanwhile.
pub async fn nobody() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [low, high, ..] = std::process::id().to_le_bytes();
    let ip = Ipv4Addr::new(127, 1 + high % 254, low, NEXT.fetch_add(1, Relaxed));
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

/// A balancer of the service `web` on port 0 with one group `blue`, hosts `w1`, `w2` … at
/// `hosts`, and `more` keys of the service (TOML).
pub fn balancer(hosts: &[SocketAddr], more: &str) -> (Balancer, SocketAddr) {
    let balancer = Balancer::start(topology(hosts, more), Handle::current()).unwrap();
    let address = balancer.addresses(&"web".parse().unwrap())[0];
    (balancer, address)
}

/// The topology of [`balancer`].
pub fn topology(hosts: &[SocketAddr], more: &str) -> Topology {
    toml::from_str(&service("web", &["127.0.0.1:0"], hosts, more)).unwrap()
}

/// The TOML of a service with one group `blue` of hosts `w1`, `w2` …
pub fn service(name: &str, listen: &[&str], hosts: &[SocketAddr], more: &str) -> String {
    let head = format!("[[service]]\nname = \"{name}\"\nlisten = {listen:?}\n{more}\n");
    head + &group("blue", hosts)
}

/// The TOML of a group, to come after its service.
pub fn group(name: &str, hosts: &[SocketAddr]) -> String {
    let mut text = format!("[[service.group]]\nname = \"{name}\"\n");
    for (index, address) in hosts.iter().enumerate() {
        let name = index + 1;
        text += &format!("[[service.group.host]]\nname = \"w{name}\"\naddress = \"{address}\"\n");
    }
    text
}

/// A balancer with one host, and both ends of a session through it: the client's, the host's.
pub async fn pair(more: &str) -> (Balancer, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (balancer, address) = balancer(&[listener.local_addr().unwrap()], more);
    let client = TcpStream::connect(address).await.unwrap();
    let (host, _) = soon(listener.accept()).await.unwrap();
    (balancer, client, host)
}

/// Breaks a connection with a reset.
pub fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

/// Whether the connection ends with a reset, whatever comes before it.
pub async fn is_reset(stream: &mut TcpStream) -> bool {
    let mut received = Vec::new();
    match soon(stream.read_to_end(&mut received)).await {
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Sends `message` and reads as many bytes back.
pub async fn exchange(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(message).await?;
    let mut answer = vec![0; message.len()];
    soon(stream.read_exact(&mut answer)).await?;
    Ok(answer)
}

/// What the peer says next, as text.
pub async fn next_words(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 256];
    let read = soon(stream.read(&mut buffer)).await.unwrap();
    String::from_utf8(buffer[..read].to_vec()).unwrap()
}

/// Bytes in which no stretch is like another.
pub fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        bytes.extend_from_slice(&(state >> 16).to_le_bytes()[..6]);
    }
    bytes.truncate(length);
    bytes
}

/// The status of the first service.
pub fn status(balancer: &Balancer) -> ServiceStatus {
    balancer.status().services.swap_remove(0)
}

/// How many clients of the first service were refused for `reason`.
pub fn refused(balancer: &Balancer, reason: &str) -> u64 {
    let refused = status(balancer).refused;
    let counted = refused.iter().find(|(known, _)| *known == reason);
    counted.expect("a reason that there is").1
}

/// Whether no service and no host has a session.
pub fn at_rest(balancer: &Balancer) -> bool {
    balancer.status().services.iter().all(|service| {
        let mut hosts = service.groups.iter().flat_map(|group| &group.hosts);
        service.sessions.active == 0 && hosts.all(|host| host.sessions.active == 0)
    })
}

/// Waits until `value` has stayed the same for a quarter of a second, and returns it.
pub async fn settled<T: PartialEq>(value: impl Fn() -> T) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    let (mut last, mut since) = (value(), Instant::now());
    while since.elapsed() < Duration::from_millis(250) {
        assert!(Instant::now() < deadline, "never came to rest");
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = value();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// Runs `future`, and fails when it takes longer than ten seconds.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future)
        .await
        .expect("took over ten seconds")
}
