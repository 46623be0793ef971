//! The client against brokers that do as the test says, in paused time.
//! It must not use a socket: time would go on while one is waited for.

use std::{collections::BTreeMap, time::Duration};

use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{frame::Body, *};

/// The end of a connection that a broker would have.
struct Fake {
    broker: Broker,
    stream: DuplexStream,
}

/// What a client sent.
#[derive(Debug)]
struct Sent {
    command: String,
    headers: BTreeMap<String, String>,
    body: String,
}

const SECOND: Duration = Duration::from_secs(1);

fn options() -> Options {
    Options {
        heart_beat: 10 * SECOND,
        login: Some("pointsman".to_owned()),
        passcode: Some(SecretString::from("open:sesame")),
        max_body: 16,
        ..Options::new(vec![
            "stomp://one".parse().unwrap(),
            "stomp://two".parse().unwrap(),
        ])
    }
}

/// A client, and the connections that it makes; so many bytes may be under way in each.
fn client_with(options: Options, under_way: usize) -> (Client, mpsc::Receiver<Fake>) {
    let (send, dialled) = mpsc::channel(100);
    let open = move |broker: Broker, _| {
        let (ours, theirs) = duplex(under_way);
        let send = send.clone();
        Box::pin(async move {
            let fake = Fake {
                broker,
                stream: theirs,
            };
            send.send(fake)
                .await
                .map_err(|_| "nobody there".to_owned())?;
            dial::Opened::Ok(Box::new(ours))
        }) as _
    };
    (Client::over(options, Box::new(open)), dialled)
}

fn client() -> (Client, mpsc::Receiver<Fake>) {
    client_with(options(), 64 * 1024)
}

/// A client that is connected, with its first connection.
async fn connected() -> (Client, mpsc::Receiver<Fake>, Fake) {
    let (client, mut dialled) = client();
    let mut fake = dialled.recv().await.unwrap();
    fake.greet().await;
    client.up(SECOND).await.unwrap();
    (client, dialled, fake)
}

impl Fake {
    async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next frame of the client; heart-beats are passed over. `None` at the end.
    async fn heard(&mut self) -> Option<Sent> {
        let mut bytes = Vec::new();
        loop {
            match self.stream.read_u8().await {
                Ok(b'\n') if bytes.is_empty() => {}
                Ok(0) => break,
                Ok(byte) => bytes.push(byte),
                Err(_) => return None,
            }
        }
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let command = lines.next().unwrap().to_owned();
        let pair = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.to_owned())
        };
        Some(Sent {
            command,
            headers: lines.map(pair).collect(),
            body: body.to_owned(),
        })
    }

    /// The next frame, which is this command.
    async fn expect(&mut self, command: &str) -> Sent {
        let sent = self.heard().await.unwrap();
        assert_eq!(sent.command, command, "{sent:?}");
        sent
    }

    /// Lets the client log in.
    async fn greet(&mut self) -> Sent {
        let connect = self.expect("CONNECT").await;
        self.say("CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n\0\n")
            .await;
        connect
    }

    async fn confirm(&mut self, sent: &Sent) {
        let receipt = &sent.headers["receipt"];
        self.say(&format!("RECEIPT\nreceipt-id:{receipt}\n\n\0"))
            .await;
    }

    async fn message(&mut self, subscription: &str, ack: &str, body: &str) {
        let headers = format!("subscription:{subscription}\nmessage-id:{ack}\nack:{ack}");
        self.say(&format!(
            "MESSAGE\n{headers}\ndestination:/queue/a\n\n{body}\0"
        ))
        .await;
    }
}

fn subscribe(acknowledge: Acknowledge, room: usize) -> Subscribe {
    Subscribe {
        destination: "/queue/a".to_owned(),
        acknowledge,
        headers: vec![("selector".to_owned(), "a = 'b:c'".to_owned())],
        room,
    }
}

fn note(text: &str) -> Send {
    Send::new("/topic/a").body(text)
}

fn down(client: &Client) -> String {
    match &*client.link().borrow() {
        Link::Down(Some(why)) => why.clone(),
        link => panic!("{link:?}"),
    }
}

