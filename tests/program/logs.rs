//! What the program writes about itself, for whom, and what happens when nobody reads it.

use std::{
    io::pipe,
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    eventually,
    process::{File, Program, config, pointsman},
    support::{echo, exchange, named, next_words, nobody, resetting_when_asked, soon},
};

/// One session that is ended by the client, after five bytes each way. Returns its address.
async fn session(address: SocketAddr) -> SocketAddr {
    let mut client = soon(TcpStream::connect(address)).await.unwrap();
    assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    client.local_addr().unwrap()
}

async fn stopped(mut program: Program) -> Program {
    program.signal(Signal::TERM);
    assert_eq!(program.end().await, 0);
    program
}

#[tokio::test]
async fn as_json_each_line_is_an_object() {
    let text = config("access_log = true", &[echo().await]);
    let program = Program::run_with(&text, &["--log", "json"]);
    session(program.address().await).await;
    program.hears("session_ms").await;
    let log = stopped(program).await.complained();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.len() >= 5, "{log}");
    for line in &lines {
        assert!(line.is_object());
        assert_eq!(line["level"], "INFO");
        assert!(line["message"].is_string() && line["timestamp"].is_string());
    }
    let access = lines
        .iter()
        .find(|line| line["target"] == "pointsman::access")
        .unwrap();
    assert_eq!(access["to_host"], 5);
    assert_eq!(access["message"], "finished");
}

#[tokio::test]
async fn as_text_there_are_no_escapes_in_a_pipe() {
    let program = Program::run(&config("", &[]));
    program.address().await;
    assert!(!stopped(program).await.complained().contains('\x1b'));
}

#[tokio::test]
async fn the_level_is_what_the_option_says_or_else_the_environment() {
    // What the option says, what the environment says, which words are then to be read.
    let cases = [
        (None, None, Some("INFO")),
        (None, Some(""), Some("INFO")),
        (Some("warn"), None, None),
        (None, Some("error"), None),
        (Some("info"), Some("error"), Some("INFO")),
        (Some("error"), Some("trace"), None),
        (None, Some("warn,pointsman=info"), Some("INFO")),
    ];
    for (option, environment, expected) in cases {
        let mut command = pointsman(&["demo", "--port", "0", "--for", "10ms"]);
        command.args(option.map(|level| format!("--log-level={level}")));
        command.envs(environment.map(|level| ("RUST_LOG", level)));
        let mut program = Program::start(command);
        assert_eq!(program.end().await, 0);
        let log = program.complained();
        match expected {
            Some(words) => assert!(log.contains(words), "{option:?} {environment:?}: {log}"),
            None => assert_eq!(log, "", "{option:?} {environment:?}"),
        }
    }
}

#[tokio::test]
async fn a_level_that_there_is_not_is_answered_with_those_that_there_are() {
    for level in ["loud", "pointsman=loud", "a=b=c"] {
        let file = File::with(&config("", &[]));
        let option = pointsman(&["--log-level", level, "run", file.path()]);
        let mut environment = pointsman(&["run", file.path()]);
        environment.env("RUST_LOG", level);
        for command in [option, environment] {
            let mut program = Program::start(command);
            assert_eq!(program.end().await, 2, "{level}");
            let complaint = program.complained();
            assert!(complaint.contains(&format!("{level:?}")), "{complaint}");
            assert_eq!(complaint.lines().count(), 1, "{complaint}");
        }
    }
}

/// The lines of the access log, the time left out.
fn access_log(program: &Program) -> Vec<String> {
    let log = program.complained();
    let lines = log.lines().filter(|line| line.contains("session_ms="));
    lines
        .map(|line| line.split_once("INFO ").unwrap().1.to_owned())
        .collect()
}

