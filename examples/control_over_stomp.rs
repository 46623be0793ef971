//! Logs in to a Pointsman over a STOMP broker, drains a host, and waits until it is drained.
//!
//!     control_over_stomp stomp://HOST:PORT NODE NODE_KEY USER web/blue/w1
//!
//! NODE_KEY is what `pointsman pubkey` prints on the node's machine. The broker's user and
//! password are in BUS_LOGIN and BUS_PASSCODE, the user's password is in PASSWORD.
#![allow(clippy::print_stdout)]

use std::{env, error::Error};

use pointsman::{
    doors::stomp::{
        caller::{Caller, Login},
        key::Key,
    },
    stomp::{Incoming, Options, frame::Body},
};
use serde_json::{Map, Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [broker, node, node_key, user, host] = &arguments[..] else {
        return Err("usage: control_over_stomp BROKER NODE NODE_KEY USER HOST".into());
    };
    let options = Options {
        login: Some(env::var("BUS_LOGIN")?),
        passcode: Some(env::var("BUS_PASSCODE")?.into()),
        ..Options::new(vec![broker.parse()?])
    };
    let mut caller = Caller::open(options, "pointsman", node).await?;
    let mut events = caller.events("host").await?;

    let mut proof = Map::new();
    proof.insert("user".to_owned(), user.clone().into());
    proof.insert("password".to_owned(), env::var("PASSWORD")?.into());
    let key = Key::random();
    let answer = succeeded(caller.log_in(node_key, &key, proof).await?)?;
    println!("logged in as {}: {}", answer["user"], answer["role"]);
    let id = answer["login"].as_str().ok_or("no login")?.to_owned();
    let login = Login { id, key };

    let drain = json!({"command": "drain-host", "host": host});
    succeeded(caller.command(&login, &drain).await?)?;
    while let Some(incoming) = events.next().await {
        let Incoming::Message(delivery) = incoming else {
            continue;
        };
        let Body::Whole(body) = &delivery.body else {
            continue;
        };
        let event: Value = serde_json::from_slice(body)?;
        if event["source"] == format!("/pointsman/{node}") && event["subject"] == host.as_str() {
            println!("{} {}", event["type"], event["data"]);
            if event["type"] == "pointsman.host.drained" {
                break;
            }
        }
    }
    caller.close().await;
    Ok(())
}

/// The data of an answer, or why it is a refusal.
fn succeeded(mut answer: Value) -> Result<Value, String> {
    match answer["ok"] == true {
        true => Ok(answer["data"].take()),
        false => Err(answer["error"]["message"].to_string()),
    }
}
