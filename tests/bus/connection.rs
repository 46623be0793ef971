//! The STOMP client and the broker as it really is.
//! It must not know what a node sends.

use std::time::{Duration, Instant};

use pointsman::stomp::{
    Acknowledge, Client, Delivery, Error, Incoming, Link, Options, Send, Subscribe, Subscription,
    Trust, frame::Body,
};
use rustix::process::Signal;

use crate::{activemq::ActiveMq, support::soon};

const COMMANDS: &str = "/queue/pointsman.commands.lb1";

fn subscribe(destination: &str) -> Subscribe {
    Subscribe {
        destination: destination.to_owned(),
        acknowledge: Acknowledge::Individually,
        headers: vec![("activemq.prefetchSize".to_owned(), "1".to_owned())],
        room: 1,
    }
}

async fn message(subscription: &mut Subscription) -> Delivery {
    let mut incoming = soon(subscription.next()).await.unwrap();
    if incoming == Incoming::Ready {
        incoming = soon(subscription.next()).await.unwrap();
    }
    let Incoming::Message(delivery) = incoming else {
        panic!("{incoming:?}");
    };
    delivery
}

#[tokio::test]
async fn messages_cross_it_plain_and_over_tls_whatever_is_in_them() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let certificate = Trust {
        ca_file: Some(broker.env("CA_FILE").into()),
        identity: Some((
            broker.env("CERT_FILE").into(),
            broker.env("KEY_FILE").into(),
        )),
    };
    for (number, place) in [broker.plain(), broker.tls(), broker.mutual()]
        .iter()
        .enumerate()
    {
        let mut options = broker.options_at(place, "pointsman");
        options.trust = certificate.clone();
        let node = Client::open(options);
        let queue = format!("{COMMANDS}-{number}");
        let mut commands = node.subscribe(subscribe(&queue)).await.unwrap();
        assert_eq!(soon(commands.next()).await, Some(Incoming::Ready));
        let operator = broker.client("operator").await;
        for body in ["{\"a\":1}", "a\0b\0", "é\n\n", &"x".repeat(65_537)] {
            let send = Send::new(&*queue)
                .header("odd:one", " a:b\\c\nd\r ")
                .header("receipt-id", "2")
                .body(body);
            operator.send(send).await.unwrap();
            let delivery = message(&mut commands).await;
            let header = |name| delivery.headers.get(name);
            assert_eq!(header("JMSXUserID"), Some("operator"));
            assert_eq!(header("destination"), Some(&*queue));
            assert_eq!(header("odd:one"), Some(" a:b\\c\nd\r "));
            // The broker hands it on; it is no receipt for that.
            assert_eq!(header("receipt-id"), Some("2"));
            let expected = match body.len() {
                65_537 => Body::TooLong(65_537),
                _ => Body::Whole(body.as_bytes().to_vec()),
            };
            assert_eq!(delivery.body, expected);
            node.ack(&delivery).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_answer_comes_back_by_a_temporary_queue() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let (node, operator) = (
        broker.client("pointsman").await,
        broker.client("operator").await,
    );
    let queue = "/queue/pointsman.commands.answering";
    let mut commands = node.subscribe(subscribe(queue)).await.unwrap();
    let mut answers = operator
        .subscribe(subscribe("/temp-queue/answers"))
        .await
        .unwrap();
    assert_eq!(soon(answers.next()).await, Some(Incoming::Ready));
    let asked = Send::new(queue).header("reply-to", "/temp-queue/answers");
    operator.send(asked).await.unwrap();
    let command = message(&mut commands).await;
    let reply_to = command.headers.get("reply-to").unwrap();
    assert!(reply_to.starts_with("/remote-temp-queue/"), "{reply_to}");
    node.send(Send::new(reply_to).body("done")).await.unwrap();
    node.ack(&command).await.unwrap();
    let answer = message(&mut answers).await;
    assert_eq!(answer.body, Body::Whole(b"done".to_vec()));
    assert_eq!(answer.headers.get("JMSXUserID"), Some("pointsman"));
}

async fn why_down(options: Options) -> String {
    let client = Client::open(options);
    let mut link = client.link();
    let down = soon(link.wait_for(|link| matches!(link, Link::Down(Some(_))))).await;
    let down = down.unwrap().clone();
    let Link::Down(Some(why)) = down else {
        panic!("{down:?}");
    };
    why
}

#[tokio::test]
async fn who_is_not_who_they_say_gets_no_connection_and_is_told_why() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let mut wrong = broker.options("pointsman");
    wrong.passcode = Some("wrong".into());
    let why = why_down(wrong).await;
    assert!(
        why.contains("refused the log-in: User name [pointsman]"),
        "{why}"
    );

    // The system's authorities do not know ours.
    let mut untrusted = broker.options_at(&broker.tls(), "pointsman");
    untrusted.trust = Trust::default();
    let why = why_down(untrusted).await;
    assert!(
        why.contains("TLS") || why.contains("ca-certificates"),
        "{why}"
    );

    let other_name = broker.tls().replace("localhost", "127.0.0.2");
    let why = why_down(broker.options_at(&other_name, "pointsman")).await;
    assert!(why.contains("127.0.0.2"), "{why}");

    let why = why_down(broker.options_at(&broker.mutual(), "pointsman")).await;
    assert!(why.contains("broke") || why.contains("TLS"), "{why}");
}

