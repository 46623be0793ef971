//! Two nodes of one name on one broker: neither takes commands, until somebody has decided.
//! It must not share their name with other tests.

use serde_json::json;

use crate::{
    activemq::ActiveMq,
    asking::{Hand, Site, config, signed, weigh},
    eventually,
    node::Node,
};

#[tokio::test]
async fn two_nodes_of_one_name_say_so_and_leave_commands_with_the_broker() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let place = broker.plain();
    let mut site = Site::start(broker, &place, "").await;
    let mut asking = site.caller("operator").await;
    let login = site.log_in(&mut asking, "operator").await;
    let mut other = Node::start(&config(broker, &place, &site.name, "")).await;
    let closed = |node: &Node| {
        node.log()
            .matches("closed: another node has our name")
            .count()
    };
    for node in [&site.node, &other] {
        // The second hears the next heartbeat of the first.
        let heard = async {
            while closed(node) < 2 {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let heard = tokio::time::timeout(std::time::Duration::from_secs(30), heard).await;
        assert!(heard.is_ok(), "{}", node.log());
        let told = node.told("node.conflict");
        assert_eq!(told.len(), 1, "{told:?}");
        assert_ne!(told[0]["epoch"], told[0]["other_epoch"]);
    }
    let mut hand = Hand::at(&site, "operator").await;
    let token = signed(&login, &site.claims(1, &weigh("w1", 77)));
    let message = hand.message("commands", "kept", &token);
    hand.send(message).await;
    // Another door is open all the while.
    site.ask(&weigh("w2", 5));
    assert_eq!(site.node.revision(), 2);
    assert_eq!(other.revision(), 1);
    // One of them ends for good; the other takes up what was left, once it is started again.
    other.down().await;
    site.node.down().await;
    site.node.up().await;
    let heard = hand.answer().await;
    assert_eq!(heard.correlation, "kept");
    let (proven, answer) = heard.read(&login.key);
    assert!(proven && answer["ok"] == true, "{answer}");
    eventually!(site.node.revision() == 3);
    let host = &site.node.shown()[0]["group"][0]["host"][0];
    assert_eq!(host["weight"], json!(77));
}
