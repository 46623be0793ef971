//! The guard of the hot path: instructions and system calls of one operation, under callgrind.
//! It must not measure time, nor let a figure be raised without a reason.
//!
//! What an operation costs is the difference between a run with many and a run with few, so that
//! starting and ending do not count. Client and host are outside of what is counted. The kernel's
//! own instructions are not counted by callgrind; the calls stand for them. Under callgrind each
//! look at the clock is one, which it is not otherwise.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a table"
)]

mod peer;
mod record;
mod subject;
mod work;

use std::{env, net::SocketAddr, path::Path, process::ExitCode};

use peer::Peer;
use record::{Cost, Record};
use work::{Operation, Whose};

/// What is measured: each operation, with the features of the edge off and on.
const MEASURED: [(Operation, bool); 4] = [
    (Operation::Connection, false),
    (Operation::Connection, true),
    (Operation::Message, false),
    (Operation::Message, true),
];

const USAGE: &str = "usage: instructions [--record REASON | --keep FOLDER | \
    --peer ADDRESS HOST PROGRAM [ARGUMENT…]]";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["subject", host, features] => subject::run(host, *features == "on"),
        [] => check(None),
        ["--record", reason] if !reason.trim().is_empty() => check(Some(reason.trim())),
        // Of one operation, with what callgrind wrote left for callgrind_annotate.
        ["--keep", folder] => keep(Path::new(folder)),
        // One that listens at the first address, in front of the second.
        ["--peer", address, host, program, arguments @ ..] => {
            addresses(address, host).and_then(|(address, host)| {
                theirs(&Peer {
                    address,
                    host,
                    program,
                    arguments,
                })
            })
        }
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("instructions: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn addresses(address: &str, host: &str) -> Result<(SocketAddr, SocketAddr), String> {
    let parse = |text: &str| text.parse().map_err(|e| format!("{text}: {e}"));
    Ok((parse(address)?, parse(host)?))
}

/// Compares with what is recorded; with a reason, records what was measured instead.
fn check(reason: Option<&str>) -> Result<(), String> {
    if let Some(missing) = work::missing() {
        let required = env::var_os("REQUIRE_REAL").is_some() || env::var_os("CI").is_some();
        if required || reason.is_some() {
            return Err(missing);
        }
        println!("instructions: not checked: {missing}");
        return Ok(());
    }
    let before = Record::read()?;
    let mut now = Vec::new();
    for (operation, features) in MEASURED {
        let cost = work::measure(operation, Whose::Ours(features), None)?;
        let name = (operation.name(), if features { "on" } else { "off" });
        println!("{}", compared(name, cost, before.cost(name)));
        now.push((name, cost));
    }
    match reason {
        Some(reason) => before.replace(&now, reason),
        None => before.judge(&now),
    }
}

fn keep(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
    for (operation, features) in MEASURED {
        let whose = Whose::Ours(features);
        let cost = work::measure(operation, whose, Some(folder))?;
        println!("{}", compared((operation.name(), whose.name()), cost, None));
    }
    Ok(())
}

/// What the same costs another balancer.
fn theirs(peer: &Peer<'_>) -> Result<(), String> {
    for operation in [Operation::Connection, Operation::Message] {
        let whose = Whose::Theirs(peer);
        let cost = work::measure(operation, whose, None)?;
        println!("{}", compared((operation.name(), whose.name()), cost, None));
    }
    Ok(())
}

fn compared(name: (&str, &str), now: Cost, before: Option<Cost>) -> String {
    let (operation, features) = name;
    let recorded = before.map_or_else(
        || "nothing recorded".to_owned(),
        |before| {
            let change = (now.instructions / before.instructions - 1.0) * 100.0;
            format!(
                "recorded {:.0} and {:.1}, so {change:+.1} %",
                before.instructions, before.calls
            )
        },
    );
    format!(
        "{operation:<11} features {features:<6}{:>8.0} instructions {:>5.1} system calls ({recorded})",
        now.instructions, now.calls
    )
}
