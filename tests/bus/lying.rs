//! A node whose broker lies: it goes on, and tells everything to the one that comes after.
//! It must not need a broker that is installed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pointsman::{
    doors::stomp::{SEALED, caller::Login, key::Key, seal::seal, token::Compact},
    stomp::Options,
};
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::Semaphore, task::JoinSet, time::sleep};

use crate::{
    asking::{Site, password, signed, weigh},
    eventually,
    liar::{Liar, Manners, Sent, TRUTHFUL, Then},
    node::{Node, user},
    support::{echo, exchange, service, soon},
};

/// How much more memory a lie may cost at any time, in bytes.
const MEMORY: usize = 64 << 20;
/// The longest log, and its longest line, in bytes, without what the node was asked to do.
const LOG: [usize; 2] = [16 << 10, 1 << 10];
/// What is changed meanwhile, so that there is something to tell.
const CHANGES: u64 = 30;
/// So many nodes at a time.
const AT_ONCE: usize = 8;
/// How long a node may leave a broker alone, that had it connect often in vain.
const PATIENCE: Duration = Duration::from_secs(45);
/// What the node says when it takes commands from the bus.
const TAKING: &str = "taking messages queue=\"/queue/pointsman.commands.lb1\"";

/// When the two connections of a node end, one for events and one for commands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    Never,
    /// After five or fifteen seconds in vain.
    Late,
    AtOnce,
}

impl Ends {
    /// How many connections are waited for, and how long the node takes for them at least. With
    /// delays by chance of up to 0.1 s, 0.2 s, 0.4 s … it takes less once in millions.
    fn connections(self) -> (usize, Duration) {
        match self {
            Self::Never => (2, Duration::ZERO),
            Self::Late => (4, Duration::from_secs(4)),
            Self::AtOnce => (14, Duration::from_millis(500)),
        }
    }
}

