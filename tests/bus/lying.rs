//! Brokers that lie, and a node that lives: bounded memory, a reason in its log, and the next.
//! It must not know how the node finds a lie out.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    activemq::ActiveMq,
    asking::{config, weigh},
    eventually,
    listener::Listener,
    node::Node,
};

const CONNECTED: &str = "CONNECTED\nversion:1.2\nheart-beat:500,500\n\n\0\n";

/// What is said to whom, and what the log then says.
type Lie = (&'static str, fn(&mut Victim), &'static str);

/// What a flood is read past for too long, or up to its end: whichever is sooner on this machine.
const FLOODED: &str = "no receipt within 15s|nothing heard for";

const LIES: [Lie; 13] = [
    (
        "another protocol",
        |it| it.say("HTTP/1.1 400 Bad Request\r\n\r\n"),
        "is no command of a broker",
    ),
    ("byte by byte", dribble, "no answer within 5s"),
    (
        "noise",
        |it| it.then(&"\u{1}\u{fffd}x\n".repeat(1000)),
        "this is not STOMP",
    ),
    (
        "a header that is none",
        |it| it.then("MESSAGE\nsubscription\n\n\0"),
        "the header line",
    ),
    (
        "a length that is none",
        |it| it.then("MESSAGE\ncontent-length:-1\n\n\0"),
        "is no content-length",
    ),
    (
        "a length that is too small",
        |it| it.then("MESSAGE\ncontent-length:2\n\nlong\0"),
        "longer than its content-length",
    ),
    (
        "a body without end",
        |it| {
            it.then("MESSAGE\ncontent-length:18446744073709551615\n\n");
            it.flood("x");
        },
        FLOODED,
    ),
    (
        "headers without end",
        |it| {
            it.then("MESSAGE\n");
            it.flood("name:value\n");
        },
        FLOODED,
    ),
    (
        "a header without end",
        |it| {
            it.then("MESSAGE\nname:");
            it.flood("x");
        },
        FLOODED,
    ),
    ("no heart-beats", |it| it.then(""), "nothing heard for"),
    (
        "an error, and then nothing",
        |it| it.then("ERROR\nmessage:out of order\n\nmore\0"),
        "out of order",
    ),
    (
        "what nobody asked for",
        |it| {
            it.then(&"RECEIPT\nreceipt-id:99\n\n\0".repeat(1000));
            it.then(&"RECEIPT\nreceipt-id:x\n\n\0".repeat(1000));
            let stray =
                "MESSAGE\nsubscription:77\nmessage-id:1\nack:1\ndestination:/queue/a\n\nhi\0";
            it.then(&stray.repeat(10_000));
        },
        "nothing heard for",
    ),
    (
        "more than there is room for",
        |it| {
            it.then("");
            for id in it.subscriptions() {
                let head = format!("MESSAGE\nsubscription:{id}\nmessage-id:1\nack:1\n");
                it.say(&(head + "destination:/queue/a\n\nhi\0").repeat(10_000));
            }
        },
        "more unacknowledged messages than there is room for",
    ),
];

/// Somebody who connects to such a broker.
struct Victim {
    stream: TcpStream,
    has_heard: bool,
}

impl Victim {
    /// They may have gone already.
    fn say(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes());
    }

    /// Says it after the connection is made.
    fn then(&mut self, text: &str) {
        if !std::mem::replace(&mut self.has_heard, true) {
            self.say(CONNECTED);
        }
        self.say(text);
    }

    /// Says this again and again, 64 MiB of it.
    fn flood(&mut self, text: &str) {
        let chunk = text.repeat((1 << 20) / text.len());
        for _ in 0..64 {
            self.say(&chunk);
        }
    }

    /// The ids of their subscriptions, once they have those to both queues.
    fn subscriptions(&mut self) -> Vec<String> {
        let mut heard = String::new();
        let mut chunk = [0; 4096];
        while heard.matches("activemq.exclusive").count() < 2 || !heard.trim_end().ends_with('\0') {
            match self.stream.read(&mut chunk) {
                Ok(length @ 1..) => heard += &String::from_utf8_lossy(&chunk[..length]),
                Ok(0) | Err(_) => return Vec::new(),
            }
        }
        let ids = heard.lines().filter_map(|line| line.strip_prefix("id:"));
        ids.map(str::to_owned).collect()
    }
}

fn dribble(victim: &mut Victim) {
    for byte in CONNECTED.replace("version", &"x".repeat(100)).bytes() {
        if victim.stream.write_all(&[byte]).is_err() {
            return;
        }
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing else runs on this thread"
)]
fn pause() {
    thread::sleep(Duration::from_millis(100));
}

/// A broker that tells everybody this; returns where it is. It ends with the program.
fn broker(lie: fn(&mut Victim)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut victim = Victim {
                stream,
                has_heard: false,
            };
            lie(&mut victim);
            // Until they go.
            let _ = std::io::copy(&mut victim.stream, &mut std::io::sink());
        }
    });
    format!("stomp://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_lies_costs_no_memory_is_told_of_and_left_for_the_next() {
    let Some(real) = ActiveMq::start() else {
        return;
    };
    let mut listener = Listener::at(&real, None).await;
    let lying = LIES.map(|(_, lie, _)| broker(lie));
    let mut places = lying.to_vec();
    places.push(real.plain());
    let places = places.join("\", \"");
    let node = Node::start(&config(&real, &places, "lb1", "heart_beat = \"500ms\"")).await;
    let token = node.login("admin");
    let ask = |command| {
        let answer = node.post("/v1/commands", Some(&token), &command).1;
        assert_eq!(answer["ok"], true, "{answer}");
        answer["data"].clone()
    };
    let is_up = || {
        let bus = &ask(json!({"command": "status"}))["bus"];
        bus["connected"] == true && bus["broker"] == real.plain()
    };
    let began = Instant::now();
    let (mut most, mut weight) = (node.memory(), 1);
    while !is_up() {
        assert!(began.elapsed() < Duration::from_secs(90), "{}", node.log());
        most = most.max(node.memory());
        weight = 1 + weight % 9;
        ask(weigh("w1", weight));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(most < 100 << 20, "{most} bytes");
    let log = node.log();
    for ((name, _, why), place) in LIES.iter().zip(&lying) {
        let told = log
            .lines()
            .filter(|line| line.contains("not connected to the bus"));
        let told = told.filter(|line| line.contains(&format!("{place}: ")));
        let told: Vec<_> = told.collect();
        assert!(
            told.iter()
                .any(|line| why.split('|').any(|why| line.contains(why))),
            "{name}: {told:?}"
        );
        assert!(log.len() < 100_000, "{} bytes of log", log.len());
    }
    let events = ask(json!({"command": "events", "limit": 1}));
    let last = &events["events"][0]["id"];
    listener.until(|event| event["id"] == *last).await;
    listener.assert_complete();
    eventually!(ask(json!({"command": "status"}))["bus"]["waiting"] == 0);
}
