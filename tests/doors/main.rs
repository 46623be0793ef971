//! Each door × role × command: the same state after, the same file, the same events, the same code.
//! It must not know a door; a new one is a new row in `WAYS`.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../support/activemq.rs"]
mod activemq;
mod api;
mod bus;
#[path = "../support/certificate.rs"]
mod certificate;
mod cli;
mod library;
#[path = "../support/node.rs"]
mod node;
#[path = "../support/over_tls.rs"]
mod over_tls;
mod paper;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod ways;

use std::collections::{BTreeMap, BTreeSet};

use api::Api;
use bus::Bus;
use cli::Cli;
use library::Library;
use pointsman::model::catalogue::CATALOGUE;
use serde_json::{Value, json};
use table::{Row, WHO, rows};
use tokio::runtime::Runtime;
use ways::Way;

/// `None` where the machine does not have what it takes.
type Open = fn(&Runtime) -> Option<Box<dyn Way + '_>>;

const WAYS: [(&str, Open); 6] = [
    ("Unix socket", |runtime| {
        Some(Box::new(Api::over_socket(runtime)))
    }),
    ("HTTP", |runtime| Some(Box::new(Api::over_tcp(runtime)))),
    ("HTTPS", |runtime| Some(Box::new(Api::over_tls(runtime)?))),
    ("command line", |runtime| Some(Box::new(Cli::new(runtime)))),
    ("library", |runtime| Some(Box::new(Library::new(runtime)))),
    ("message bus", |runtime| Some(Box::new(Bus::new(runtime)?))),
];

/// What can be seen of one command that somebody gave, but for what the door alone makes so.
struct Seen {
    answer: Value,
    /// The services that run after it.
    services: Value,
    file: String,
    events: Vec<Value>,
}

