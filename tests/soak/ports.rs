//! The ports run out that connections to a host are made from. In a network of its own, where
//! there are few: the test starts itself there again.

use std::{
    env, io,
    net::SocketAddr,
    process::{Command, Stdio},
};

use rustix::process::geteuid;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};

use crate::{
    eventually,
    node::Node,
    support::{echo, exchange, reset, service, soon},
};

/// How many ports the system gives out there.
const PORTS: usize = 20;
const INSIDE: &str = "ports::with_twenty_ports";

/// Comes from a port that the system gives nobody: its own do not count.
async fn client(number: usize, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    let port = 20_000 + u16::try_from(number).unwrap();
    socket.bind(([127, 0, 0, 1], port).into()).unwrap();
    soon(socket.connect(to)).await
}

#[test]
fn when_ports_run_out_sessions_go_on_clients_are_told_and_there_are_ports_again() {
    let script = format!(
        "ip link set lo up && echo 61000 {} >/proc/sys/net/ipv4/ip_local_port_range && exec \"$@\"",
        61_000 + PORTS - 1
    );
    let inside = |arguments: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--net", "sh", "-c", &script, "sh"])
            .args(arguments);
        unshare.stdin(Stdio::null()).output()
    };
    let possible = geteuid().is_root() && inside(&["true"]).is_ok_and(|done| done.status.success());
    if !possible {
        let required = env::var_os("REQUIRE_REAL").is_some_and(|value| value == "1");
        assert!(
            !required,
            "REQUIRE_REAL is set: no network of its own can be had"
        );
        eprintln!("skipped: no network of its own can be had (root, unshare, ip)");
        return;
    }
    let this = env::current_exe().unwrap();
    let output = inside(&[
        this.to_str().unwrap(),
        "--exact",
        INSIDE,
        "--ignored",
        "--nocapture",
    ]);
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let told = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{told}"
    );
}

/// How many sessions there are, and the health of the host.
fn counted(node: &Node) -> (u64, Value) {
    let status = node.done(json!({"command": "status"}));
    let service = &status["data"]["services"][0];
    let active = service["sessions"]["active"].as_u64().unwrap();
    (active, service["groups"][0]["hosts"][0]["health"].clone())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "what the other test starts, where it can do no harm"]
async fn with_twenty_ports() {
    let outlier = "name = \"blue\"\noutlier = { failures = 3, window = \"10s\", eject = \"1m\" }";
    let services = service("web", &["127.0.0.1:8080"], &[echo().await], "");
    let text = services.replace("name = \"blue\"", outlier);
    let node = Node::start(&format!("[node]\nname = \"lb1\"\nthreads = 1\n\n{text}")).await;
    let to = node.address();
    // Two for each port, of which the host has one. Who gets none is reset, perhaps before it knows
    // that it was connected.
    let mut clients = Vec::new();
    for number in 0..2 * PORTS {
        if let Ok(mut client) = client(number, to).await
            && exchange(&mut client, b"hello").await.is_ok()
        {
            clients.push(client);
        }
    }
    let found = clients.len();
    assert!((PORTS / 2..=PORTS).contains(&found), "{found} sessions");
    eventually!(counted(&node).0 == found as u64);
    for client in &mut clients {
        assert_eq!(exchange(client, b"still").await.unwrap(), b"still");
    }
    assert_ne!(counted(&node).1, "ejected", "it is no fault of the host");
    let line = "service web refused connections (resources)";
    let said = std::time::Instant::now();
    while !node.log().contains(line) {
        assert!(said.elapsed().as_secs() < 20, "{}", node.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // Broken off, so that neither side has to keep the port for a while.
    clients.drain(..).for_each(reset);
    eventually!(counted(&node).0 == 0);
    for number in 2 * PORTS..2 * PORTS + found {
        let mut client = client(number, to).await.unwrap();
        assert_eq!(exchange(&mut client, b"again").await.unwrap(), b"again");
        clients.push(client);
    }
}