fn delivery(incoming: Option<Incoming>) -> Delivery {
    match incoming {
        Some(Incoming::Message(delivery)) => delivery,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn it_logs_in_with_the_one_version_that_it_speaks() {
    let (_client, mut dialled) = client();
    let mut fake = dialled.recv().await.unwrap();
    let connect = fake.greet().await;
    let header = |name: &str| connect.headers[name].as_str();
    assert_eq!(header("accept-version"), "1.2");
    assert_eq!(header("host"), "one");
    assert_eq!(header("login"), "pointsman");
    assert_eq!(header("passcode"), "open:sesame");
    assert_eq!(header("heart-beat"), "10000,10000");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_refuses_the_login_or_speaks_another_version_is_passed_over() {
    let (client, mut dialled) = client();
    let mut link = client.link();
    for (answer, why) in [
        (
            "ERROR\nmessage:User name [x] is invalid.\n\n\0",
            "stomp://one:61613: the broker refused the log-in: User name [x] is invalid.",
        ),
        (
            "CONNECTED\nversion:1.1\n\n\0",
            "stomp://two:61613: the broker speaks STOMP \"1.1\", and not 1.2",
        ),
        (
            "CONNECTED\n\n\0",
            "stomp://one:61613: the broker speaks STOMP \"1.0\", and not 1.2",
        ),
        (
            "HTTP/1.1 200 OK\n",
            "stomp://two:61613: \"HTTP/1.1 2\" is no command of a broker",
        ),
        ("", "stomp://one:61613: no answer within 5s"),
    ] {
        let mut fake = dialled.recv().await.unwrap();
        fake.expect("CONNECT").await;
        fake.say(answer).await;
        link.changed().await.unwrap();
        assert_eq!(down(&client), why);
    }
    assert!(!format!("{:?}", options()).contains("sesame"));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_when_its_receipt_has_come() {
    let (client, _dialled, mut fake) = connected().await;
    let sending = tokio::spawn({
        let client = client.clone();
        async move { client.send(note("hi").header("a", "b:c")).await }
    });
    let sent = fake.expect("SEND").await;
    assert_eq!(sent.headers["a"], "b\\cc");
    assert_eq!(sent.body, "hi");
    assert!(
        timeout(14 * SECOND, fake.stream.read_u8()).await.is_ok(),
        "a heart-beat"
    );
    assert!(!sending.is_finished());
    fake.say("RECEIPT\nreceipt-id:99\n\n\0\n").await;
    fake.confirm(&sent).await;
    assert_eq!(sending.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_error_is_that_of_the_message_that_it_names_and_of_no_other() {
    let (client, _dialled, mut fake) = connected().await;
    let one = client.begin(note("1")).await.unwrap();
    let other = client.begin(note("2")).await.unwrap();
    let (first, second) = (fake.expect("SEND").await, fake.expect("SEND").await);
    let receipt = &first.headers["receipt"];
    fake.say(&format!(
        "ERROR\nreceipt-id:{receipt}\nmessage:not yours\\c no\n\n\0"
    ))
    .await;
    fake.confirm(&second).await;
    assert_eq!(
        one.confirmed().await,
        Err(Error::Refused("not yours: no".to_owned()))
    );
    assert_eq!(other.confirmed().await, Ok(()));
    let unsayable = client.send(Send::new("/queue/\0")).await;
    assert!(matches!(unsayable, Err(Error::Unsayable(_))));
    assert!(matches!(
        &*client.link().borrow(),
        Link::Up { session: 1, .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_does_not_come_is_an_error_and_ends_the_connection() {
    let (client, mut dialled, mut fake) = connected().await;
    let began = Instant::now();
    let sending = client.begin(note("hi")).await.unwrap();
    let sending = tokio::spawn(sending.confirmed());
    // It is not dead: it just does not confirm.
    while !sending.is_finished() {
        fake.say("\n").await;
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(sending.await.unwrap(), Err(Error::Lost));
    assert!(began.elapsed() <= 16 * SECOND && began.elapsed() >= 15 * SECOND);
    assert_eq!(down(&client), "stomp://one:61613: no receipt within 15s");
    let mut next = dialled.recv().await.unwrap();
    assert_eq!(next.broker.host, "two");
    next.greet().await;
    client.up(SECOND).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_is_dead_after_three_heart_beats_and_the_next_is_taken() {
    let (client, mut dialled, _fake) = connected().await;
    let (began, mut link) = (Instant::now(), client.link());
    link.changed().await.unwrap();
    assert_eq!(began.elapsed(), 30 * SECOND);
    assert_eq!(down(&client), "stomp://one:61613: nothing heard for 30.0s");
    assert_eq!(dialled.recv().await.unwrap().broker.host, "two");
    assert!(began.elapsed() <= 30 * SECOND + SECOND / 10);
}

#[tokio::test(start_paused = true)]
async fn the_broker_hears_from_us_twice_in_the_time_that_we_promised() {
    let (_client, _dialled, mut fake) = connected().await;
    let began = Instant::now();
    for beat in 1..=4 {
        fake.say("\n").await;
        assert_eq!(fake.stream.read_u8().await.unwrap(), b'\n');
        assert_eq!(began.elapsed(), 5 * beat * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_connection_nothing_is_sent_now_or_later() {
    let (client, mut dialled, fake) = connected().await;
    let mut link = client.link();
    drop(fake);
    link.changed().await.unwrap();
    assert_eq!(down(&client), "stomp://one:61613: the broker hung up");
    assert_eq!(client.send(note("1")).await, Err(Error::Down));
    let mut next = dialled.recv().await.unwrap();
    assert_eq!(client.send(note("2")).await, Err(Error::Down));
    next.greet().await;
    client.up(SECOND).await.unwrap();
    let _third = client.begin(note("3")).await.unwrap();
    assert_eq!(next.expect("SEND").await.body, "3");
}

#[tokio::test(start_paused = true)]
async fn what_a_broker_says_before_it_hangs_up_is_why_it_did() {
    let (client, _dialled, mut fake) = connected().await;
    let sending = client.begin(note("1")).await.unwrap();
    fake.expect("SEND").await;
    fake.say("ERROR\nmessage:frame too long\n\n\0").await;
    drop(fake);
    assert_eq!(sending.confirmed().await, Err(Error::Lost));
    client
        .link()
        .wait_for(|link| matches!(link, Link::Down(_)))
        .await
        .unwrap();
    assert_eq!(
        down(&client),
        "stomp://one:61613: the broker hung up: frame too long"
    );
}

#[tokio::test(start_paused = true)]
async fn it_subscribes_before_it_sends_on_every_connection() {
    let (client, mut dialled) = client();
    let mut subscription = client
        .subscribe(subscribe(Acknowledge::Individually, 2))
        .await
        .unwrap();
    for round in 0..3 {
        let mut fake = dialled.recv().await.unwrap();
        fake.greet().await;
        let sent = fake.expect("SUBSCRIBE").await;
        assert_eq!(sent.headers["destination"], "/queue/a");
        assert_eq!(sent.headers["ack"], "client-individual");
        assert_eq!(sent.headers["selector"], "a = 'b\\cc'");
        // The broker may send before it confirms.
        fake.message("1", "7", "early").await;
        assert!(client.up(SECOND).await.is_err());
        fake.confirm(&sent).await;
        client.up(SECOND).await.unwrap();
        assert_eq!(
            delivery(subscription.next().await).body,
            Body::Whole(b"early".to_vec())
        );
        assert_eq!(subscription.next().await, Some(Incoming::Ready), "{round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_refused_says_so_and_holds_nothing_up() {
    let (client, mut dialled) = client();
    let mut subscription = client
        .subscribe(subscribe(Acknowledge::Auto, 2))
        .await
        .unwrap();
    let mut fake = dialled.recv().await.unwrap();
    fake.greet().await;
    let receipt = fake.expect("SUBSCRIBE").await.headers["receipt"].clone();
    fake.say(&format!(
        "ERROR\nreceipt-id:{receipt}\nmessage:not authorized\n\n\0"
    ))
    .await;
    client.up(SECOND).await.unwrap();
    let refused = Incoming::Refused("not authorized".to_owned());
    assert_eq!(subscription.next().await, Some(refused));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_acknowledged_where_it_came_from_or_not_at_all() {
    let (client, mut dialled, mut fake) = connected().await;
    let mut subscription = client
        .subscribe(subscribe(Acknowledge::Individually, 9))
        .await
        .unwrap();
    let sent = fake.expect("SUBSCRIBE").await;
    fake.confirm(&sent).await;
    assert_eq!(subscription.next().await, Some(Incoming::Ready));
    fake.message("1", "ID\\c1", "a").await;
    fake.message("1", "2", &"x".repeat(17)).await;
    let first = delivery(subscription.next().await);
    let second = delivery(subscription.next().await);
    assert_eq!(second.body, Body::TooLong(17));
    let acking = tokio::spawn({
        let (client, first) = (client.clone(), first.clone());
        async move { client.ack(&first).await }
    });
    let ack = fake.expect("ACK").await;
    assert_eq!(ack.headers["id"], "ID\\c1");
    fake.confirm(&ack).await;
    assert_eq!(acking.await.unwrap(), Ok(()));
    drop(fake);
    let mut fake = dialled.recv().await.unwrap();
    assert_eq!(client.ack(&second).await, Err(Error::Stale));
    fake.greet().await;
    let sent = fake.expect("SUBSCRIBE").await;
    fake.confirm(&sent).await;
    client.up(SECOND).await.unwrap();
    assert_eq!(client.nack(&second).await, Err(Error::Stale));
}

#[tokio::test(start_paused = true)]
async fn who_takes_messages_too_slowly_has_a_gap_and_is_told() {
    let (client, _dialled, mut fake) = connected().await;
    let mut subscription = client
        .subscribe(subscribe(Acknowledge::Auto, 1))
        .await
        .unwrap();
    fake.expect("SUBSCRIBE").await;
    for number in 0..20 {
        fake.message("1", "1", &number.to_string()).await;
    }
    tokio::time::sleep(SECOND).await;
    let mut taken = 0;
    while let Ok(Some(Incoming::Message(_))) = timeout(SECOND, subscription.next()).await {
        taken += 1;
    }
    fake.message("1", "1", "last").await;
    assert_eq!(
        subscription.next().await,
        Some(Incoming::Missed(20 - taken))
    );
    assert_eq!(
        delivery(subscription.next().await).body,
        Body::Whole(b"last".to_vec())
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_acknowledged_one_by_one_is_never_left_out() {
    let (client, _dialled, mut fake) = connected().await;
    let _subscription = client
        .subscribe(subscribe(Acknowledge::Individually, 1))
        .await
        .unwrap();
    let sent = fake.expect("SUBSCRIBE").await;
    fake.confirm(&sent).await;
    for number in 0..20 {
        fake.message("1", &number.to_string(), "x").await;
    }
    client
        .link()
        .wait_for(|link| matches!(link, Link::Down(_)))
        .await
        .unwrap();
    assert!(
        down(&client).contains("more unacknowledged messages"),
        "{}",
        down(&client)
    );
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_reads_nothing_is_still_listened_to() {
    let (client, mut dialled) = client_with(options(), 512);
    let mut fake = dialled.recv().await.unwrap();
    fake.greet().await;
    client.up(SECOND).await.unwrap();
    let mut subscription = client
        .subscribe(subscribe(Acknowledge::Auto, 1))
        .await
        .unwrap();
    fake.expect("SUBSCRIBE").await;
    let flood = tokio::spawn({
        let client = client.clone();
        async move {
            for _ in 0..1000 {
                client.begin(note(&"x".repeat(100))).await.unwrap();
            }
        }
    });
    tokio::time::sleep(SECOND).await;
    assert!(!flood.is_finished(), "what waits to be written is bounded");
    fake.message("1", "1", "hi").await;
    assert_eq!(
        delivery(subscription.next().await).body,
        Body::Whole(b"hi".to_vec())
    );
    // And given up when no receipt comes.
    client
        .link()
        .wait_for(|link| matches!(link, Link::Down(_)))
        .await
        .unwrap();
    flood.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_subscription_is_unsubscribed_and_a_dropped_client_says_goodbye() {
    let (client, mut dialled, mut fake) = connected().await;
    let subscription = client
        .subscribe(subscribe(Acknowledge::Auto, 1))
        .await
        .unwrap();
    let sent = fake.expect("SUBSCRIBE").await;
    drop(subscription);
    assert_eq!(
        fake.expect("UNSUBSCRIBE").await.headers["id"],
        sent.headers["id"]
    );
    let sending = client.begin(note("last")).await.unwrap();
    drop(client);
    let sent = fake.expect("SEND").await;
    let farewell = fake.expect("DISCONNECT").await;
    fake.confirm(&sent).await;
    fake.confirm(&farewell).await;
    assert_eq!(sending.confirmed().await, Ok(()));
    assert!(fake.heard().await.is_none());
    assert!(dialled.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_say_goodbye_is_left_after_a_second() {
    let (client, mut dialled, mut fake) = connected().await;
    let again = client.clone();
    let began = Instant::now();
    client.close().await;
    assert_eq!(began.elapsed(), SECOND);
    fake.expect("DISCONNECT").await;
    assert_eq!(again.send(note("1")).await, Err(Error::Closed));
    assert!(dialled.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn brokers_are_tried_in_order_at_a_pace_that_slows_down() {
    let (client, mut dialled) = client();
    let began = Instant::now();
    for number in 0..40 {
        let fake = dialled.recv().await.unwrap();
        assert_eq!(fake.broker.host, ["one", "two"][number % 2]);
    }
    // Half of it on average; never more than the sum of what doubles twice each up to 30 s.
    let longest: f64 = (0..20)
        .map(|round| 2.0 * (0.1 * 2_f64.powi(round)).min(30.0))
        .sum();
    assert!(
        began.elapsed().as_secs_f64() < longest,
        "{:?}",
        began.elapsed()
    );
    assert!(began.elapsed() > 60 * SECOND, "{:?}", began.elapsed());
    client.close().await;
}
