//! The command line as a client: what it sends, what it shows, and what it exits with.
#![allow(clippy::unwrap_used)]

#[path = "support/fake_node.rs"]
mod fake_node;

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
};

use fake_node::{Answer, Asked, FakeNode};
use serde_json::{Value, json};

const DONE: &str = r#"{"id":"1","ok":true,"revision":42,"diff":["~ web/blue/w1 weight: 5 → 2","+ web/blue/w4","- web/green"]}"#;

fn done(_: &Asked) -> Answer {
    (200, DONE.to_owned())
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn words(line: &str) -> Vec<&str> {
    // No argument in the tables has a blank in it.
    line.split(' ').collect()
}

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
fn each_error_code_has_its_exit_code_and_its_sentence() {
    for (status, code, exit) in [
        (403, "denied", 3),
        (400, "invalid", 4),
        (404, "not-found", 4),
        (409, "conflict", 5),
        (500, "failed", 1),
        (503, "unavailable", 6),
    ] {
        let error = json!({"code": code, "message": "because \u{1b}[2J of it"});
        let text = json!({"id": "1", "ok": false, "error": error, "revision": 43}).to_string();
        let answer = text.clone();
        let node = FakeNode::start(move |_| (status, answer.clone()));
        let output = node.run(&["reload"]);
        assert_eq!(output.status.code(), Some(exit), "{code}");
        assert_eq!(out(&output), "");
        let sentence = "pointsman: because \u{fffd}[2J of it\n";
        assert_eq!(err(&output), sentence, "{code}");

        let output = node.run(&["reload", "--json"]);
        assert_eq!(output.status.code(), Some(exit), "{code} as JSON");
        assert_eq!(out(&output), text + "\n");
        assert_eq!(err(&output), "");
    }
}

#[test]
fn an_answer_that_is_not_ours_is_judged_by_its_status() {
    for (status, exit) in [(413, 4), (401, 3), (502, 6), (500, 1), (200, 1)] {
        let node = FakeNode::start(move |_| (status, "<h1>\nno</h1>".to_owned()));
        let output = node.run(&["status"]);
        assert_eq!(output.status.code(), Some(exit), "{status}");
        assert!(err(&output).contains("answered"), "{}", err(&output));
        let json = out(&node.run(&["status", "--json"]));
        assert_eq!(json.lines().count(), 1, "{json}");
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["ok"], false);
    }
}

