//! What the tests of log-ins and commands have in common: a node, and somebody who asks it.
//! It must not know what is right.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{SystemTime, UNIX_EPOCH},
};

use pointsman::{
    doors::stomp::{
        caller::{Caller, Login},
        key::Key,
        token::{ANSWER, COMMAND, Compact, sign},
    },
    stomp::{Acknowledge, Client, Incoming, Options, Send, Subscribe, Subscription, frame::Body},
};
use serde_json::{Map, Value, json};

use crate::{
    activemq::ActiveMq,
    node::{Node, PASSWORD, user},
    support::soon,
};

/// A node of a name of its own, and how it is asked.
pub(crate) struct Site {
    pub(crate) node: Node,
    pub(crate) name: String,
    /// How a user of the broker connects to it, but for who that is.
    options: Options,
}

impl Site {
    /// A node at `place` of `broker`, with a user for each role.
    pub(crate) async fn start(broker: &ActiveMq, place: &str, more: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("lb{}", NEXT.fetch_add(1, Relaxed));
        let node = Node::start(&config(broker, place, &name, more)).await;
        Self::of(node, name, broker.options_at(place, ""))
    }

    /// `node` called `name`, at the broker to which `options` lead.
    pub(crate) fn of(node: Node, name: String, options: Options) -> Self {
        Self {
            node,
            name,
            options,
        }
    }

    fn options(&self, user: &str) -> Options {
        Options {
            login: Some(user.to_owned()),
            passcode: Some(user.into()),
            ..self.options.clone()
        }
    }

    /// The node's public key.
    pub(crate) fn key(&self) -> String {
        let asked = &mut self.node.command(&["pubkey", "pointsman.toml"]);
        let output = asked.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Somebody who asks it.
    pub(crate) async fn caller(&self, broker_user: &str) -> Caller {
        let caller = Caller::open(self.options(broker_user), "pointsman", &self.name).await;
        caller.unwrap()
    }

    /// Logs `user` in.
    pub(crate) async fn log_in(&self, caller: &mut Caller, user: &str) -> Login {
        let key = Key::random();
        let answer = caller.log_in(&self.key(), &key, password(user)).await;
        let answer = answer.unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
        assert_eq!(answer["data"]["user"], user);
        assert_eq!(answer["data"].get("token"), None);
        let id = answer["data"]["login"].as_str().unwrap().to_owned();
        Login { id, key }
    }

    /// What an admin hears, by another door.
    pub(crate) fn ask(&self, command: &Value) -> Value {
        let token = self.node.login("admin");
        let (_, answer) = self.node.post("/v1/commands", Some(&token), command);
        assert_eq!(answer["ok"], true, "{command}: {answer}");
        answer
    }

    /// Every event.
    pub(crate) fn events(&self) -> Vec<Value> {
        let answer = self.ask(&json!({"command": "events", "since": 0, "limit": 10_000}));
        answer["data"]["events"].as_array().unwrap().clone()
    }

    /// The data of every event of a kind that came by the bus, oldest first.
    pub(crate) fn told(&self, kind: &str) -> Vec<Value> {
        let kind = format!("pointsman.{kind}");
        let events = self.events().into_iter();
        let told = events.filter(|event| event["type"] == kind.as_str());
        let data = told.map(|event| event["data"].clone());
        data.filter(|data| data["door"] == "stomp").collect()
    }

    /// What a command says of itself.
    pub(crate) fn claims(&self, number: u64, command: &Value) -> Value {
        let now = now();
        json!({"aud": self.name, "iat": now, "exp": now + 60, "jti": id(number), "cmd": command})
    }
}

/// The configuration of a node called `name`.
pub(crate) fn config(broker: &ActiveMq, place: &str, name: &str, more: &str) -> String {
    let mut text = format!(
        "[node]\nname = \"{name}\"\nthreads = 1\n\n\
         [bus]\nbrokers = [\"{place}\"]\nlogin = \"pointsman\"\npasscode = \"pointsman\"\n\
         ca_file = \"{}\"\n{more}\n\n",
        broker.env("CA_FILE")
    );
    for name in ["viewer", "operator", "admin"] {
        text += &user(name, &format!("role = \"{name}\""));
    }
    let host = |name: &str, port: u16| {
        format!("[[service.group.host]]\nname = \"{name}\"\naddress = \"127.9.9.9:{port}\"\n")
    };
    text + "[[service]]\nname = \"web\"\nlisten = [\"127.0.0.1:0\"]\n\n"
        + "[[service.group]]\nname = \"blue\"\n"
        + &host("w1", 9)
        + &host("w2", 19)
        + "\n[[service.group]]\nname = \"green\"\n"
        + &host("w3", 29)
}

pub(crate) fn password(user: &str) -> Map<String, Value> {
    let proof = json!({"user": user, "password": PASSWORD});
    proof.as_object().unwrap().clone()
}

/// Somebody who writes messages by hand.
pub(crate) struct Hand {
    client: Client,
    node: String,
    answers: Subscription,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) correlation: String,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

impl Heard {
    /// What it says, if `key` signed it; else what it says without.
    pub(crate) fn read(&self, key: &Key) -> (bool, Value) {
        if self.content_type == "application/json" {
            return (false, serde_json::from_str(&self.body).unwrap());
        }
        let token = Compact::parse(self.body.as_bytes()).unwrap();
        token.check_header(ANSWER).unwrap();
        let claims = token.claims(key).unwrap();
        (true, claims["res"].clone())
    }
}

impl Hand {
    pub(crate) async fn at(site: &Site, user: &str) -> Self {
        let client = Client::open(site.options(user));
        let subscribe = Subscribe {
            destination: "/temp-queue/by-hand".to_owned(),
            acknowledge: Acknowledge::Auto,
            headers: Vec::new(),
            room: 4096,
        };
        let mut answers = client.subscribe(subscribe).await.unwrap();
        assert_eq!(soon(answers.next()).await, Some(Incoming::Ready));
        Self {
            client,
            node: site.name.clone(),
            answers,
        }
    }

    /// A message to a queue of the node, with an answer wanted.
    pub(crate) fn message(&self, queue: &str, correlation: &str, body: &str) -> Send {
        Send::new(format!("/queue/pointsman.{queue}.{}", self.node))
            .header("reply-to", "/temp-queue/by-hand")
            .header("correlation-id", correlation)
            .header("persistent", "true")
            .body(body)
    }

    pub(crate) async fn send(&self, message: Send) {
        self.client.send(message).await.unwrap();
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self) -> Heard {
        loop {
            if let Some(Incoming::Message(delivery)) = soon(self.answers.next()).await {
                let header = |name| delivery.headers.get(name).unwrap_or_default().to_owned();
                let Body::Whole(body) = &delivery.body else {
                    panic!("{delivery:?}")
                };
                return Heard {
                    correlation: header("correlation-id"),
                    content_type: header("content-type"),
                    body: String::from_utf8(body.clone()).unwrap(),
                };
            }
        }
    }

    /// Sends a command, and hears its answer.
    pub(crate) async fn ask(&mut self, correlation: &str, body: &str) -> Heard {
        self.send(self.message("commands", correlation, body)).await;
        let heard = self.answer().await;
        assert_eq!(heard.correlation, correlation);
        heard
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// The `number`th id.
pub(crate) fn id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

pub(crate) fn signed(login: &Login, claims: &Value) -> String {
    sign(COMMAND, &login.id, claims, &login.key)
}

/// A command that changes something.
pub(crate) fn weigh(host: &str, weight: u64) -> Value {
    json!({"command": "set-weight", "host": format!("web/blue/{host}"), "weight": weight})
}
