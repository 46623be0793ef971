//! The PROXY protocol with other people's programs: HAProxy and nginx, before us and behind us.
#![allow(clippy::unwrap_used)]

#[path = "directories/real.rs"]
mod real;
mod support;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use pointsman::control::Balancer;
use support::{serve, service, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    runtime::Handle,
};

/// Where the clients are; no other address of theirs is let in.
const CLIENT: &str = "127.0.0.7";

/// A server of somebody else's, until dropped.
struct Server {
    child: Child,
    folder: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pointsman-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn start(folder: PathBuf, program: &str, arguments: &[&str]) -> Server {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let child = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Server { child, folder }
}

/// HAProxy that listens on `port`, with `bind` options, for `server` with options.
fn haproxy(port: u16, bind: &str, server: &str) -> Server {
    let folder = folder(&format!("haproxy-{port}"));
    let text = format!(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 10s\n timeout server 10s\n\
         frontend f\n bind 127.0.0.1:{port} {bind}\n default_backend b\n\
         backend b\n server s {server}\n"
    );
    let file = folder.join("haproxy.cfg");
    fs::write(&file, text).unwrap();
    start(folder, "haproxy", &["-db", "-f", file.to_str().unwrap()])
}

/// nginx that does `server` (the inside of a block of its stream module).
fn nginx(port: u16, server: &str) -> Server {
    let folder = folder(&format!("nginx-{port}"));
    let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    let load = if Path::new(module).exists() {
        format!("load_module {module};\n")
    } else {
        String::new()
    };
    let place = folder.display();
    let text = format!(
        "{load}daemon off; master_process off; pid {place}/pid; error_log {place}/log;\n\
         events {{}}\nstream {{ server {{ {server} }} }}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, text).unwrap();
    let place = format!("{place}/");
    start(
        folder,
        "nginx",
        &["-p", &place, "-c", file.to_str().unwrap()],
    )
}

/// A port that is free now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// A balancer with one host, and `service_keys` and `group_keys`.
fn balancer(service_keys: &str, group_keys: &str, host: SocketAddr) -> (Balancer, SocketAddr) {
    let text = service("web", &["127.0.0.1:0"], &[host], service_keys);
    let text = text.replace("name = \"blue\"", &format!("name = \"blue\"\n{group_keys}"));
    let balancer = Balancer::start(toml::from_str(&text).unwrap(), Handle::current()).unwrap();
    let address = balancer.addresses(&"web".parse().unwrap())[0];
    (balancer, address)
}

/// A host that says back the first thing that it hears.
async fn parrot() -> SocketAddr {
    serve(|mut stream| async move {
        let mut heard = [0; 512];
        if let Ok(read) = stream.read(&mut heard).await {
            let _ = stream.write_all(&heard[..read]).await;
        }
    })
    .await
}

/// What comes back when the client says `words` at `address`: asked again until somebody is there.
async fn answer(address: SocketAddr, words: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{CLIENT}:0").parse().unwrap()).unwrap();
        if let Ok(mut client) = socket.connect(address).await
            && let Ok(answer) = ask(&mut client, words).await
            && !answer.is_empty()
        {
            return answer;
        }
        assert!(Instant::now() < deadline, "nobody answers at {address}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Does not finish before it has the answer: nginx would take that for the end.
async fn ask(client: &mut TcpStream, words: &str) -> std::io::Result<String> {
    client.write_all(words.as_bytes()).await?;
    let mut answer = String::new();
    soon(client.read_to_string(&mut answer)).await?;
    Ok(answer)
}

/// Takes headers from this machine, and lets in just the client.
const ANNOUNCED: &str = "proxy_protocol = { accept_from = [\"127.0.0.1\"] }\n\
                         access = [\"allow 127.0.0.7\", \"deny all\"]";

#[tokio::test]
async fn haproxy_before_us_announces_its_client() {
    if !real::installed(&["haproxy"]) {
        return;
    }
    let (_balancer, address) = balancer(ANNOUNCED, "", parrot().await);
    for option in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options crc32c,unique-id",
    ] {
        let port = free_port();
        let _haproxy = haproxy(port, "", &format!("{address} {option}"));
        assert_eq!(answer(at(port), "hello").await, "hello", "{option}");
    }
}

#[tokio::test]
async fn haproxy_that_checks_us_speaks_for_itself_and_is_not_taken_for_a_client() {
    if !real::installed(&["haproxy"]) {
        return;
    }
    let keys = ANNOUNCED.replace("127.0.0.7\"", "127.0.0.7\", \"allow 127.0.0.1\"");
    let (balancer, address) = balancer(&keys, "", parrot().await);
    let port = free_port();
    let check = format!("{address} send-proxy-v2 check check-send-proxy inter 50ms");
    let _haproxy = haproxy(port, "", &check);
    assert_eq!(answer(at(port), "hello").await, "hello");
    let refused = balancer.status().services.remove(0).refused;
    let unannounced = refused.iter().find(|(reason, _)| *reason == "unannounced");
    assert_eq!(unannounced, Some(&("unannounced", 0)));
}

#[tokio::test]
async fn haproxy_behind_us_hears_of_our_client() {
    if !real::installed(&["haproxy"]) {
        return;
    }
    for version in ["v1", "v2"] {
        let port = free_port();
        // It says what it was told to a host of ours, in text.
        let host = parrot().await;
        let _haproxy = haproxy(port, "accept-proxy", &format!("{host} send-proxy"));
        let keys = format!("send_proxy = \"{version}\"");
        let (_balancer, address) = balancer("", &keys, at(port));
        let heard = answer(address, "hello").await;
        let header = format!("PROXY TCP4 {CLIENT} 127.0.0.1 ");
        assert!(heard.starts_with(&header), "{version}: {heard}");
        let called = format!(" {}\r\n", address.port());
        assert!(heard.contains(&called), "{version}: {heard}");
    }
}

#[tokio::test]
async fn nginx_before_us_announces_its_client() {
    if !real::installed(&["nginx"]) {
        return;
    }
    let (_balancer, address) = balancer(ANNOUNCED, "", parrot().await);
    let port = free_port();
    let server = format!("listen 127.0.0.1:{port}; proxy_pass {address}; proxy_protocol on;");
    let _nginx = nginx(port, &server);
    assert_eq!(answer(at(port), "hello").await, "hello");
}

#[tokio::test]
async fn nginx_behind_us_hears_of_our_client() {
    if !real::installed(&["nginx"]) {
        return;
    }
    for version in ["v1", "v2"] {
        let port = free_port();
        let server =
            format!("listen 127.0.0.1:{port} proxy_protocol; return $proxy_protocol_addr;");
        let _nginx = nginx(port, &server);
        let keys = format!("send_proxy = \"{version}\"");
        let (_balancer, address) = balancer("", &keys, at(port));
        // It answers without reading, and would reset who has said something.
        assert_eq!(answer(address, "").await, CLIENT, "{version}");
    }
}