#[tokio::test]
async fn a_right_that_is_missing_is_an_error_of_that_message_only() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let viewer = broker.client("viewer").await;
    let refused = viewer.send(Send::new(COMMANDS).body("x")).await;
    let Err(Error::Refused(why)) = refused else {
        panic!("{refused:?}")
    };
    assert!(why.contains("viewer is not authorized"), "{why}");
    let mut commands = viewer.subscribe(subscribe(COMMANDS)).await.unwrap();
    let Some(Incoming::Refused(why)) = soon(commands.next()).await else {
        panic!()
    };
    assert!(why.contains("not authorized"), "{why}");
    let mut events = viewer
        .subscribe(subscribe("/topic/pointsman.events.host"))
        .await
        .unwrap();
    assert_eq!(soon(events.next()).await, Some(Incoming::Ready));
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_after_a_crash_of_the_broker() {
    let Some(mut broker) = ActiveMq::start() else {
        return;
    };
    let (node, operator) = (
        broker.client("pointsman").await,
        broker.client("operator").await,
    );
    let mut commands = node.subscribe(subscribe(COMMANDS)).await.unwrap();
    for body in ["one", "two"] {
        let send = Send::new(COMMANDS).header("persistent", "true").body(body);
        operator.send(send).await.unwrap();
    }
    let one = message(&mut commands).await;
    node.ack(&one).await.unwrap();
    let two = message(&mut commands).await;
    broker.signal(Signal::KILL);
    let mut link = node.link();
    soon(link.wait_for(|link| matches!(link, Link::Down(_))))
        .await
        .unwrap();
    assert_eq!(node.ack(&two).await, Err(Error::Stale));
    broker.up();
    let again = message(&mut commands).await;
    assert_eq!(again.body, two.body);
    node.ack(&again).await.unwrap();
}

#[tokio::test]
async fn a_broker_that_hangs_is_noticed_within_three_heart_beats_and_the_next_is_taken() {
    let (Some(first), Some(second)) = (ActiveMq::start(), ActiveMq::start()) else {
        return;
    };
    let beat = Duration::from_millis(500);
    let mut options = first.options("pointsman");
    options.brokers.push(second.plain().parse().unwrap());
    options.heart_beat = beat;
    let client = Client::open(options);
    client.up(Duration::from_secs(10)).await.unwrap();
    let mut link = client.link();
    // Nothing is wrong with a broker that only beats.
    let quiet = tokio::time::timeout(10 * beat, link.changed()).await;
    assert!(quiet.is_err(), "{:?}", link.borrow());
    first.signal(Signal::STOP);
    let hung = Instant::now();
    let up = soon(link.wait_for(|link| matches!(link, Link::Up { session: 2, .. }))).await;
    assert_eq!(
        *up.unwrap(),
        Link::Up {
            broker: second.plain().parse().unwrap(),
            session: 2
        }
    );
    // The last beat before it may be one old.
    assert!(hung.elapsed() < 4 * beat, "{:?}", hung.elapsed());
    first.signal(Signal::CONT);
}
