//! What is known of hosts over changes and restarts, as an administrator sees it.
//! It must not be about how health is found; only about what is told and kept.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    config, eventually, hosts,
    node::Node,
    settings,
    support::{echo, nobody, service},
};

fn probed(hosts: &[SocketAddr]) -> String {
    let probe = "probe = { kind = \"tcp\", interval = \"200ms\", timeout = \"100ms\", rise = 100 }";
    let name = "name = \"blue\"\n";
    config(hosts).replacen(name, &format!("{name}{probe}\n"), 1)
}

fn host(node: &Node, index: usize) -> Value {
    let status = node.done(json!({"command": "status"}));
    status["data"]["services"][0]["groups"][0]["hosts"][index].clone()
}

#[tokio::test]
async fn health_survives_reloads_and_restarts_and_says_why() {
    let (up, down) = (echo().await, nobody().await);
    let mut node = Node::start(&probed(&[up, down])).await;
    eventually!(host(&node, 0)["health"] == "up" && host(&node, 1)["health"] == "down");
    let before = host(&node, 1);
    assert!(
        before["reason"].as_str().unwrap().contains("refused"),
        "{before}"
    );
    assert!(
        before["results"].as_str().unwrap().ends_with("---"),
        "{before}"
    );
    eventually!(node.told("host.down").len() == 1);
    let event = &node.told("host.down")[0];
    assert_eq!(
        (&event["by"], &event["hosts_up"], &event["hosts"]),
        (&"probe".into(), &1.into(), &2.into())
    );
    assert!(
        event["outlook"][0].as_str().unwrap().contains("100 passed"),
        "{event}"
    );

    let explained = node.done(json!({"command": "explain", "host": "web/blue/w2"}));
    assert_eq!(explained["data"]["verdict"], "takes no sessions");
    let because = explained["data"]["because"].to_string();
    for words in ["it is down: ", "100 passed probes in a row", " failed: "] {
        assert!(because.contains(words), "{words}: {because}");
    }

    node.done(json!({"command": "set-weight", "host": "web/blue/w1", "weight": 7}));
    assert_eq!(host(&node, 1)["since"], before["since"]);
    node.edit("interval = \"200ms\"", "interval = \"300ms\"");
    node.done(json!({"command": "reload"}));
    assert_eq!(host(&node, 1)["since"], before["since"]);

    node.down().await;
    node.up().await;
    let after = host(&node, 1);
    assert_eq!(
        (&after["health"], &after["since"]),
        (&"down".into(), &before["since"])
    );
    assert_eq!(node.told("host.down").len(), 1, "it is no news");
}

#[tokio::test]
async fn a_node_that_was_killed_remembers_what_was_kept() {
    let down = hosts();
    let mut node = Node::start(&probed(&down)).await;
    eventually!(node.told("service.exhausted").len() == 1);
    // Health is kept within moments after the first flip, then at most every ten seconds.
    node.kill();
    node.up().await;
    let known = (0..2)
        .filter(|index| host(&node, *index)["health"] == "down")
        .count();
    assert!(known >= 1, "{}", host(&node, 0));
}

/// What a file says of the program `check`: that it ends with `code`.
fn program(code: u8) -> String {
    format!(
        "[programs.check]\ncommand = [\"/bin/sh\", \"-c\", \"echo it is $0; exit $0\", \"{code}\"]\n"
    )
}

/// A service whose hosts a program is asked about.
fn asked(more: &str) -> String {
    let probe = "probe = { kind = \"exec\", program = \"check\", interval = \"100ms\", timeout = \"100ms\" }";
    let name = "name = \"blue\"\n";
    let service = service("web", &["127.0.0.1:0"], &hosts(), "");
    settings(more) + &service.replacen(name, &format!("{name}{probe}\n"), 1)
}

#[tokio::test]
async fn a_program_of_the_settings_is_asked_and_another_one_after_a_reload() {
    let node = Node::start(&asked(&program(3))).await;
    eventually!(host(&node, 0)["health"] == "down");
    let reason = "check exited with 3: it is 3";
    assert_eq!(host(&node, 0)["reason"], reason);
    let explain = json!({"command": "explain", "host": "web/blue/w1"});
    // A host is told to be down a moment before sessions keep away from it.
    let verdict = || node.done(explain.clone())["data"]["verdict"].clone();
    eventually!(verdict() == "takes no sessions");
    let explained = node.done(explain.clone());
    let because = explained["data"]["because"].to_string();
    assert!(because.contains(reason), "{because}");

    node.write(&asked(&program(0)));
    let told = json!({"settings": ["programs"]});
    assert_eq!(node.done(json!({"command": "reload"}))["data"], told);
    eventually!(host(&node, 0)["health"] == "up");
    eventually!(verdict() == "takes sessions");
    assert_eq!(node.revision(), 1, "a program is no part of the services");
}