type Lie = (&'static str, Ends, Manners);

const fn greets(name: &'static str, ends: Ends, greeting: fn() -> String) -> Lie {
    let manners = Manners {
        greeting,
        ..TRUTHFUL
    };
    (name, ends, manners)
}

const fn says(name: &'static str, ends: Ends, first: fn(&str) -> String) -> Lie {
    (name, ends, Manners { first, ..TRUTHFUL })
}

const fn confirms(name: &'static str, ends: Ends, receipt: fn(&str) -> String) -> Lie {
    let manners = Manners {
        receipt,
        ..TRUTHFUL
    };
    (name, ends, manners)
}

const fn leaves(name: &'static str, ends: Ends, then: Then, first: fn(&str) -> String) -> Lie {
    let manners = Manners {
        first,
        then,
        ..TRUTHFUL
    };
    (name, ends, manners)
}

/// The slow ones first, so that the others need not be waited for after them.
#[rustfmt::skip]
const LIES: [Lie; 27] = [
    greets("says nothing", Ends::Late, String::new),
    greets("greets without end", Ends::Late, || format!("CONNECTED\nversion:1.2\n\n{}", "x".repeat(200_000))),
    confirms("confirms nothing", Ends::Late, |_| String::new()),
    confirms("confirms what was not sent", Ends::Late, |id| format!("RECEIPT\nreceipt-id:{id}00000\n\n\0RECEIPT\nreceipt-id:-{id}\n\n\0RECEIPT\n\n\0")),
    says("sends less than it says", Ends::Late, |id| format!("MESSAGE\nsubscription:{id}\ncontent-length:1000000\n\nx\0")),
    says("sends for ever", Ends::Late, |id| format!("MESSAGE\nsubscription:{id}\ncontent-length:18446744073709551615\n\nx\0")),
    leaves("reads nothing", Ends::Late, Then::ReadsNothing, |_| String::new()),
    greets("speaks HTTP", Ends::AtOnce, || "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_owned()),
    greets("makes noise", Ends::AtOnce, || "x".repeat(200_000)),
    greets("has no version", Ends::AtOnce, || "CONNECTED\n\n\0".to_owned()),
    greets("has an old version", Ends::AtOnce, || "CONNECTED\nversion:1.0\n\n\0".to_owned()),
    greets("has a version without end", Ends::AtOnce, || format!("CONNECTED\nversion:{}\n\n\0", "9".repeat(8000))),
    greets("greets twice", Ends::AtOnce, || (TRUTHFUL.greeting)() + &(TRUTHFUL.greeting)()),
    leaves("refuses all", Ends::AtOnce, Then::HangsUp, |_| format!("ERROR\nmessage:{}\n\n\0", "no ".repeat(2000))),
    leaves("leaves within a frame", Ends::AtOnce, Then::HangsUp, |id| format!("MESSAGE\nsubscription:{id}\nmess")),
    says("counts to no number", Ends::AtOnce, |_| format!("MESSAGE\ncontent-length:{}\n\n\0", "9".repeat(8000))),
    says("sends headers that are none", Ends::AtOnce, |_| format!("MESSAGE\n{}\n\n\0", "x".repeat(8000))),
    greets("promises a heart-beat in 49 days", Ends::Never, || "CONNECTED\nversion:1.2\nheart-beat:4294967295,4294967295\n\n\0".to_owned()),
    greets("promises heart-beats in letters", Ends::Never, || "CONNECTED\nversion:1.2\nheart-beat:often,99999999999\n\n\0".to_owned()),
    confirms("confirms all and more twice", Ends::Never, |id| format!("RECEIPT\nreceipt-id:{id}00000\n\n\0RECEIPT\nreceipt-id:{id}\n\n\0RECEIPT\nreceipt-id:{id}\n\n\0")),
    says("complains of nothing", Ends::Never, |_| "ERROR\nmessage:no\n\nno\0".repeat(10_000)),
    says("sends for nobody", Ends::Never, |_| "MESSAGE\nsubscription:77\nmessage-id:1\nack:1\ndestination:/queue/x\n\nx\0".repeat(10_000)),
    says("sends without a word on what", Ends::Never, |id| format!("MESSAGE\n\n\0MESSAGE\nsubscription:{id}\n\n\0")),
    says("sends headers without end", Ends::Never, |id| format!("MESSAGE\nlong:{}\n{}subscription:{id}\n\n\0", "x".repeat(1_000_000), "a:b\n".repeat(50_000))),
    says("sends a body of 80 MB", Ends::Never, |id| format!("MESSAGE\nsubscription:{id}\nack:1\ncontent-length:80000000\n\n{}\0", "x".repeat(80_000_000))),
    says("sends what pretends to be receipts", Ends::Never, |id| (1..500).map(|number| format!("MESSAGE\nsubscription:{}\nreceipt-id:{number}\n\n\0", if number == 1 { id } else { "" })).collect()),
    says("commands by itself", Ends::Never, |id| format!("MESSAGE\nsubscription:{id}\nack:1\nJMSXUserID:admin\ndestination:/queue/pointsman.commands.lb1\n\n{}\0", weigh("w1", 99))),
];

async fn start(liar: &Liar) -> Site {
    let config = format!(
        "[node]\nname = \"lb1\"\nthreads = 1\n\n[bus]\nbrokers = [\"{}\"]\n\n{}{}{}",
        liar.place,
        user("operator", "role = \"operator\""),
        user("admin", "role = \"admin\""),
        service("web", &["127.0.0.1:0"], &[echo().await], "")
    );
    let options = Options::new(vec![liar.place.parse().unwrap()]);
    Site::of(Node::start(&config).await, "lb1".to_owned(), options)
}

/// What the node says for itself, without what it was asked to do.
fn log(node: &Node) -> String {
    let log = node.log();
    let lines = log.lines().filter(|line| !line.contains(" INFO admin."));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What has to be true whatever the broker says; `before` is the memory that the node had.
fn assert_sound(node: &Node, before: usize, lie: &str) {
    let (memory, log) = (node.most_memory(), log(node));
    assert!(
        memory < before + MEMORY,
        "{lie}: {before} to {memory} bytes"
    );
    assert!(!log.contains("panicked"), "{lie}: {log}");
    let longest = log.lines().map(str::len).max().unwrap();
    assert!(log.len() < LOG[0] && longest < LOG[1], "{lie}: {log}");
}

/// Waits until it is so, for as long as the node may leave a broker alone.
async fn patiently(node: &Node, lie: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "{lie}: {}", log(node));
        sleep(Duration::from_millis(20)).await;
    }
}

async fn lie_to_a_node((lie, ends, manners): Lie) {
    let liar = Liar::open(manners).await;
    let site = start(&liar).await;
    let node = &site.node;
    let (memory, revision) = (node.most_memory(), node.revision());
    let mut session = soon(TcpStream::connect(node.address())).await.unwrap();
    for number in 0..CHANGES {
        let mut command = weigh("w1", 2 - number % 2);
        command["reason"] = json!("x".repeat(1000));
        site.ask(&command);
        let echoed = exchange(&mut session, b"hello").await.unwrap();
        assert_eq!(echoed, b"hello", "{lie}");
    }
    let taking = || log(node).matches(TAKING).count();
    let (connections, least) = ends.connections();
    let began = || liar.connections.borrow().clone();
    patiently(node, lie, || began().len() >= connections).await;
    let took = began()[connections - 1] - began()[0];
    assert!(took >= least, "{lie}: {took:?}");
    if ends == Ends::Never {
        let told = newest(&site);
        patiently(node, lie, || liar.events.borrow().contains(&told)).await;
        patiently(node, lie, || taking() == 1).await;
        assert_eq!(began().len(), connections, "{lie}: {}", log(node));
    }
    assert_sound(node, memory, lie);

    let before = taking();
    liar.repent();
    site.ask(&weigh("w1", 3));
    let told = newest(&site);
    patiently(node, lie, || liar.events.borrow().contains(&told)).await;
    patiently(node, lie, || taking() > before).await;
    let mut last = 0;
    for number in &*liar.events.borrow() {
        assert!(*number <= last + 1, "{lie}: {number} after {last}");
        last = last.max(*number);
    }
    eventually!(node.done(json!({"command": "status"}))["data"]["bus"]["waiting"] == 0);
    assert_eq!(node.revision(), revision + CHANGES + 1, "{lie}");
    assert_eq!(exchange(&mut session, b"bye").await.unwrap(), b"bye");
    assert_sound(node, memory, lie);
}

fn newest(site: &Site) -> u64 {
    let events = site.events();
    let number = &events.last().unwrap()["sequence"];
    number.as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_broker_says_the_node_goes_on_and_the_next_one_is_told_everything_in_order() {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    for lie in LIES {
        let room = Arc::clone(&room);
        under_way.spawn(async move {
            let _permit = room.acquire().await.unwrap();
            lie_to_a_node(lie).await;
        });
    }
    assert_eq!(under_way.join_all().await.len(), LIES.len());
}

/// Delivers a message to the node, and returns what it answers when it has acknowledged it.
async fn deliver(liar: &mut Liar, queue: &str, number: u64, more: &str, body: &str) -> Sent {
    let queue = format!("/queue/pointsman.{queue}.lb1");
    let (number, more) = (
        number.to_string(),
        format!("reply-to:/remote-temp-queue/1\n{more}"),
    );
    eventually!(liar.deliver(&queue, &number, &more, body));
    let (mut answer, mut acknowledged) = (None, false);
    while answer.is_none() || !acknowledged {
        let sent = soon(liar.heard.recv()).await.unwrap();
        acknowledged |= sent.command == "ACK" && sent.header("id") == number;
        if sent.command == "SEND" {
            answer = Some(sent);
        }
    }
    answer.unwrap()
}

/// What an answer says, signed with `key`.
fn answer(sent: &Sent, key: &Key) -> Value {
    let token = Compact::parse(sent.body.as_bytes()).unwrap();
    token.claims(key).unwrap()["res"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broker_delivers_a_thousand_times_is_carried_out_once_and_told_a_few_times() {
    let mut liar = Liar::open(TRUTHFUL).await;
    let site = start(&liar).await;
    let node = &site.node;
    let (memory, revision, key) = (node.most_memory(), node.revision(), Key::random());

    let mut form = site.claims(1, &json!(null));
    form.as_object_mut().unwrap().remove("cmd");
    form["key"] = json!(key.to_text().as_str());
    form.as_object_mut().unwrap().extend(password("operator"));
    let form = seal(&site.key(), form.to_string().as_bytes()).unwrap();
    let more = format!("content-type:{SEALED}\n");
    let sent = deliver(&mut liar, "logins", 1, &more, &form).await;
    let login = answer(&sent, &key)["data"]["login"]
        .as_str()
        .unwrap()
        .to_owned();
    let login = Login { id: login, key };

    let token = signed(&login, &site.claims(2, &weigh("w1", 7)));
    let mut answers = Vec::new();
    for number in 0..1000 {
        let sent = deliver(&mut liar, "commands", number, "", &token).await;
        answers.push(answer(&sent, &login.key));
        let sent = deliver(&mut liar, "commands", number, "", &token[..token.len() - 1]).await;
        assert!(sent.body.contains("not taken"), "{sent:?}");
    }
    assert_eq!(answers[0]["ok"], true, "{}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(node.revision(), revision + 1);
    let changed = "pointsman.host.changed";
    let events = site.events().into_iter();
    assert_eq!(events.filter(|event| event["type"] == changed).count(), 1);
    let told = site.told("admin.command");
    let carried_out = told.iter().filter(|data| data["ok"] == true).count();
    let turned_away = told.len() - carried_out;
    assert_eq!(carried_out, 1, "{told:?}");
    // The first at once, the others counted up, every ten seconds.
    assert!((1..=8).contains(&turned_away), "{told:?}");
    assert_eq!(liar.connections.borrow().len(), 2, "{}", log(node));
    assert_sound(node, memory, "delivers a thousand times");
}
