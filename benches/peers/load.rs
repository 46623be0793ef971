//! The comparison with other balancers: hosts, load and measurement, started by `benches/peers/run`.
//! It must not send load to anything but loopback, nor run on without a bound of time.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a table"
)]

mod bare;
mod churn;
mod client;
mod contestant;
mod dial;
mod disturb;
mod gauge;
mod hosts;
mod idle;
mod plan;
mod plot;
mod rounds;
mod settings;
mod table;

use std::{env, process::ExitCode};

/// Raises the number of files that may be open to the hard limit, and gives that limit.
pub(crate) fn raise_file_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() {
        limit.maximum
    } else {
        limit.current
    };
    now.and_then(|n| usize::try_from(n).ok()).unwrap_or(1 << 20)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["hosts", threads, count] => {
            let (threads, count) = (threads.parse().unwrap_or(1), count.parse().unwrap_or(3));
            hosts::serve(threads, count).map_err(|e| e.to_string())
        }
        ["bare", threads, port, hosts @ ..] => {
            let hosts = hosts.iter().filter_map(|host| host.parse().ok());
            let (threads, port) = (threads.parse().unwrap_or(1), port.parse().unwrap_or(0));
            bare::serve(threads, port, &hosts.collect::<Vec<_>>()).map_err(|e| e.to_string())
        }
        [
            "compare",
            length @ ("quick" | "full"),
            folder,
            result,
            contestants @ ..,
        ] => rounds::compare(
            *length == "full",
            folder.as_ref(),
            result.as_ref(),
            contestants,
        ),
        _ => {
            println!("this is started by benches/peers/run");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("peers: {problem}");
            ExitCode::FAILURE
        }
    }
}