type Transcript = BTreeMap<(usize, String, &'static str), Seen>;

#[test]
fn the_table_has_every_command() {
    let name = |row: &Row| row.ask.command["command"].as_str().unwrap().to_owned();
    let tried: BTreeSet<String> = rows().iter().map(name).collect();
    let known = CATALOGUE.iter().map(|entry| entry.name.to_owned());
    assert_eq!(tried, known.collect());
}

#[test]
fn every_door_lets_a_role_do_the_same_with_the_same_outcome() {
    // Side by side: each waits for the disk most of the time.
    let all = WAYS.map(|(name, open)| {
        std::thread::spawn(move || {
            let runtime = Runtime::new().unwrap();
            let way = open(&runtime);
            way.map(|mut way| go_through(name, way.as_mut()))
        })
    });
    // All first: a node that is still asked would outlive this process.
    let all = all.map(std::thread::JoinHandle::join);
    let all = all.map(Result::unwrap);
    let first = all[0].as_ref().unwrap();
    for ((name, _), transcript) in WAYS.iter().zip(&all) {
        let Some(transcript) = transcript else {
            continue;
        };
        assert!(transcript.len() > 100, "{name} was asked too little");
        for (step, seen) in transcript {
            let both = format!("{name} and {}: {step:?}", WAYS[0].0);
            let expected = &first[step];
            assert_eq!(seen.answer, expected.answer, "{both}");
            assert_eq!(seen.services, expected.services, "{both}");
            assert_eq!(seen.file, expected.file, "{both}");
            assert_eq!(seen.events, expected.events, "{both}");
        }
    }
}

/// Has everybody give every command, each on the first revision; checks what they hear.
fn go_through(name: &str, way: &mut dyn Way) -> Transcript {
    let mut transcript = Transcript::new();
    way.enter();
    for (index, row) in rows().iter().enumerate() {
        for (at, who) in WHO.into_iter().enumerate() {
            let (before, ask) = row.asked_by(who);
            if let Some(before) = &before {
                let answer = way.admin(before);
                assert_eq!(answer["ok"], true, "{before}: {answer}");
            }
            let since = newest(way);
            let start = (state(way), way.file());
            let leaves = ask.command["command"] == "logout";
            if leaves && who == "db" {
                // Their only login has ended one line above.
                continue;
            }
            if let Some(heard) = way.ask(who, &ask) {
                if leaves {
                    way.enter();
                }
                let expected = if who == "nobody" {
                    "denied"
                } else {
                    row.codes[at - 1]
                };
                let step = format!("{name}, {who}: {} gave {}", ask.command, heard.answer);
                assert_eq!(code(&heard.answer), expected, "{step}");
                let outward = way.outward(expected, who != "nobody");
                assert_eq!(heard.outward, outward, "{step}");
                let mut seen = see(way, &ask.command, &heard.answer, since);
                if who == "nobody" {
                    // Why they are nobody, each door says in its own words.
                    seen.answer = json!(code(&heard.answer));
                }
                if expected != "ok" || ask.command["dry_run"] == true {
                    let end = (seen.services.clone(), seen.file.clone());
                    assert_eq!(end, start, "{step}");
                }
                check_audit(way.door(), who, &ask.command, expected, &seen.events);
                let command = ask.command.to_string();
                transcript.insert((index, command, who), seen);
            }
            let answer = way.admin(&json!({"command": "rollback", "revision": 1}));
            assert_eq!(answer["ok"], true, "{answer}");
        }
    }
    transcript
}

fn code(answer: &Value) -> &str {
    match answer["ok"] == true {
        true => "ok",
        false => answer["error"]["code"].as_str().unwrap_or("no code"),
    }
}

/// A change, and whatever is refused, is written down with who, by which door, and what came of
/// it. Who is nobody leaves nothing of their own.
fn check_audit(door: &str, who: &str, command: &Value, code: &str, events: &[Value]) {
    let name = command["command"].as_str().unwrap();
    let entry = CATALOGUE.iter().find(|entry| entry.name == name).unwrap();
    let audited = events
        .iter()
        .filter(|event| event["type"] == "pointsman.admin.command");
    let audited: Vec<&Value> = audited.map(|event| &event["data"]).collect();
    if who == "nobody" || (code == "ok" && !entry.changes) {
        assert!(events.is_empty(), "{door}, {who}, {command}: {events:?}");
        return;
    }
    let [data] = audited[..] else {
        panic!("{door}, {who}, {command}: {events:?}");
    };
    let user = if who == "db" { "web" } else { who };
    assert_eq!(
        (&data["user"], &data["command"], &data["door"]),
        (&json!(user), &json!(name), &json!("DOOR"))
    );
    let expected = if code == "ok" {
        Value::Null
    } else {
        json!(code)
    };
    assert_eq!(data["code"], expected);
}

fn state(way: &mut dyn Way) -> Value {
    way.admin(&json!({"command": "show"}))["data"]["services"].clone()
}

fn events(way: &mut dyn Way, since: u64) -> Vec<Value> {
    let asked = json!({"command": "events", "since": since, "limit": 10_000});
    let answer = way.admin(&asked);
    let told = answer["data"]["events"].as_array().unwrap().iter();
    told.filter(|event| comes_with_a_command(event))
        .cloned()
        .collect()
}

/// Not what is told at a time of its own: how a service fares, and the sums of who was nobody. Over
/// the bus it can be told who had a login, by their key; there they leave a line.
fn comes_with_a_command(event: &Value) -> bool {
    let fares = ["pointsman.service.exhausted", "pointsman.service.restored"].map(Value::from);
    let nobody = ["no-login", "unknown-login"].map(Value::from);
    !fares.contains(&event["type"])
        && !nobody.contains(&event["data"]["code"])
        && event["data"]["because"] != "ended"
}

fn newest(way: &mut dyn Way) -> u64 {
    let answer = way.admin(&json!({"command": "events", "limit": 1}));
    answer["data"]["events"][0]["sequence"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

fn see(way: &mut dyn Way, command: &Value, answer: &Value, since: u64) -> Seen {
    let mut answer = answer.clone();
    answer.as_object_mut().unwrap().remove("id");
    level_data(command["command"].as_str().unwrap(), &mut answer["data"]);
    let services = state(way);
    let file = way.file();
    // What a job does after the answer, it has done after one more question.
    let door = way.door();
    let events = events(way, since)
        .into_iter()
        .filter_map(|event| level_event(event, door));
    Seen {
        answer,
        services,
        file,
        events: events.collect(),
    }
}

fn drop_keys(value: &mut Value, keys: &[&str]) {
    if let Value::Object(object) = value {
        object.retain(|key, _| !keys.contains(&key.as_str()));
        object.values_mut().for_each(|inner| drop_keys(inner, keys));
    } else if let Value::Array(list) = value {
        list.iter_mut().for_each(|inner| drop_keys(inner, keys));
    }
}

/// Leaves out what is another time, another port, another login.
fn level_data(command: &str, data: &mut Value) {
    match command {
        "status" => drop_keys(data, &["uptime_s", "listen", "bus"]),
        "whoami" => drop_keys(data, &["login", "expires"]),
        "history" => drop_keys(data, &["time", "door"]),
        "events" => {
            let events = data["events"].as_array().cloned().unwrap_or_default();
            let events = events
                .into_iter()
                .filter(comes_with_a_command)
                .filter_map(|event| level_event(event, ""));
            *data = events.collect();
        }
        "logins" | "explain-access" => {
            let keys: Vec<&String> = data
                .as_object()
                .into_iter()
                .flat_map(|data| data.keys())
                .collect();
            *data = json!(keys);
        }
        _ => {}
    }
}

/// An event without what is another time or node; `None` for what only some doors have.
fn level_event(mut event: Value, door: &str) -> Option<Value> {
    let kind = event["type"].as_str().unwrap().to_owned();
    let elsewhere = ["pointsman.admin.log", "pointsman.node."];
    if elsewhere.iter().any(|start| kind.starts_with(start)) {
        return None;
    }
    let told = &mut event["data"];
    if !door.is_empty() && told.get("door").is_some() {
        assert_eq!(told["door"], door, "{kind}");
    }
    if told.get("door").is_some() {
        told["door"] = json!(if told["door"] == "file" {
            "file"
        } else {
            "DOOR"
        });
    }
    drop_keys(told, &["id", "from"]);
    Some(json!({"type": kind, "subject": event["subject"], "data": event["data"]}))
}