#[tokio::test]
async fn programs_come_and_go_in_one_reload_with_the_probes_that_name_them() {
    let node = Node::start(&config(&hosts())).await;
    node.write(&asked(&program(3)));
    node.done(json!({"command": "reload"}));
    eventually!(host(&node, 1)["health"] == "down");
    node.write(&config(&hosts()));
    node.done(json!({"command": "reload"}));
    eventually!(host(&node, 1)["health"] == "unknown");
    let log = node.log();
    assert!(!log.contains("cannot be probed"), "{log}");
}

#[tokio::test]
async fn names_that_the_settings_do_not_give_are_refused_however_they_come() {
    let node = Node::start(&asked(&program(0))).await;
    let with = |key: &str, name: &str| {
        let mut services = node.shown();
        services[0]["group"][0]["probe"][key] = json!(name);
        services
    };
    let mut tls = with("ca", "ours");
    let probe = tls[0]["group"][0]["probe"].as_object_mut().unwrap();
    probe.remove("program");
    probe.insert("kind".to_owned(), json!("tls"));
    let none = [
        (with("program", "other"), "there is no [programs.other]"),
        (tls, "there is no [certificates.ours]"),
    ];
    for (services, words) in none {
        for dry_run in [false, true] {
            let (code, message) = node
                .refused(json!({"command": "replace", "services": services, "dry_run": dry_run}));
            assert_eq!(code, "invalid", "{message}");
            assert!(message.contains(words), "{message}");
        }
    }

    // Both files of a reload: what is there now counts, not what was.
    node.write(&asked(""));
    let (code, message) = node.refused(json!({"command": "reload"}));
    assert_eq!(code, "invalid", "{message}");
    assert!(
        message.contains("there is no [programs.check]"),
        "{message}"
    );
    assert_eq!(node.revision(), 1);
    assert!(
        !host(&node, 0)["reason"]
            .to_string()
            .contains("no [programs")
    );

    node.write(&config(&hosts()));
    node.done(json!({"command": "reload"}));
    let (code, message) = node.refused(json!({"command": "rollback", "revision": 1}));
    assert_eq!(code, "invalid", "its program is gone: {message}");
}

/// A service whose hosts show certificates, for which `file` vouches.
fn vouched(file: &str) -> String {
    let probe =
        "probe = { kind = \"tls\", ca = \"ours\", interval = \"200ms\", timeout = \"100ms\" }";
    let name = "name = \"blue\"\n";
    let certificates = format!("[certificates.ours]\ncert_file = \"{file}\"\n");
    let service = service("web", &["127.0.0.1:0"], &hosts(), "");
    settings(&certificates) + &service.replacen(name, &format!("{name}{probe}\n"), 1)
}

const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/authority.pem");

#[tokio::test]
async fn certificates_that_cannot_be_read_are_refused_before_anything_changes() {
    let node = Node::start(&vouched(AUTHORITY)).await;
    eventually!(host(&node, 0)["health"] == "down");
    let no_certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for file in ["/nowhere/ours.pem", no_certificate] {
        node.write(&vouched(file).replace("drain_timeout = \"0s\"", "drain_timeout = \"1s\""));
        let (code, message) = node.refused(json!({"command": "reload"}));
        assert_eq!(code, "failed", "{message}");
        for words in ["the hosts of web/blue cannot be probed", file] {
            assert!(message.contains(words), "{words}: {message}");
        }
    }
    assert_eq!(node.revision(), 1);
    let reason = host(&node, 0)["reason"].to_string();
    assert!(
        reason.contains("refused"),
        "it is probed as before: {reason}"
    );
    assert!(
        !node.log().contains("its hosts cannot be probed"),
        "{}",
        node.log()
    );

    // However it comes.
    let certificates = "[certificates.ours]\ncert_file = \"/nowhere/ours.pem\"\n";
    let plain = service("web", &["127.0.0.1:0"], &hosts(), "");
    node.write(&(settings(certificates) + &plain));
    node.done(json!({"command": "reload"}));
    let mut services = node.shown();
    services[0]["group"][0]["probe"] = json!({"kind": "http", "tls": true, "ca": "ours"});
    for command in [
        json!({"command": "replace", "services": services}),
        json!({"command": "rollback", "revision": 1}),
    ] {
        let (code, message) = node.refused(command);
        assert_eq!(code, "failed", "{message}");
        assert!(message.contains("/nowhere/ours.pem"), "{message}");
    }
    assert_eq!(node.revision(), 2);
}
