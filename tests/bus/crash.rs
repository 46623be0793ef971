//! The node and the broker killed under a stream of commands: each is done once, each is answered.
//! It must not look into the journal: what counts is what the node says it has done.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    activemq::ActiveMq,
    asking::{Hand, Site, signed, weigh},
};

/// The `number`th change, which says so in the history.
pub(crate) fn change(number: u64) -> Value {
    let mut change = weigh("w1", 2 + number % 2);
    change["reason"] = json!(format!("change {number}"));
    change
}

/// How often each change is in the history.
pub(crate) fn done(site: &Site) -> BTreeMap<String, u32> {
    let answer = site.ask(&json!({"command": "history", "limit": 10_000}));
    let mut done = BTreeMap::new();
    for revision in answer["data"]["revisions"].as_array().unwrap() {
        if let Some(reason) = revision["reason"].as_str() {
            *done.entry(reason.to_owned()).or_default() += 1;
        }
    }
    done
}

pub(crate) fn each_once(count: u64) -> BTreeMap<String, u32> {
    (0..count)
        .map(|number| (format!("change {number}"), 1))
        .collect()
}

#[tokio::test]
async fn a_node_that_is_killed_twenty_times_has_done_each_command_once_and_answered_it() {
    const KILLS: u64 = 20;
    const EACH: u64 = 10;
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let mut site = Site::start(broker, &broker.plain(), "").await;
    let mut caller = site.caller("operator").await;
    let login = site.log_in(&mut caller, "operator").await;
    let mut hand = Hand::at(&site, "operator").await;
    let mut answered = BTreeMap::new();
    let mut take = |heard: crate::asking::Heard| {
        let (proven, answer) = heard.read(&login.key);
        assert!(proven && answer["ok"] == true, "{answer}");
        // An answer that comes twice says the same.
        let before = answered.insert(heard.correlation, answer.clone());
        assert!(before.is_none_or(|before| before == answer));
        answered.len() as u64
    };
    for kill in 0..KILLS {
        for number in kill * EACH..(kill + 1) * EACH {
            let token = signed(&login, &site.claims(number, &change(number)));
            let message = hand.message("commands", &number.to_string(), &token);
            hand.send(message).await;
        }
        // Somewhere among these, and not always at the same place.
        let wanted = kill * EACH + kill % EACH;
        while take(hand.answer().await) < wanted {}
        site.node.kill();
        site.node.up().await;
    }
    while take(hand.answer().await) < KILLS * EACH {}
    assert_eq!(done(&site), each_once(KILLS * EACH));
}

#[tokio::test]
async fn a_broker_that_is_killed_has_each_command_done_once_and_answered() {
    const KILLS: u64 = 6;
    const EACH: u64 = 10;
    let Some(mut broker) = ActiveMq::start() else {
        return;
    };
    let mut site = Site::start(&broker, &broker.plain(), "").await;
    let mut caller = site.caller("operator").await;
    let login = site.log_in(&mut caller, "operator").await;
    for kill in 0..KILLS {
        if kill == KILLS / 2 {
            // Both sides wait longer with each failure; here they have no patience left.
            site.node.down().await;
            site.node.up().await;
            caller = site.caller("operator").await;
        }
        // Not awaited: it comes down while commands are under way.
        let killing = tokio::task::spawn_blocking(move || {
            broker.signal(Signal::KILL);
            broker.up();
            broker
        });
        for number in kill * EACH..(kill + 1) * EACH {
            let answer = caller.command(&login, &change(number)).await.unwrap();
            assert_eq!(answer["ok"], true, "{answer}");
        }
        broker = killing.await.unwrap();
    }
    assert_eq!(done(&site), each_once(KILLS * EACH));
}