#[test]
fn json_is_the_answer_as_it_is_on_one_line() {
    let node = FakeNode::start(done);
    for line in [
        "status --json",
        "--json history",
        "host --json enable web/blue/w1",
    ] {
        assert_eq!(out(&node.run(&words(line))), format!("{DONE}\n"), "{line}");
    }
    let pretty = FakeNode::start(|_| (200, "{\n \"ok\": true,\n \"id\": \"1\"\n}\n".to_owned()));
    let json = out(&pretty.run(&["status", "--json"]));
    assert_eq!(json, "{\"id\":\"1\",\"ok\":true}\n");
}

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
fn when_nobody_listens_it_says_where_and_what_to_do() {
    let node = FakeNode::nowhere();
    let output = node.run(&["status"]);
    assert_eq!(output.status.code(), Some(6));
    let message = err(&output);
    for part in [
        "nobody listens on unix:/",
        "admin.sock",
        "pointsman run",
        "--via",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let output = node.run(&["status", "--json"]);
    let answer: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(answer["error"]["code"], "unavailable");
    for line in ["status --watch", "events --follow"] {
        assert_eq!(node.run(&words(line)).status.code(), Some(6), "{line}");
    }
}

#[test]
fn a_login_is_kept_for_its_owner_and_used_until_it_ends() {
    let node = FakeNode::start(|asked| {
        if asked.line.contains("/v1/login") && asked.body.contains("otp") {
            let data = json!({"token": "t0k3n", "login": "l1", "user": "ada", "role": "admin",
                "services": ["*"], "by": "local", "expires": 1_790_000_000_000_u64});
            (200, json!({"ok": true, "data": data}).to_string())
        } else if asked.line.contains("/v1/login") {
            let data = json!({"challenge": "Code", "state": "s1"});
            (200, json!({"ok": true, "data": data}).to_string())
        } else if asked.body.contains("reload") {
            let error = json!({"code": "denied", "message": "this login has ended"});
            (
                401,
                json!({"id": "1", "ok": false, "error": error}).to_string(),
            )
        } else {
            done(asked)
        }
    });
    let output = node.run_with(&["login", "ada"], "hunter2\n123456\n");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).starts_with("logged in as ada: admin on *"));
    assert!(!(out(&output) + &err(&output)).contains("t0k3n"));

    let folder = node.folder.join("pointsman");
    let kept = || -> Vec<_> { fs::read_dir(&folder).unwrap().map(Result::unwrap).collect() };
    assert_eq!(kept().len(), 1);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(folder.clone()), mode(kept()[0].path())),
        (0o700, 0o600)
    );

    node.run(&["status"]);
    let output = node.run(&["reload"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(err(&output).contains("pointsman login"), "{}", err(&output));
    assert!(kept().is_empty(), "a login that has ended is forgotten");
    node.run(&["status"]);

    let asked = node.asked();
    let body = |index: usize| serde_json::from_str::<Value>(&asked[index].body).unwrap();
    assert_eq!(body(0), json!({"user": "ada", "password": "hunter2"}));
    assert_eq!(
        body(1),
        json!({"user": "ada", "state": "s1", "otp": "123456"})
    );
    let bearer: Vec<bool> = asked
        .iter()
        .map(|asked| asked.head.contains("authorization: Bearer t0k3n"))
        .collect();
    assert_eq!(bearer, [false, false, true, true, false]);
}

#[test]
fn logging_out_forgets_the_login_and_a_token_that_others_can_read_is_not_used() {
    let node = FakeNode::start(|asked| match asked.line.contains("/v1/login") {
        true => (
            200,
            json!({"ok": true, "data": {"token": "t0k3n"}}).to_string(),
        ),
        false => done(asked),
    });
    node.run_with(&["login", "ada"], "hunter2\n");
    let folder = node.folder.join("pointsman");
    let file = fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    node.run(&["status"]);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    node.run(&["logout"]);
    assert!(!file.exists());
    let asked = node.asked();
    assert!(!asked[1].head.contains("t0k3n"));
    assert!(asked[2].head.contains("t0k3n"));
}

#[test]
fn a_log_in_that_is_refused_is_denied_and_one_too_soon_says_when() {
    for (status, code, exit, says) in [
        (401, "denied", 3, "the user or the password is wrong"),
        (429, "unavailable", 6, "try again in 8.1 s\n"),
        (503, "unavailable", 6, "the user or"),
    ] {
        let node = FakeNode::start(move |_| {
            let error = json!({"code": code, "message": "the user or the password is wrong"});
            let retry = (status == 429).then_some(8.051_906);
            (
                status,
                json!({"ok": false, "error": error, "retry_after": retry}).to_string(),
            )
        });
        let output = node.run_with(&["login", "ada"], "wrong\n");
        assert_eq!(output.status.code(), Some(exit), "{status}");
        assert!(err(&output).contains(says), "{}", err(&output));
        assert!(
            !err(&output).contains("pointsman login"),
            "no advice to do just that"
        );
        assert!(!node.folder.join("pointsman").exists());
    }
}

#[test]
fn an_answer_that_came_too_soon_is_given_again_when_it_is_time() {
    let times = std::sync::atomic::AtomicUsize::new(0);
    let node = FakeNode::start(move |asked| {
        if !asked.body.contains("otp") {
            let data = json!({"challenge": "Code", "state": "s1"});
            return (200, json!({"ok": true, "data": data}).to_string());
        }
        assert!(asked.body.contains("s1") && asked.body.contains("123456"));
        if times.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
            let error = json!({"code": "denied", "message": "too many log-ins failed"});
            let refused = json!({"ok": false, "error": error, "retry_after": 0.1});
            return (429, refused.to_string());
        }
        let data = json!({"token": "t0k3n", "login": "l1", "user": "ada", "role": "admin",
            "services": ["*"], "by": "radius", "expires": "2026-11-23T17:00:11Z"});
        (200, json!({"ok": true, "data": data}).to_string())
    });
    let output = node.run_with(&["login", "ada"], "first-half\n123456\n");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(node.asked().len(), 3, "password, too soon, again");
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

#[test]
fn a_password_from_a_pipe_is_hashed_with_argon2id() {
    let node = FakeNode::nowhere();
    let output = node.run_with(&["passwd"], "correct horse\n");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(
        out(&output).starts_with("$argon2id$v=19$"),
        "{}",
        out(&output)
    );
    let again = node.run_with(&["passwd"], "correct horse\n");
    assert_ne!(out(&output), out(&again), "each has a salt of its own");
    let too_long = "x".repeat(257) + "\n";
    for wrong in ["\n", "  \n", "a\0b\n", &too_long] {
        assert_eq!(node.run_with(&["passwd"], wrong).status.code(), Some(4));
    }
    assert_eq!(node.run_with(&["passwd"], "").status.code(), Some(1));
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

/// Every command line that there is, without its arguments.
const COMMANDS: &str = "run check demo status show explain host group service close-sessions \
    reload history diff rollback confirm events whoami logout logins end-login auth replace \
    login passwd completions man";
const UNDER: [(&str, &str); 4] = [
    ("host", "add remove enable disable drain weight set"),
    ("group", "add remove activate set"),
    ("service", "add remove listen set"),
    ("auth", "explain"),
];

#[test]
fn completions_and_the_manual_mention_every_command() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        let output = command.args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        out(&output)
    };
    let man = run(&["man"]).replace("\\-", "-");
    let help = run(&["--help"]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]);
        for command in COMMANDS.split_whitespace() {
            assert!(script.contains(command), "{command} for {shell}");
        }
    }
    for command in COMMANDS.split_whitespace() {
        let pages = [format!(".SS {command}\n"), format!(".SS \"{command} ")];
        assert!(pages.iter().any(|page| man.contains(page)), "{command}");
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command}\n{help}"
        );
    }
    for (group, commands) in UNDER {
        for command in commands.split_whitespace() {
            let page = format!(".SS \"{group} {command}\"\n");
            assert!(man.contains(&page), "{page}");
        }
    }
    for exit in ["EXIT STATUS", "denied", "unavailable"] {
        assert!(man.contains(exit), "{exit}");
    }
}
