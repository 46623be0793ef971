//! What was asked of a node and what it answered, held against what it says after a crash.
//! It must not believe the node: it carries out every command itself, on a model of its own.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt, fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use serde_json::{Value, json};

use super::{admin::Admin, running::Node};

/// The most of what a query gives at once.
const PAGE: u64 = 10_000;
/// How many replaced files are kept.
const BACKUPS: usize = 50;

/// A change of one host.
#[derive(Clone, Debug)]
enum What {
    Weight(u64),
    Most(u64),
    Add,
    Remove,
}

/// A change that was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    host: String,
    what: What,
    /// Tells it from all others.
    reason: String,
    pub answer: Option<Value>,
}

impl Asked {
    /// Any change; `extra` are hosts that only this client adds and removes.
    pub fn any(client: usize, extra: &mut Vec<String>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Relaxed);
        let (host, what) = match rand::random_range(0..4) {
            // Not what the host has, nor what it began with: each must make a revision.
            0 => (shared(), What::Weight(2 + number % 255)),
            1 => match extra.pop() {
                Some(host) => (host, What::Remove),
                None => {
                    extra.push(format!("x{client}-{number}"));
                    (format!("x{client}-{number}"), What::Add)
                }
            },
            _ => (shared(), What::Most(1000 + number)),
        };
        Self {
            host,
            what,
            reason: format!("c{client} n{number}"),
            answer: None,
        }
    }

    pub fn command(&self) -> Value {
        let (host, reason) = (format!("web/blue/{}", self.host), &self.reason);
        match self.what {
            What::Weight(weight) => {
                json!({"command": "set-weight", "host": host, "weight": weight, "reason": reason})
            }
            What::Most(most) => {
                json!({"command": "set-host", "host": host, "max_sessions": most, "reason": reason})
            }
            What::Add => {
                json!({"command": "add-host", "host": host, "address": "127.0.0.1:7999", "reason": reason})
            }
            What::Remove => json!({"command": "remove-host", "host": host, "reason": reason}),
        }
    }
}

fn shared() -> String {
    format!("w{}", rand::random_range(1..=8))
}

/// Weight and `max_sessions` by host.
type Hosts = BTreeMap<String, (u64, Option<u64>)>;

/// The book.
pub struct Ledger {
    asked: HashMap<String, Asked>,
    /// Revisions that were answered, with the reason that they must have.
    answered: BTreeMap<u64, String>,
    /// Changes that are in the history.
    made: HashSet<String>,
    hosts: Hosts,
    revision: u64,
    sequence: u64,
    answers: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            asked: HashMap::new(),
            answered: BTreeMap::new(),
            made: HashSet::new(),
            hosts: (1..=8).map(|n| (format!("w{n}"), (1, None))).collect(),
            revision: 0,
            sequence: 0,
            answers: 0,
        }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} changes asked, {} answered, {} revisions, {} events",
            self.asked.len(),
            self.answers,
            self.revision,
            self.sequence
        )
    }
}

impl Ledger {
    /// The newest revision that was verified.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Hosts that `client` has added and not removed.
    pub fn extra(&self, client: usize) -> Vec<String> {
        let prefix = format!("x{client}-");
        let own = self.hosts.keys().filter(|host| host.starts_with(&prefix));
        own.cloned().collect()
    }

    pub fn asked(&mut self, all: Vec<Asked>) {
        for asked in all {
            if let Some(answer) = &asked.answer {
                assert_eq!(answer["ok"], true, "{asked:?}");
                self.answers += 1;
                // A weight that it had already makes no revision.
                if answer["diff"].is_array() {
                    let revision = answer["revision"].as_u64().unwrap();
                    let twice = self.answered.insert(revision, asked.reason.clone());
                    assert_eq!(twice, None, "two changes are revision {revision}");
                }
            }
            self.asked.insert(asked.reason.clone(), asked);
        }
    }

    /// Holds what came since the last time against what the node says now.
    pub async fn verify(&mut self, node: &mut Node) {
        let mut admin = node.ready().await;
        self.verify_history(&mut admin).await;
        self.verify_events(&mut admin).await;
        self.verify_topology(&mut admin, &node.file).await;
        verify_disk(node);
    }

    /// Holds everything from the beginning against what the node says.
    pub async fn verify_all(&mut self, node: &mut Node) {
        let fresh = Self::default();
        (self.hosts, self.revision, self.sequence) = (fresh.hosts, 0, 0);
        self.made.clear();
        self.verify(node).await;
    }

