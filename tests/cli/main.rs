//! The command line as a client: what it sends, what it shows, and what it exits with.
#![allow(clippy::unwrap_used)]

mod answers;
#[path = "../support/fake_node.rs"]
mod fake_node;
mod logins;
mod manual;
mod sending;
mod showing;

use std::process::Output;

use fake_node::{Answer, Asked, FakeNode};

const DONE: &str = r#"{"id":"1","ok":true,"revision":42,"diff":["~ web/blue/w1 weight: 5 → 2","+ web/blue/w4","- web/green"]}"#;

fn done(_: &Asked) -> Answer {
    (200, DONE.to_owned())
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn words(line: &str) -> Vec<&str> {
    // No argument in the tables has a blank in it.
    line.split(' ').collect()
}
