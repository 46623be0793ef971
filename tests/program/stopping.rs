//! How the program ends: orderly at a signal, at once at a second one.

use std::{net::SocketAddr, time::Instant};

use rustix::process::Signal;
use tokio::{io::AsyncReadExt, net::TcpStream};

use super::{
    eventually,
    process::{Program, config},
    support::{echo, exchange, is_reset, soon},
};

/// The program with a session open through it, which has been used.
async fn with_a_session(node: &str) -> (Program, SocketAddr, TcpStream) {
    let program = Program::run(&config(node, &[echo().await]));
    let address = program.address().await;
    let mut client = soon(TcpStream::connect(address)).await.unwrap();
    assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    (program, address, client)
}

async fn ends_when_sessions_have(signal: Signal) {
    let (mut program, address, mut client) = with_a_session("").await;
    program.signal(signal);
    eventually!(TcpStream::connect(address).await.is_err());
    assert_eq!(exchange(&mut client, b"still").await.unwrap(), b"still");
    drop(client);
    assert_eq!(program.end().await, 0);
    assert!(program.complained().contains("stopped reset=0"));
}

#[tokio::test]
async fn at_sigterm_no_more_is_accepted_and_an_open_session_goes_on_to_its_end() {
    ends_when_sessions_have(Signal::TERM).await;
}

#[tokio::test]
async fn at_sigint_no_more_is_accepted_and_an_open_session_goes_on_to_its_end() {
    ends_when_sessions_have(Signal::INT).await;
}

#[tokio::test]
async fn a_session_that_outlasts_the_drain_timeout_is_reset() {
    let (mut program, _, mut client) = with_a_session("drain_timeout = \"100ms\"").await;
    let began = Instant::now();
    program.signal(Signal::TERM);
    assert!(is_reset(&mut client).await);
    assert!(began.elapsed().as_millis() >= 100);
    assert_eq!(program.end().await, 0);
    assert!(program.complained().contains("stopped reset=1"));
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_is_what_is_exited_with() {
    for (second, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let (mut program, _, _client) = with_a_session("").await;
        program.signal(Signal::TERM);
        program.hears("stopping").await;
        program.signal(second);
        assert_eq!(program.end().await, code);
    }
}

#[tokio::test]
async fn who_was_let_in_before_the_signal_is_served() {
    let (mut program, address, idle) = with_a_session("").await;
    program.signal(Signal::STOP);
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(soon(TcpStream::connect(address)).await.unwrap());
    }
    program.signal(Signal::TERM);
    program.signal(Signal::CONT);
    for client in &mut clients {
        assert_eq!(exchange(client, b"hello").await.unwrap(), b"hello");
    }
    drop((clients, idle));
    assert_eq!(program.end().await, 0);
}

#[tokio::test]
async fn a_signal_is_heeded_from_the_first_line_on() {
    for _ in 0..5 {
        let mut program = Program::run(&config("", &[]));
        program.hears("starting").await;
        program.signal(Signal::TERM);
        assert_eq!(program.end().await, 0);
    }
}

#[tokio::test]
async fn clients_of_a_program_killed_outright_see_it() {
    let (program, _, mut client) = with_a_session("").await;
    drop(program);
    assert!(!matches!(soon(client.read(&mut [0])).await, Ok(1..)));
}
