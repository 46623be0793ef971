//! `pointsman demo`: what a person sees who types it first.

use std::{collections::BTreeSet, net::SocketAddr, net::TcpListener};

use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    eventually,
    process::{Program, pointsman},
    support::soon,
};

/// What an HTTP host answers.
async fn get(address: SocketAddr) -> String {
    let mut client = soon(TcpStream::connect(address)).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    soon(client.read_to_string(&mut answer)).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}

/// Sessions by host, as the last table printed has them.
fn last_table(said: &str) -> Vec<(String, u64)> {
    let (_, table) = said.rsplit_once("HOST  ").unwrap();
    let row = |line: &str| {
        let mut cells = line.split_whitespace();
        let name = cells.next()?.to_owned();
        Some((name, cells.nth(2)?.parse().ok()?))
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[tokio::test]
async fn the_demo_balances_over_three_hosts_and_shows_who_got_what() {
    let mut program = Program::start(pointsman(&["demo", "--port", "0"]));
    let address = program.address().await;
    eventually!(program.said().contains("Ctrl-C"));
    assert!(program.said().contains(&format!("curl http://{address}/")));
    let mut seen = BTreeSet::new();
    for _ in 0..6 {
        seen.insert(get(address).await);
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
    for (answer, name) in seen.iter().zip(["ada", "bob", "cy"]) {
        assert!(answer.starts_with(&format!("This is {name}, at 127.0.0.1:")));
    }
    // Which host is the least busy depends on how soon a session is seen to have ended.
    eventually!({
        let table = last_table(&program.said());
        let names: Vec<_> = table.iter().map(|row| row.0.as_str()).collect();
        let sessions: Vec<_> = table.iter().map(|row| row.1).collect();
        names == ["ada", "bob", "cy"]
            && sessions.iter().sum::<u64>() == 6
            && sessions.iter().all(|sessions| *sessions > 0)
    });
    assert!(!program.said().contains('\x1b'), "escapes in a pipe");
    program.signal(Signal::INT);
    assert_eq!(program.end().await, 0);
}

#[tokio::test]
async fn the_demo_ends_by_itself_after_the_time_it_was_given() {
    let mut program = Program::start(pointsman(&["demo", "--port", "0", "--for", "2s"]));
    let address = program.address().await;
    assert!(get(address).await.starts_with("This is "));
    assert_eq!(program.end().await, 0);
    let names: Vec<_> = last_table(&program.said())
        .into_iter()
        .map(|row| row.0)
        .collect();
    assert_eq!(names, ["ada", "bob", "cy"]);
}

#[tokio::test]
async fn the_demo_says_what_to_do_when_its_port_is_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut program = Program::start(pointsman(&["demo", "--port", &port]));
    assert_eq!(program.end().await, 1);
    assert_eq!(program.said(), "");
    let complaint = program.complained();
    for expected in [&format!("cannot listen on 127.0.0.1:{port}"), "--port 0"] {
        assert!(complaint.contains(expected), "{complaint}");
    }
}
