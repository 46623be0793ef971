//! Upgrades that something comes between: the service is there afterwards.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    config, eventually,
    node::post,
    support::{echo, exchange},
    upgrade::{Heir, install_broken, prepare},
    upgrading::{echoed, session},
};

#[tokio::test]
async fn an_old_process_that_is_killed_when_the_new_one_accepts_leaves_the_service_to_it() {
    let mut node = prepare(&config(&[echo().await]));
    node.up().await;
    let address = node.address();
    install_broken(&node, "orphan");
    node.ask_the_last(&json!({"command": "upgrade"}));
    assert_eq!(node.ended().await, None, "it was killed");
    drop(session(address).await);
    let told = node.told("node.upgraded");
    let _heir = Heir::of(&json!({"data": told[0]}));
    node.done(json!({"command": "set-weight", "host": "web/blue/w1", "weight": 3}));
    assert_eq!(node.revision(), 2);
}

#[tokio::test]
async fn sockets_whose_files_were_removed_are_there_again_after_an_upgrade() {
    let mut node = prepare(&config(&[echo().await]));
    let served = node.folder.join("web.sock");
    let admin = node.folder.join("pointsman-state/admin.sock");
    let listen = format!("\"127.0.0.1:0\", \"unix:{}\"", served.display());
    node.edit("\"127.0.0.1:0\"", &listen);
    node.up().await;
    let mut kept = session(node.address()).await;

    let mut asked = UnixStream::connect(&admin).unwrap();
    fs::remove_file(&served).unwrap();
    fs::remove_file(&admin).unwrap();
    let request = post("pm", "/v1/commands", None, &json!({"command": "upgrade"}));
    asked.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    asked.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let answer: Value = serde_json::from_str(body).unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
    let heir = Heir::of(&answer);

    let mut client = tokio::net::UnixStream::connect(&served).await.unwrap();
    assert_eq!(echoed(&mut client).await.unwrap(), *b"hello");
    assert_eq!(exchange(&mut kept, b"still").await.unwrap(), b"still");
    drop((client, kept));
    assert_eq!(node.ended().await, Some(0), "{}", node.log());
    assert!(served.exists(), "who leaves does not take the new file");
    node.done(json!({"command": "status"}));
    kill_process(heir.0, Signal::TERM).unwrap();
    eventually!(heir.has_ended());
    assert!(!served.exists() && !admin.exists());
}