    async fn verify_history(&mut self, admin: &mut Admin) {
        let newest = admin.data(json!({"command": "history", "limit": 1})).await;
        let newest = newest["revisions"][0]["revision"].as_u64().unwrap();
        let came = newest.checked_sub(self.revision).unwrap();
        let command = json!({"command": "history", "limit": came.clamp(1, PAGE)});
        let history = admin.data(command).await;
        let mut new = history["revisions"].as_array().unwrap().clone();
        new.retain(|revision| revision["revision"].as_u64().unwrap() > self.revision);
        assert_eq!(new.len() as u64, came, "a gap in the revisions");
        for revision in new.iter().rev() {
            self.revision += 1;
            assert_eq!(revision["revision"], self.revision, "a gap: {revision}");
            self.take_in(revision);
        }
        let lost = self.answered.range(self.revision + 1..).next();
        assert_eq!(lost, None, "answered, and lost");
    }

    /// Carries out what made `revision`, and compares.
    fn take_in(&mut self, revision: &Value) {
        if self.revision == 1 {
            assert_eq!(revision["author"], "file");
            return;
        }
        let reason = revision["reason"].as_str();
        let reason = reason.unwrap_or_else(|| panic!("nobody asked for {revision}"));
        if let Some(answered) = self.answered.get(&self.revision) {
            assert_eq!(reason, answered, "another change has its revision");
        }
        assert!(self.made.insert(reason.to_owned()), "twice: {revision}");
        let Asked { host, what, .. } = &self.asked[reason];
        let path = format!("web/blue/{host}");
        let entry = self.hosts.entry(host.clone()).or_insert((1, None));
        let (begin, end) = match what {
            What::Weight(weight) => {
                let begin = format!("~ {path} weight: {} →", entry.0);
                entry.0 = *weight;
                (begin, format!(" {weight}"))
            }
            What::Most(most) => {
                entry.1 = Some(*most);
                (format!("~ {path} max_sessions: "), format!(" → {most}"))
            }
            What::Add => (format!("+ {path} "), String::new()),
            What::Remove => {
                self.hosts.remove(host);
                (format!("- {path}"), String::new())
            }
        };
        let diff = revision["diff"].as_array().unwrap();
        let line = diff[0].as_str().unwrap();
        let fits = diff.len() == 1 && line.starts_with(&begin) && line.ends_with(&end);
        assert!(fits, "{begin}…{end} is not {diff:?}");
    }

    async fn verify_events(&mut self, admin: &mut Admin) {
        loop {
            let command = json!({"command": "events", "since": self.sequence, "limit": PAGE});
            let data = admin.data(command).await;
            let events = data["events"].as_array().unwrap();
            if events.is_empty() {
                return;
            }
            for event in events {
                self.sequence += 1;
                let sequence = self.sequence.to_string();
                assert_eq!(event["sequence"], sequence, "a gap or a duplicate");
                assert_ne!(event["type"], "pointsman.config.conflict", "{event}");
            }
        }
    }

    async fn verify_topology(&self, admin: &mut Admin, file: &Path) {
        let shown = admin.data(json!({"command": "show"})).await;
        let hosts = shown["services"][0]["group"][0]["host"].as_array().unwrap();
        let host = |host: &Value| {
            let name = host["name"].as_str().unwrap().to_owned();
            let weight = host["weight"].as_u64().unwrap_or(1);
            (name, (weight, host["max_sessions"].as_u64()))
        };
        let hosts: Hosts = hosts.iter().map(host).collect();
        assert_eq!(hosts, self.hosts, "not what the revisions come to");

        let text = fs::read_to_string(file).unwrap();
        assert!(text.starts_with("# ours\n"), "{text}");
        let config = pointsman::config::parse(&text);
        let config = config.unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        let services = serde_json::to_value(&config.topology.services).unwrap();
        assert_eq!(services, shown["services"], "the file is not what runs");
        let answer = admin.ask(&json!({"command": "diff"})).await.unwrap();
        assert!(
            answer["diff"].as_array().is_none_or(Vec::is_empty),
            "{answer}"
        );
    }
}

/// Nothing is left lying about, and no more is kept than should be.
fn verify_disk(node: &Node) {
    let names = |dir: &Path| -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect()
    };
    let known = ["pointsman.toml", "state", "log"];
    let left = names(node.file.parent().unwrap());
    assert!(
        left.iter().all(|name| known.contains(&name.as_str())),
        "{left:?}"
    );
    let backups = names(&node.state.join("backups"));
    assert!(backups.len() <= BACKUPS, "{backups:?}");
    assert!(
        backups.iter().all(|name| !name.ends_with("tmp")),
        "{backups:?}"
    );
    let known = [
        "journal.db",
        "journal.db-wal",
        "admin.sock",
        "backups",
        "keys",
        "settings.json",
        "settings.new",
    ];
    let left = names(&node.state);
    assert!(
        left.iter().all(|name| known.contains(&name.as_str())),
        "{left:?}"
    );
}
