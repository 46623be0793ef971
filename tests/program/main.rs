//! The program as a person runs it: processes, files, signals, exit codes, and what they read.
//! It must not look into the process: what a test knows, a person could have read or tried.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod demo;
mod descriptors;
mod journal;
mod logs;
mod process;
mod refusals;
mod stopping;

use std::collections::BTreeSet;

use process::{File, Program, config, pointsman};
use rustix::process::Signal;
use support::{greeting, next_words, soon};
use tokio::net::TcpStream;

#[tokio::test]
async fn run_balances_what_the_file_says() {
    let hosts = [greeting("one").await, greeting("two").await];
    let mut program = Program::run(&config("", &hosts));
    let address = program.address().await;
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        let mut client = soon(TcpStream::connect(address)).await.unwrap();
        seen.insert(next_words(&mut client).await);
    }
    assert_eq!(seen, BTreeSet::from(["one".to_owned(), "two".to_owned()]));
    program.signal(Signal::TERM);
    assert_eq!(program.end().await, 0);
}

#[tokio::test]
async fn check_says_what_is_in_a_good_file() {
    let file = File::with(&config("", &["127.0.0.1:7001".parse().unwrap()]));
    let mut program = Program::start(pointsman(&["check", file.path()]));
    assert_eq!(program.end().await, 0);
    let expected = format!("{}: 1 service, 1 group, 1 host: no problems\n", file.path());
    assert_eq!(program.said(), expected);
    assert_eq!(program.complained(), "");
}

#[tokio::test]
async fn check_says_all_that_is_wrong_in_a_bad_file() {
    let file = File::with("[node]\nthreads = 0\ncolour = \"red\"\n[[service]]\nname = \"web\"\n");
    let mut program = Program::start(pointsman(&["check", file.path()]));
    assert_eq!(program.end().await, 4);
    assert_eq!(program.said(), "");
    let complaint = program.complained();
    for expected in ["threads", "colour", "listen"] {
        assert!(complaint.contains(expected), "{complaint}");
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_answered_with_how_to_write_it() {
    for arguments in [
        &["runn"][..],
        &["demo", "--port", "x"],
        &["demo", "--for", "5"],
    ] {
        let mut program = Program::start(pointsman(arguments));
        assert_eq!(program.end().await, 2, "{arguments:?}");
        assert!(program.complained().contains("--help"), "{arguments:?}");
    }
}
