//! A node that is killed again and again under a stream of changes: at random moments, and at
//! each step of the pipeline. What was answered is there, and nothing is half there.
#![cfg(all(feature = "server", debug_assertions))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[path = "support/admin.rs"]
mod admin;
#[path = "support/ledger.rs"]
mod ledger;
#[path = "support/running.rs"]
mod running;
#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use admin::Admin;
use ledger::{Asked, Ledger};
use running::{Dir, Node};

const CLIENTS: usize = 4;
/// Kills at random moments.
const KILLS: usize = 160;
/// How often each step is reached before it is the last one.
const TIMES: u64 = 7;
const STEPS: [&str; 8] = [
    "before-prepare",
    "after-prepare",
    "before-record",
    "after-record",
    "after-commit",
    "before-rename",
    "after-rename",
    "before-reply",
];

fn node(dir: &Dir) -> Node {
    let hosts: Vec<_> = (1..=8)
        .map(|n| format!("127.0.0.1:700{n}").parse().unwrap())
        .collect();
    let service = support::service("web", &["127.0.0.1:0"], &hosts, "");
    let settings = "state_dir = \"state\"\nthreads = 1\nrevisions_kept = 100000\n";
    Node::new(&dir.0, &format!("# ours\n[node]\n{settings}\n{service}"))
}

/// Sends changes one after the other, until the node is gone.
async fn stream(mut admin: Admin, client: usize, mut extra: Vec<String>) -> Vec<Asked> {
    let mut all = Vec::new();
    loop {
        let mut asked = Asked::any(client, &mut extra);
        let answer = admin.ask(&asked.command()).await;
        let gone = answer.is_err();
        asked.answer = answer.ok();
        all.push(asked);
        if gone {
            return all;
        }
    }
}

/// Has `clients` send changes until the node is gone, which `killer` sees to.
async fn until_gone(node: &mut Node, ledger: &mut Ledger, clients: usize, after: Option<Duration>) {
    let mut streams = Vec::new();
    for client in 0..clients {
        let admin = node.ready().await;
        streams.push(tokio::spawn(stream(admin, client, ledger.extra(client))));
    }
    if let Some(after) = after {
        tokio::time::sleep(after).await;
        node.kill();
    }
    for stream in streams {
        ledger.asked(support::soon(stream).await.unwrap());
    }
    eventually!(node.ended().is_some() || after.is_some());
    node.kill();
}

#[tokio::test]
async fn killed_at_random_moments_it_has_everything_that_it_answered_and_nothing_half() {
    let dir = Dir::new();
    let mut node = node(&dir);
    let mut ledger = Ledger::default();
    for round in 0..KILLS {
        node.start(None);
        if round % 5 == 4 {
            // Before it is up, or just then.
            tokio::time::sleep(Duration::from_micros(rand::random_range(0..40_000))).await;
            node.kill();
            continue;
        }
        ledger.verify(&mut node).await;
        let after = Duration::from_micros(rand::random_range(1_000..100_000));
        until_gone(&mut node, &mut ledger, CLIENTS, Some(after)).await;
    }
    node.start(None);
    ledger.verify_all(&mut node).await;
    eprintln!("{KILLS} kills: {ledger}");
}

#[tokio::test]
async fn killed_at_each_step_it_has_the_change_from_the_record_on_and_not_before() {
    let dir = Dir::new();
    let mut node = node(&dir);
    let mut ledger = Ledger::default();
    let mut kills = 0;
    for times in 1..=TIMES {
        for (index, step) in STEPS.iter().enumerate() {
            // Alone, it is known what must be there; together, changes share a transaction.
            let clients = if times % 2 == 1 { 1 } else { CLIENTS };
            node.start(Some(&format!("{step}:{times}")));
            let before = ledger.revision();
            until_gone(&mut node, &mut ledger, clients, None).await;
            kills += 1;
            if index >= 3 && times % 3 == 0 {
                // Once more, while the file is being redone, where it is behind.
                node.start(Some("before-rename:1"));
                if index < 6 {
                    eventually!(node.ended().is_some());
                    kills += 1;
                }
                node.kill();
            }
            node.start(None);
            ledger.verify(&mut node).await;
            if clients == 1 {
                let recorded = if index >= 3 { times } else { times - 1 };
                let came = ledger.revision() - before.max(1);
                assert_eq!(came, recorded, "{step}:{times}");
            }
            node.kill();
        }
    }
    node.start(None);
    ledger.verify_all(&mut node).await;
    eprintln!("{kills} kills at a step: {ledger}");
}
