//! Messages that no client of ours would send: by their body, or by where they were sent.
//! It must not know how the node finds that out.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use pointsman::stomp::Send;
use serde_json::{Value, json};

use crate::{
    activemq::ActiveMq,
    asking::{Hand, Site, signed, weigh},
    eventually,
};

/// The words under which messages were turned away.
fn words(site: &Site, kind: &str) -> Vec<Value> {
    let told = site.told(kind).into_iter();
    let told = told.filter(|data| data["ok"] != true);
    told.map(|data| data["code"].clone()).collect()
}

/// Sends what our own client would not: it has text for a body.
fn send_raw(broker: &ActiveMq, queue: &str, content_type: &str, body: &[u8]) {
    let place = broker.plain().replace("stomp://", "");
    let mut stream = TcpStream::connect(place).unwrap();
    let connect = "CONNECT\naccept-version:1.2\nhost:x\nlogin:operator\npasscode:operator\n\n\0\
                   SUBSCRIBE\nid:1\ndestination:/temp-queue/raw\n\n\0";
    stream.write_all(connect.as_bytes()).unwrap();
    let length = body.len();
    let head = format!(
        "SEND\ndestination:{queue}\ncontent-type:{content_type}\ncontent-length:{length}\n\
         receipt:1\nreply-to:/temp-queue/raw\n\n"
    );
    let frame = [head.as_bytes(), body, b"\0"].concat();
    stream.write_all(&frame).unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(stream).lines();
    while !said.contains("receipt-id:1") {
        said += &lines.next().unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_is_refused_by_both_queues() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let site = Site::start(broker, &broker.plain(), "").await;
    let mut asking = site.caller("operator").await;
    let login = site.log_in(&mut asking, "operator").await;
    let before = site.node.shown();
    let token = signed(&login, &site.claims(1, &weigh("w1", 99)));
    for (queue, content_type) in [
        ("commands", "application/jwt"),
        ("logins", "application/vnd.pointsman.login+sealed"),
    ] {
        let queue = format!("/queue/pointsman.{queue}.{}", site.name);
        let body = [token.as_bytes(), b"\xff\xfe\x80"].concat();
        send_raw(broker, &queue, content_type, &body);
    }
    eventually!(words(&site, "admin.login-failed") == [json!("sealed")]);
    eventually!(words(&site, "admin.command").len() == 1);
    assert!(
        ["malformed", "signature"]
            .map(Value::from)
            .contains(&words(&site, "admin.command")[0])
    );
    assert_eq!(site.node.shown(), before);
    let answer = asking.command(&login, &weigh("w1", 5)).await.unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
}

#[tokio::test]
async fn what_was_sent_to_all_queues_by_a_pattern_is_refused_and_changes_nothing() {
    // The broker hands it to whoever subscribes to any of them later: not to be shared.
    let Some(broker) = ActiveMq::start() else {
        return;
    };
    let mut site = Site::start(&broker, &broker.plain(), "").await;
    let mut asking = site.caller("operator").await;
    let login = site.log_in(&mut asking, "operator").await;
    let before = (site.node.shown(), site.node.file());
    let token = signed(&login, &site.claims(1, &weigh("w1", 99)));
    let mut hand = Hand::at(&site, "operator").await;
    let to_all = |queue: &str| {
        Send::new(format!("/queue/pointsman.{queue}.*"))
            .header("reply-to", "/temp-queue/by-hand")
            .header("correlation-id", "to all")
            .header("persistent", "true")
            .body(&*token)
    };
    // Not to each subscription that could have it, the broker hands it: often it takes another.
    let mut tries = 0;
    let queues = [
        ("commands", "admin.command"),
        ("logins", "admin.login-failed"),
    ];
    while queues.iter().any(|(_, kind)| words(&site, kind).is_empty()) {
        tries += 1;
        assert!(tries < 10, "the broker keeps it");
        site.node.down().await;
        for (queue, _) in queues {
            hand.send(to_all(queue)).await;
        }
        site.node.up().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for (_, kind) in queues {
        let heard = hand.answer().await;
        assert_eq!(heard.correlation, "to all");
        let (proven, said) = heard.read(&login.key);
        assert!(!proven, "{said}");
        assert_eq!(said["error"]["message"], "not taken");
        let told = words(&site, kind);
        assert!(told.iter().all(|word| word == "destination"), "{told:?}");
    }
    assert_eq!((site.node.shown(), site.node.file()), before);
    // By name it is taken, with the very same token.
    let answer = async {
        hand.send(hand.message("commands", "by name", &token)).await;
        loop {
            let heard = hand.answer().await;
            if heard.correlation == "by name" {
                return heard.read(&login.key);
            }
        }
    };
    let (proven, said) = answer.await;
    assert!(proven && said["ok"] == true, "{said}");
}
