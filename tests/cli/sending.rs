//! What each command line sends to the node, and which are sent at all.
//! It must not look at what comes back.

use std::{fs, process::Command};

use serde_json::{Value, json};

use super::{FakeNode, done, err, words};

/// Command lines with what they send.
#[expect(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<(&'static str, Value)> {
    vec![
        ("status", json!({"command": "status"})),
        ("show", json!({"command": "show"})),
        ("show web", json!({"command": "show", "service": "web"})),
        ("whoami", json!({"command": "whoami"})),
        ("logout", json!({"command": "logout"})),
        ("logins", json!({"command": "logins"})),
        (
            "end-login l7",
            json!({"command": "end-login", "login": "l7"}),
        ),
        ("history", json!({"command": "history"})),
        (
            "history --limit 3",
            json!({"command": "history", "limit": 3}),
        ),
        ("diff", json!({"command": "diff"})),
        ("diff 3", json!({"command": "diff", "from": 3})),
        ("diff 3 5", json!({"command": "diff", "from": 3, "to": 5})),
        ("events", json!({"command": "events"})),
        (
            "events --since 9 --limit 2",
            json!({"command": "events", "since": 9, "limit": 2}),
        ),
        (
            "explain web/blue/w1",
            json!({"command": "explain", "host": "web/blue/w1"}),
        ),
        (
            "explain web --client 10.0.0.7",
            json!({"command": "explain", "service": "web", "client": "10.0.0.7"}),
        ),
        (
            "explain web --client 2001:db8::7",
            json!({"command": "explain", "service": "web", "client": "2001:db8::7"}),
        ),
        (
            "auth explain ada",
            json!({"command": "explain-access", "user": "ada"}),
        ),
        (
            "host add web/blue/w4 10.0.0.4:7001",
            json!({"command": "add-host", "host": "web/blue/w4", "address": "10.0.0.4:7001"}),
        ),
        (
            "host add web/blue/w4 [::1]:7001 --weight 5 --max-sessions 500 --admin disabled",
            json!({"command": "add-host", "host": "web/blue/w4", "address": "[::1]:7001",
                "weight": 5, "max_sessions": 500, "admin": "disabled"}),
        ),
        (
            "host remove web/blue/w4",
            json!({"command": "remove-host", "host": "web/blue/w4"}),
        ),
        (
            "host enable web/blue/w4",
            json!({"command": "enable-host", "host": "web/blue/w4"}),
        ),
        (
            "host disable web/blue/w4",
            json!({"command": "disable-host", "host": "web/blue/w4"}),
        ),
        (
            "host drain web/blue/w4",
            json!({"command": "drain-host", "host": "web/blue/w4"}),
        ),
        (
            "host drain web/blue/w4 --deadline 90s",
            json!({"command": "drain-host", "host": "web/blue/w4", "deadline": "1m 30s"}),
        ),
        (
            "host weight web/blue/w4 0",
            json!({"command": "set-weight", "host": "web/blue/w4", "weight": 0}),
        ),
        (
            "host set web/blue/w4 weight=7 max_sessions= admin=draining address=10.0.0.9:80",
            json!({"command": "set-host", "host": "web/blue/w4", "weight": 7,
                "max_sessions": null, "admin": "draining", "address": "10.0.0.9:80"}),
        ),
        (
            "host set web/blue/w4 max_sessions=null",
            json!({"command": "set-host", "host": "web/blue/w4", "max_sessions": null}),
        ),
        (
            "group add web/green",
            json!({"command": "add-group", "group": "web/green", "host": []}),
        ),
        (
            r#"group add web/green scheduler=random host=[{"name":"w1","address":"10.0.0.1:80"}]"#,
            json!({"command": "add-group", "group": "web/green", "scheduler": "random",
                "host": [{"name": "w1", "address": "10.0.0.1:80"}]}),
        ),
        (
            "group remove web/green",
            json!({"command": "remove-group", "group": "web/green"}),
        ),
        (
            "group activate web/green",
            json!({"command": "activate-group", "group": "web/green"}),
        ),
        (
            r#"group set web/green scheduler={"kind":"source-hash","load_factor":1.25} sticky="#,
            json!({"command": "set-group", "group": "web/green", "sticky": null,
                "scheduler": {"kind": "source-hash", "load_factor": 1.25}}),
        ),
        (
            "group set web/green when_all_down=use-all panic=50%",
            json!({"command": "set-group", "group": "web/green", "when_all_down": "use-all",
                "panic": "50%"}),
        ),
        (
            "service add db --listen 0.0.0.0:5432,[::]:5432",
            json!({"command": "add-service", "service": "db",
                "listen": ["0.0.0.0:5432", "[::]:5432"], "group": [{"name": "main", "host": []}]}),
        ),
        (
            r#"service add db --listen 0.0.0.0:5432 --group a,b retries=1 limits={"sessions":9}"#,
            json!({"command": "add-service", "service": "db", "listen": ["0.0.0.0:5432"],
                "retries": 1, "limits": {"sessions": 9},
                "group": [{"name": "a", "host": []}, {"name": "b", "host": []}]}),
        ),
        (
            "service remove db",
            json!({"command": "remove-service", "service": "db"}),
        ),
        (
            "service listen db 0.0.0.0:5432 [::]:5432",
            json!({"command": "set-listen", "service": "db",
                "listen": ["0.0.0.0:5432", "[::]:5432"]}),
        ),
        (
            r#"service set db active=green timeouts={"idle":"1h"} access=["deny"]"#,
            json!({"command": "set-service", "service": "db", "active": "green",
                "timeouts": {"idle": "1h"}, "access": ["deny"]}),
        ),
        (
            "close-sessions web",
            json!({"command": "close-sessions", "service": "web"}),
        ),
        (
            "close-sessions web/blue/w1",
            json!({"command": "close-sessions", "host": "web/blue/w1"}),
        ),
        ("reload", json!({"command": "reload"})),
        ("rollback 3", json!({"command": "rollback", "revision": 3})),
        ("confirm", json!({"command": "confirm"})),
        ("confirm 43", json!({"command": "confirm", "revision": 43})),
        (
            "host weight web/blue/w1 2 --expect-revision 41 --dry-run --confirm-within 5m --reason x",
            json!({"command": "set-weight", "host": "web/blue/w1", "weight": 2,
                "expect_revision": 41, "dry_run": true, "confirm_within": "5m", "reason": "x"}),
        ),
        (
            "reload --dry-run",
            json!({"command": "reload", "dry_run": true}),
        ),
        (
            "group set --reason calm web/blue panic=30% --expect-revision 7",
            json!({"command": "set-group", "group": "web/blue", "panic": "30%",
                "reason": "calm", "expect_revision": 7}),
        ),
    ]
}

