//! What the tests share: hosts that misbehave as told, balancers, and waiting for a condition.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::{net::SocketAddr, time::Duration};

use pointsman::{control::Balancer, model::topology::Topology};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
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
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(work(stream));
        }
    });
    address
}

/// An address at which nobody listens.
pub async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
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
    let mut text = format!(
        "[[service]]\nname = \"web\"\nlisten = [\"127.0.0.1:0\"]\n{more}\n\
         [[service.group]]\nname = \"blue\"\n"
    );
    for (index, address) in hosts.iter().enumerate() {
        let name = index + 1;
        text += &format!("[[service.group.host]]\nname = \"w{name}\"\naddress = \"{address}\"\n");
    }
    toml::from_str(&text).unwrap()
}

/// Runs `future`, and fails when it takes longer than ten seconds.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future)
        .await
        .expect("took over ten seconds")
}
