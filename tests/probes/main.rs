//! Each probe against a host that fails in each way, and the contract that all of them keep.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::disallowed_methods // nobody here runs on a data thread
)]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use pointsman::{
    health::{BuildError, Means, Outcome, Prober, Program, Target, Verdict, build},
    model::{
        address::{Endpoint, HostAddress},
        topology::Probe,
    },
};
use serde_json::{Value, json};
use tokio::runtime::{self, Runtime};

mod agent;
#[path = "../support/certificate.rs"]
mod certificate;
mod contract;
mod exec;
mod hosts;
mod http;
#[cfg(feature = "server")]
mod tls;

use certificate::certificate;
use hosts::{Host, Manner};

/// The tests count descriptors and processes, so they go one after the other.
static ALONE: Mutex<()> = Mutex::new(());

/// A runtime with nothing in it but the probe.
struct Alone {
    runtime: Runtime,
    _alone: MutexGuard<'static, ()>,
}

fn alone() -> Alone {
    let alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    Alone {
        runtime: runtime.unwrap(),
        _alone: alone,
    }
}

impl Alone {
    /// What comes of asking `address` as `keys` say.
    fn ask(&self, keys: Value, means: &Means, address: SocketAddr) -> Outcome {
        let prober = prober(keys, means).unwrap();
        self.runtime
            .block_on(prober.ask(&target(address), address.into()))
    }
}

/// The probe of `keys`, which are told a timeout of 300 ms where they have none.
fn prober(mut keys: Value, means: &Means) -> Result<Prober, BuildError> {
    let keys = keys.as_object_mut().unwrap();
    keys.entry("timeout").or_insert(json!("300ms"));
    let probe: Probe = serde_json::from_value(json!(keys)).unwrap();
    build(&probe, means)
}

fn target(address: SocketAddr) -> Target {
    Target {
        host: "web/blue/w1".parse().unwrap(),
        address: address.into(),
    }
}

/// Where it is reached.
fn at(target: &Target) -> Endpoint {
    match &target.address {
        HostAddress::At(endpoint) => endpoint.clone(),
        HostAddress::Named(name) => panic!("{name} is a name"),
    }
}

/// Means with one program: a shell that runs `script`.
fn shell(script: &str) -> Means {
    let program = Program {
        file: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        timeout: Duration::from_secs(5),
    };
    let programs = BTreeMap::from([("check".parse().unwrap(), program)]);
    Means::new(programs, BTreeMap::new())
}

fn exec() -> Value {
    json!({"kind": "exec", "program": "check", "interval": "10s", "timeout": "5s"})
}

#[track_caller]
fn came_to(outcome: &Outcome, verdict: Verdict, reason: &str) {
    assert_eq!(outcome.verdict, verdict, "{outcome:?}");
    assert!(outcome.reason.contains(reason), "{outcome:?}");
}

/// Waits until the condition holds.
#[track_caller]
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
