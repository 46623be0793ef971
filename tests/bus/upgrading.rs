//! Another program in the place of a node on the bus: no event is missing, and no answer.
//! It must not look into either process.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    activemq::ActiveMq,
    asking::{Hand, Site, signed},
    crash::{change, done, each_once},
    listener::Listener,
    upgrade::Heir,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_leaves_no_gap_and_each_command_sent_meanwhile_is_done_and_answered_once() {
    const HALF: u64 = 20;
    let Some(broker) = ActiveMq::start() else {
        return;
    };
    let mut listener = Listener::at(&broker, None).await;
    let site = Site::start(&broker, &broker.plain(), "").await;
    let mut caller = site.caller("operator").await;
    let login = site.log_in(&mut caller, "operator").await;
    let mut hand = Hand::at(&site, "operator").await;
    let mut heirs = Vec::new();
    for half in 0..2 {
        for number in half * HALF..(half + 1) * HALF {
            let token = signed(&login, &site.claims(number, &change(number)));
            hand.send(hand.message("commands", &number.to_string(), &token))
                .await;
        }
        // While they wait, and are carried out.
        heirs.push(Heir::of(&site.ask(&json!({"command": "upgrade"}))));
    }
    let mut answered: BTreeMap<String, u32> = BTreeMap::new();
    while answered.len() as u64 <= 2 * HALF {
        if answered.len() as u64 == 2 * HALF {
            // Whatever was answered twice has come by now.
            let token = signed(
                &login,
                &site.claims(2 * HALF, &json!({"command": "whoami"})),
            );
            hand.send(hand.message("commands", "last", &token)).await;
        }
        let heard = hand.answer().await;
        let (proven, answer) = heard.read(&login.key);
        assert!(proven && answer["ok"] == true, "{answer}");
        *answered.entry(heard.correlation).or_default() += 1;
    }
    assert!(answered.values().all(|times| *times == 1), "{answered:?}");
    assert_eq!(done(&site), each_once(2 * HALF));
    let last = site.events().pop().unwrap();
    listener.until(|event| event["id"] == last["id"]).await;
    listener.assert_complete();
    let upgraded = |event: &&serde_json::Value| event["type"] == "pointsman.node.upgraded";
    assert_eq!(listener.heard.iter().filter(upgraded).count(), 2);
}
