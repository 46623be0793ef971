//! How what was asked for is laid out for a person.
//! It must not know error codes.

use std::{
    io::{BufRead, BufReader},
    process::Command,
};

use serde_json::{Value, json};

use super::{FakeNode, done, out, words};

#[test]
fn a_change_is_shown_as_a_diff_without_escapes_in_a_pipe() {
    let node = FakeNode::start(done);
    let diff = "~ web/blue/w1 weight: 5 → 2\n+ web/blue/w4\n- web/green\n";
    let output = node.run(&["host", "weight", "web/blue/w1", "2"]);
    assert_eq!(out(&output), format!("{diff}done, revision 42\n"));
    assert_eq!(out(&node.run(&["diff", "1"])), diff);
    let output = node.run(&["reload", "--dry-run"]);
    let dry = format!("{diff}a dry run: nothing was changed, revision is still 42\n");
    assert_eq!(out(&output), dry);
    let output = node.run(&["reload", "--confirm-within", "5m"]);
    assert!(out(&output).ends_with("pointsman confirm 42\n"));
}

/// `script` gives the program a terminal.
fn at_a_terminal(node: &FakeNode, arguments: &str, no_color: bool) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_pointsman");
    let line = format!("{program} {arguments} --via unix:admin.sock");
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]);
    script.current_dir(&node.folder).env("TERM", "xterm");
    script.env_remove("NO_COLOR");
    if no_color {
        script.env("NO_COLOR", "1");
    }
    Some(out(&script.output().ok()?))
}

#[test]
fn colour_is_for_terminals_whose_owner_wants_it() {
    let node = FakeNode::start(done);
    let Some(coloured) = at_a_terminal(&node, "diff", false) else {
        println!("skipped: there is no `script`");
        return;
    };
    assert!(
        coloured.contains("\u{1b}[32m+ web/blue/w4\u{1b}[0m"),
        "{coloured}"
    );
    let plain = at_a_terminal(&node, "diff", true).unwrap();
    assert!(plain.contains("+ web/blue/w4"), "{plain}");
    assert!(!plain.contains('\u{1b}'), "{plain}");
}

#[test]
fn every_answer_is_shown_without_escapes_in_a_pipe() {
    let evil = "\u{1b}]0;owned\u{7}";
    let data = json!({
        "node": "lb1", "uptime_s": 60,
        "services": [{"name": "web", "listen": ["0.0.0.0:80"], "active": "blue",
            "sessions": {"active": 1, "total": 2}, "groups": [{"name": "blue", "hosts": [
                {"name": "w1", "address": "10.0.0.1:80", "weight": 1, "admin": "enabled",
                 "health": "down", "reason": evil, "sessions": {"active": 1, "total": 2}}]}]}],
        "revisions": [{"revision": 2, "time": 1_790_000_000_000_u64, "author": "ada",
            "door": "socket", "reason": evil, "diff": ["+ web/blue/w1"]}],
        "events": [{"type": "pointsman.host.down", "subject": "web/blue/w1", "sequence": "7",
            "time": "2026-11-22T10:00:00Z", "data": {"reason": evil}}],
        "verdict": "it gets no sessions", "because": [evil, "it is disabled"],
        "user": "ada", "role": "admin", "token": "secret",
        "logins": [{"login": "l1", "user": evil, "role": "viewer", "expires": 1_790_000_000_000_u64}],
    });
    let text = json!({"id": "1", "ok": true, "revision": 2, "data": data}).to_string();
    let node = FakeNode::start(move |_| (200, text.clone()));
    for (line, expected) in [
        ("status", "w1    10.0.0.1:80  enabled  down"),
        ("show", "\"name\": \"web\""),
        ("history", "2  2026-09-21T14:13:20Z  ada by socket: "),
        (
            "events",
            "2026-11-22T10:00:00Z  7  host.down  web/blue/w1  reason=",
        ),
        ("explain web/blue/w1", "because it is disabled"),
        ("auth explain ada", "it gets no sessions"),
        ("whoami", "role"),
        ("logins", "2026-09-21T14:13:20Z"),
    ] {
        let shown = out(&node.run(&words(line)));
        assert!(shown.contains(expected), "{line}:\n{shown}");
        let steering = |c: char| c.is_control() && c != '\n';
        assert!(!shown.contains(steering), "{line}:\n{shown:?}");
    }
    assert!(!out(&node.run(&["whoami"])).contains("secret"));
}

#[test]
fn show_gives_toml_that_can_be_put_back() {
    let services = json!([{"name": "web", "listen": ["127.0.0.1:80"], "retries": 1,
        "group": [{"name": "blue", "host": [{"name": "w1", "address": "10.0.0.1:80"}]}]}]);
    let text = json!({"id": "1", "ok": true, "data": {"services": services}}).to_string();
    let node = FakeNode::start(move |_| (200, text.clone()));
    let toml = out(&node.run(&["show"]));
    assert!(toml.starts_with("[[service]]"), "{toml}");
    assert_eq!(
        node.run_with(&["replace", "-"], &toml).status.code(),
        Some(0)
    );
    let sent: Value = serde_json::from_str(&node.asked()[1].body).unwrap();
    assert_eq!(sent["services"], services);
}

#[test]
fn events_are_followed_over_a_break_of_the_connection() {
    let node = FakeNode::start(|asked| {
        let number = match asked.head.to_lowercase().contains("last-event-id: 7") {
            true => 8,
            false => 7,
        };
        let event = json!({"type": "pointsman.host.up", "subject": "web/blue/w1",
            "sequence": number.to_string(), "data": {}});
        (200, format!(": hello\n\nid: {number}\ndata: {event}\n\n"))
    });
    let mut child = node.command(&["events", "--follow"]).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let two: Vec<String> = lines.take(2).map(Result::unwrap).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(two, ["7  host.up  web/blue/w1", "8  host.up  web/blue/w1"]);
    assert_eq!(node.asked()[0].line, "GET /v1/events HTTP/1.1");
}
