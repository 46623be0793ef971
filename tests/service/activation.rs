//! Sockets that systemd holds, handed over by its own program.

use std::{
    env,
    net::TcpListener,
    process::{Command, Stdio},
};

use tokio::net::TcpStream;

use crate::{
    config, eventually,
    node::Node,
    support::{echo, exchange, soon},
};

/// Where nobody listens, a moment ago.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_socket_that_systemd_holds_is_taken_by_the_service_with_its_address() {
    let address = free();
    let node = Node::prepare(&config(&[echo().await]).replace("127.0.0.1:0", &address));
    let mut command = Command::new("systemd-socket-activate");
    command.args([
        "-l",
        &address,
        "--fdname=web",
        env!("CARGO_BIN_EXE_pointsman"),
    ]);
    command
        .args(["run", "pointsman.toml"])
        .current_dir(&node.folder);
    let log = std::fs::File::create(node.folder.join("log-0")).unwrap();
    let mut child = match command.stdin(Stdio::null()).stderr(log).spawn() {
        Ok(child) => child,
        Err(_) if env::var_os("REQUIRE_REAL").is_none() => {
            return eprintln!("skipped: there is no systemd-socket-activate here");
        }
        Err(error) => panic!("systemd-socket-activate: {error}"),
    };
    eventually!(node.log().contains("Listening on"));
    // Its first client is what starts the program, and waits until then.
    let mut client = soon(TcpStream::connect(&address)).await.unwrap();
    assert_eq!(exchange(&mut client, b"first").await.unwrap(), b"first");
    assert!(
        node.log().contains("a socket was handed over name=\"web\""),
        "{}",
        node.log()
    );
    assert_eq!(node.address().to_string(), address);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn more_sockets_than_anybody_hands_over_are_refused_at_once() {
    let node = Node::prepare(&config(&[]));
    let run = "LISTEN_PID=$$ LISTEN_FDS=2147483647 exec \"$0\" run pointsman.toml";
    let mut command = Command::new("timeout");
    command.args(["10", "sh", "-c", run, env!("CARGO_BIN_EXE_pointsman")]);
    let output = command.current_dir(&node.folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("LISTEN_FDS: at most 1024 sockets"), "{said}");
}