#[test]
fn every_command_line_is_one_command_object() {
    let rows = rows();
    assert!(rows.len() >= 45, "only {} rows", rows.len());
    let node = FakeNode::start(done);
    for (index, (line, expected)) in rows.iter().enumerate() {
        let output = node.run(&words(line));
        assert_eq!(output.status.code(), Some(0), "{line}: {}", err(&output));
        let asked = node.asked();
        assert_eq!(asked.len(), index + 1, "{line}");
        assert_eq!(asked[index].line, "POST /v1/commands HTTP/1.1");
        assert!(asked[index].head.contains("application/json"));
        let body: Value = serde_json::from_str(&asked[index].body).unwrap();
        assert_eq!(body, *expected, "{line}");
    }
}

#[test]
fn replace_sends_the_services_of_a_file_and_what_show_gave() {
    let node = FakeNode::start(done);
    let file = node.folder.join("new.toml");
    let toml = "[[service]]\nname = \"web\"\nlisten = [\"127.0.0.1:80\"]\n\
                [[service.group]]\nname = \"blue\"\n";
    fs::write(&file, toml).unwrap();
    let services = json!([{"name": "web", "listen": ["127.0.0.1:80"],
        "group": [{"name": "blue", "host": []}]}]);
    let expected = json!({"command": "replace", "services": services, "dry_run": true});
    let shown = json!({"ok": true, "data": {"services": services}}).to_string();

    let by_name = node.run(&["replace", "new.toml", "--dry-run"]);
    let by_pipe = node.run_with(&["replace", "-", "--dry-run"], toml);
    let from_show = node.run_with(&["replace", "-", "--dry-run"], &shown);
    for output in [by_name, by_pipe, from_show] {
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    }
    for asked in node.asked() {
        assert_eq!(
            serde_json::from_str::<Value>(&asked.body).unwrap(),
            expected
        );
    }

    fs::write(&file, toml.replace("listen", "lissten")).unwrap();
    let wrong = node.run(&["replace", "new.toml"]);
    assert_eq!(wrong.status.code(), Some(4));
    assert!(err(&wrong).contains("lissten"), "{}", err(&wrong));
    assert_eq!(
        node.run(&["replace", "missing.toml"]).status.code(),
        Some(4)
    );
    assert_eq!(node.asked().len(), 3, "what is wrong is not sent");
}

#[test]
fn what_cannot_be_understood_exits_with_two_and_sends_nothing() {
    let node = FakeNode::start(done);
    for line in [
        "frobnicate",
        "status --frobnicate",
        "host add web/blue 10.0.0.1:80",
        "host add web/blue/w1 nowhere",
        "host weight web/blue/w1 257",
        "host weight web/blue/w1 -1",
        "host drain web/blue/w1 --deadline soon",
        "host set web/blue/w1",
        "host set web/blue/w1 weight",
        "host set web/blue/w1 =5",
        "host set web/blue/w1 weight=5 weight=6",
        "host set web/blue/w1 host=web/blue/w2",
        "host set web/blue/w1 command=reload",
        "host set web/blue/w1 dry_run=true",
        "group set web/green group=web/blue",
        "service set web listen=[]",
        "service add web",
        "service listen web",
        "explain web",
        "explain web/blue/w1 --client 10.0.0.1",
        "explain web/blue --client 10.0.0.1",
        "close-sessions web/blue",
        "rollback",
        "rollback latest",
        "history --dry-run",
        "events --follow --limit 3",
        "completions cobol",
    ] {
        let output = node.run(&words(line));
        assert_eq!(output.status.code(), Some(2), "{line}: {}", err(&output));
        assert!(!err(&output).is_empty(), "{line}");
    }
    let plaintext = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["status", "--via", "http://10.0.0.1:7000"])
        .output()
        .unwrap();
    assert_eq!(plaintext.status.code(), Some(2));
    assert!(node.asked().is_empty());
}

#[test]
fn what_a_new_thing_cannot_have_is_invalid_before_it_is_sent() {
    let node = FakeNode::start(done);
    for line in [
        "group add web/green flavour=mild",
        "group add web/green scheduler=fair",
    ] {
        let output = node.run(&words(line));
        assert_eq!(output.status.code(), Some(4), "{line}: {}", err(&output));
    }
    assert!(node.asked().is_empty());
}