#[tokio::test]
async fn the_access_log_has_a_line_for_each_session() {
    let host = echo().await;
    let program = Program::run(&config("access_log = true", &[host]));
    let address = program.address().await;
    let clients = [session(address).await, session(address).await];
    eventually!(access_log(&program).len() == 2);
    let lines = access_log(&program);
    for client in clients {
        let start = format!(
            "finished client={client} peer={client} host=web/blue/w1 address={host} to_host=5 to_client=5 connect_ms="
        );
        let line = lines.iter().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("no {start:?} in {lines:?}"));
        assert!(
            line.ends_with(" by=\"both\"") || line.ends_with(" by=both"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn the_access_log_says_whose_doing_the_end_was() {
    let breaking = Program::run(&config(
        "access_log = true",
        &[resetting_when_asked().await],
    ));
    // A reset right after the accept may be seen as a failed connect: the host waits to be asked.
    let mut client = soon(TcpStream::connect(breaking.address().await))
        .await
        .unwrap();
    client.write_all(b"hello").await.unwrap();
    eventually!(access_log(&breaking).len() == 1);
    drop(client);

    let leaving = Program::run(&config("access_log = true", &[echo().await]));
    let mut client = soon(TcpStream::connect(leaving.address().await))
        .await
        .unwrap();
    exchange(&mut client, b"hello").await.unwrap();
    client.set_zero_linger().unwrap();
    drop(client);
    eventually!(access_log(&leaving).len() == 1);

    let ending = Program::run(&config(
        "access_log = true\ndrain_timeout = \"10ms\"",
        &[echo().await],
    ));
    let mut clients = Vec::new();
    for _ in 0..5 {
        let client = soon(TcpStream::connect(ending.address().await)).await;
        clients.push(client.unwrap());
    }
    for client in &mut clients {
        exchange(client, b"hello").await.unwrap();
    }
    let ending = stopped(ending).await;

    let cases = [
        (&breaking, "broken: connection reset", "host"),
        (&leaving, "broken: connection reset", "client"),
        (&ending, "closed on request", "us"),
    ];
    let log = ending.complained();
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("stopped"), "after all sessions: {log}");
    for (program, how, whose) in cases {
        let lines = access_log(program);
        assert!(lines[0].starts_with(how), "{lines:?}");
        assert!(
            lines[0].replace('"', "").ends_with(&format!("by={whose}")),
            "{lines:?}"
        );
    }
}

#[tokio::test]
async fn refused_connections_that_leave_no_line_are_counted_while_they_go_on_and_at_the_end() {
    let program = Program::run(&config("access_log = true", &[nobody().await]));
    let address = program.address().await;
    let mut sent = 0;
    eventually!({
        for _ in 0..20 {
            // The reset may come before the connect is seen to have succeeded.
            if let Ok(mut client) = soon(TcpStream::connect(address)).await {
                let _ = soon(client.read(&mut [0])).await;
            }
            sent += 1;
        }
        program.complained().matches("suppressed").count() >= 2
    });
    let log = stopped(program).await.complained();
    let written = log.matches("refused: ").count() - log.matches("suppressed").count();
    let suppressed = log.lines().filter_map(|line| {
        let number = line.split_once("refused: suppressed ")?.1;
        number.split_once(' ')?.0.parse::<usize>().ok()
    });
    assert_eq!(written + suppressed.sum::<usize>(), sent, "{log}");
}

#[tokio::test]
async fn without_the_access_log_a_session_leaves_no_line() {
    let program = Program::run(&config("", &[echo().await]));
    session(program.address().await).await;
    let log = stopped(program).await.complained();
    let lines = ["starting", "come in", "listening", "stopping", "stopped"];
    assert_eq!(log.lines().count(), lines.len(), "{log}");
}

/// The end of a pipe that nobody reads.
fn nobody_reads() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

#[tokio::test]
async fn that_nobody_reads_what_it_writes_is_no_reason_to_stop() {
    // Where it listens is not to be read from it then.
    let address = free_address();
    let text = config("access_log = true", &[named("one").await]);
    let file = File::with(&text.replace("127.0.0.1:0", &address.to_string()));
    let mut child = pointsman(&["run", file.path()])
        .stdin(Stdio::null())
        .stdout(nobody_reads())
        .stderr(nobody_reads())
        .spawn()
        .unwrap();
    for _ in 0..10 {
        eventually!(served_by_one(address).await);
    }
    let asked = Instant::now();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    eventually!(child.try_wait().unwrap().is_some());
    assert!(asked.elapsed() < Duration::from_millis(900), "it waited");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

async fn served_by_one(address: SocketAddr) -> bool {
    let Ok(mut client) = TcpStream::connect(address).await else {
        return false;
    };
    client.write_all(b"?").await.is_ok() && next_words(&mut client).await == "one"
}

/// An address of the loopback net that is this test's alone, with a port that was free just now.
fn free_address() -> SocketAddr {
    let [low, high, ..] = std::process::id().to_le_bytes();
    let listener =
        std::net::TcpListener::bind((Ipv4Addr::new(127, 1 + high % 254, low, 254), 0)).unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn check_and_demo_do_not_mind_that_nobody_reads_what_they_say() {
    let file = File::with(&config("", &[]));
    for arguments in [
        &["check", file.path()][..],
        &["demo", "--port", "0", "--for", "700ms"],
    ] {
        let mut command = pointsman(arguments);
        command.stdin(Stdio::null()).stderr(nobody_reads());
        let mut child = command.stdout(nobody_reads()).spawn().unwrap();
        eventually!(child.try_wait().unwrap().is_some());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
    }
}
