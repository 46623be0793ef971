//! Tests of the journal, and what they have in common.
//! It must not test anything itself.

mod contract;
mod crash;
mod failures;
mod retention;
mod speed;

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::json;

use super::*;
use crate::model::{
    event::Event,
    policy::Needs,
    principal::{Door, Role},
    state::{Jobs, Pending},
};

const PLENTY: Keep = Keep {
    events: 100_000,
    revisions: 1000,
};

/// A directory that goes with the test.
#[derive(Debug)]
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("pointsman-journal-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join(FILE)
    }

    fn open(&self) -> Journal {
        Journal::open(&self.0, PLENTY).unwrap()
    }
}

impl Deref for Dir {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The configuration of revision `n`: `hosts` hosts, of which another one has changed each time.
fn topology(n: u64, hosts: u64) -> Topology {
    let host = |i: u64| {
        let weight = if i == n % hosts { 2 + n % 255 } else { 1 };
        let address = format!("10.1.{}.{}:8080", i / 250, 1 + i % 250);
        let name = format!("web-{i}.rack-{}.example.org", i % 40);
        json!({"name": name, "address": address, "weight": weight, "max_sessions": 1000 + i})
    };
    let hosts: Vec<_> = (0..hosts).map(host).collect();
    let group = json!({"name": "blue", "host": hosts});
    let service = json!({"name": "web", "listen": ["0.0.0.0:80"], "group": [group]});
    serde_json::from_value(json!({"service": [service]})).unwrap()
}

/// What a command that makes revision `n` leaves behind.
fn entry(n: u64, hosts: u64) -> Entry {
    let revision = Revision {
        revision: n,
        time: 1000 + n,
        author: "ada".to_owned(),
        door: Door::Socket,
        reason: n.is_multiple_of(2).then(|| format!("ticket {n}")),
        diff: vec![format!("~ web/blue/w{n} weight: 1 → 2")],
    };
    Entry {
        time: 1000 + n,
        revision: Some((revision, topology(n, hosts))),
        jobs: None,
        file_digest: Some(vec![n as u8; 32]),
        events: vec![
            Event::new("host.changed", "web/blue/w1", json!({"weight": n})),
            Event::new("config.changed", n, json!({"revision": n})),
        ],
        keep: Vec::new(),
        answered: Some(answered(n)),
    }
}

fn answered(n: u64) -> Answered {
    Answered {
        id: ("login".to_owned(), format!("id {n}")),
        digest: vec![n as u8; 32],
        answer: format!("{{\"ok\":true,\"revision\":{n}}}"),
    }
}

fn events(kind: &str, count: u64) -> Entry {
    Entry {
        time: 1000,
        events: (0..count).map(|n| Event::bare(kind, n)).collect(),
        ..Entry::default()
    }
}

fn pending(restore: u64) -> Jobs {
    let pending = Pending {
        revision: restore + 1,
        restore,
        until: 5000,
        needs: Needs {
            role: Role::Admin,
            service: None,
        },
    };
    Jobs {
        pending: Some(pending),
        drains: Vec::new(),
    }
}
