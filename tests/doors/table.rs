//! Every command with what each role hears of it, as the design has it.
//! It must not know by which door a command comes.

use serde_json::{Value, json};

use crate::ways::Ask;

/// Who asks. `db` is `web`, the operator of `web-*`, asking the same of the service `db`.
pub(crate) const WHO: [&str; 6] = ["nobody", "viewer", "web", "db", "operator", "admin"];

/// What those of [`WHO`] hear who are somebody.
pub(crate) type Codes = [&'static str; 5];

const ALL: Codes = ["ok"; 5];
/// Who sees the service sees it.
const SEEN: Codes = ["ok", "ok", "denied", "ok", "ok"];
const OPERATORS: Codes = operators("ok");
const ADMINS: Codes = admins("ok");

const fn operators(code: &'static str) -> Codes {
    ["denied", code, "denied", code, code]
}

const fn admins(code: &'static str) -> Codes {
    ["denied", "denied", "denied", "denied", code]
}

/// A command, and what is done before it.
pub(crate) struct Row {
    pub(crate) before: Option<Value>,
    pub(crate) ask: Ask,
    pub(crate) codes: Codes,
}

impl Row {
    /// The same, asked of the service that `who` asks about.
    pub(crate) fn asked_by(&self, who: &str) -> (Option<Value>, Ask) {
        if who != "db" {
            return (self.before.clone(), self.ask.clone());
        }
        let other = |value: &Value| -> Value {
            serde_json::from_str(&value.to_string().replace("web-1", "db")).unwrap()
        };
        let ask = Ask {
            words: self.ask.words.replace("web-1", "db"),
            command: other(&self.ask.command),
        };
        (self.before.as_ref().map(other), ask)
    }
}

fn row(words: &str, command: Value, codes: Codes) -> Row {
    let words = words.to_owned();
    let ask = Ask { words, command };
    let before = None;
    Row { before, ask, codes }
}

fn after(before: Value, words: &str, command: Value, codes: Codes) -> Row {
    Row {
        before: Some(before),
        ..row(words, command, codes)
    }
}

/// Every command.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = shown();
    rows.extend(operated());
    rows.extend(administered());
    rows.extend(refused());
    rows.extend(people());
    rows
}

fn shown() -> Vec<Row> {
    let explained = json!({"command": "explain", "host": "web-1/blue/a"});
    vec![
        row("status", json!({"command": "status"}), ALL),
        row("whoami", json!({"command": "whoami"}), ALL),
        row("", json!({"command": "help"}), ALL),
        row("show", json!({"command": "show"}), ALL),
        row(
            "show web-1",
            json!({"command": "show", "service": "web-1"}),
            SEEN,
        ),
        row("history", json!({"command": "history"}), ALL),
        row("diff", json!({"command": "diff"}), ALL),
        row("diff 1", json!({"command": "diff", "from": 1}), ALL),
        row(
            "events --since 0 --limit 1000",
            json!({"command": "events", "since": 0, "limit": 1000}),
            ALL,
        ),
        row("explain web-1/blue/a", explained, SEEN),
    ]
}

fn operated() -> Vec<Row> {
    let host = |command: &str| json!({"command": command, "host": "web-1/blue/a"});
    let weighed = json!({"command": "set-weight", "host": "web-1/blue/a", "weight": 7});
    let mut waiting = weighed.clone();
    waiting["confirm_within"] = json!("1h");
    let mut dry = weighed.clone();
    dry["dry_run"] = json!(true);
    let activated = json!({"command": "activate-group", "group": "web-1/green"});
    let drained = json!({"command": "drain-host", "host": "web-1/blue/a", "deadline": "5s"});
    vec![
        after(
            host("disable-host"),
            "host enable web-1/blue/a",
            host("enable-host"),
            OPERATORS,
        ),
        row("host disable web-1/blue/a", host("disable-host"), OPERATORS),
        row("host drain web-1/blue/a --deadline 5s", drained, OPERATORS),
        row("host weight web-1/blue/a 7", weighed, OPERATORS),
        row("host weight web-1/blue/a 7 --dry-run", dry, OPERATORS),
        row(
            "host weight web-1/blue/a 7 --confirm-within 1h",
            waiting.clone(),
            OPERATORS,
        ),
        row("group activate web-1/green", activated, OPERATORS),
        row(
            "close-sessions web-1/blue/a",
            host("close-sessions"),
            OPERATORS,
        ),
        row(
            "close-sessions web-1",
            json!({"command": "close-sessions", "service": "web-1"}),
            OPERATORS,
        ),
        after(waiting, "confirm", json!({"command": "confirm"}), OPERATORS),
    ]
}

fn upgraded() -> Row {
    let command = json!({"command": "upgrade", "confirm_within": "1m"});
    row("upgrade --confirm-within 1m", command, admins("invalid"))
}

fn administered() -> Vec<Row> {
    let host = json!({"command": "add-host", "host": "web-1/blue/z", "address": "127.9.9.9:9", "weight": 3});
    let set = json!({"command": "set-host", "host": "web-1/blue/a", "max_sessions": 9});
    let group =
        json!({"command": "add-group", "group": "web-1/red", "scheduler": "random", "host": []});
    let set_group = json!({"command": "set-group", "group": "web-1/blue", "scheduler": "random"});
    let service = json!({"command": "add-service", "service": "web-9", "listen": ["127.0.0.1:0"], "group": [{"name": "main", "host": []}]});
    let services = json!([{"name": "web-1", "listen": ["127.0.0.1:0"], "group": [{"name": "only", "host": []}]}]);
    let weighed = json!({"command": "set-weight", "host": "web-1/blue/a", "weight": 7});
    vec![
        row("host add web-1/blue/z 127.9.9.9:9 --weight 3", host, ADMINS),
        row(
            "host remove web-1/blue/a",
            json!({"command": "remove-host", "host": "web-1/blue/a"}),
            ADMINS,
        ),
        row("host set web-1/blue/a max_sessions=9", set, ADMINS),
        row("group add web-1/red scheduler=random", group, ADMINS),
        row(
            "group remove web-1/green",
            json!({"command": "remove-group", "group": "web-1/green"}),
            ADMINS,
        ),
        row("group set web-1/blue scheduler=random", set_group, ADMINS),
        row("service add web-9 --listen 127.0.0.1:0", service, ADMINS),
        row(
            "service remove web-1",
            json!({"command": "remove-service", "service": "web-1"}),
            ADMINS,
        ),
        row(
            "service set web-1 retries=0",
            json!({"command": "set-service", "service": "web-1", "retries": 0}),
            ADMINS,
        ),
        row(
            "service listen web-1 127.0.0.2:0",
            json!({"command": "set-listen", "service": "web-1", "listen": ["127.0.0.2:0"]}),
            ADMINS,
        ),
        row(
            "replace new.json --reason because",
            json!({"command": "replace", "services": services, "reason": "because"}),
            ADMINS,
        ),
        row("reload", json!({"command": "reload"}), ADMINS),
        // What it does where it is carried out: tests/service.
        upgraded(),
        row(
            "reload --dry-run",
            json!({"command": "reload", "dry_run": true}),
            ADMINS,
        ),
        after(
            weighed,
            "rollback 1",
            json!({"command": "rollback", "revision": 1}),
            ADMINS,
        ),
    ]
}

fn refused() -> Vec<Row> {
    let weighed = |host: &str| json!({"command": "set-weight", "host": host, "weight": 7});
    let mut late = weighed("web-1/blue/a");
    late["expect_revision"] = json!(999);
    let mut waiting = weighed("web-1/blue/a");
    waiting["confirm_within"] = json!("1h");
    let there = json!({"command": "add-host", "host": "web-1/blue/a", "address": "127.9.9.9:9"});
    let abroad = json!({"command": "set-listen", "service": "web-1", "listen": ["192.0.2.1:80"]});
    let mut tried = abroad.clone();
    tried["dry_run"] = json!(true);
    let wrong = json!({"command": "set-host", "host": "web-1/blue/a", "weight": 300});
    vec![
        row(
            "host weight web-1/blue/x 7",
            weighed("web-1/blue/x"),
            operators("not-found"),
        ),
        row(
            "host weight web-1/blue/a 7 --expect-revision 999",
            late,
            operators("conflict"),
        ),
        after(
            waiting,
            "host weight web-1/blue/b 7",
            weighed("web-1/blue/b"),
            operators("conflict"),
        ),
        row(
            "host add web-1/blue/a 127.9.9.9:9",
            there,
            admins("conflict"),
        ),
        row("host set web-1/blue/a weight=300", wrong, admins("invalid")),
        row(
            "service listen web-1 192.0.2.1:80",
            abroad,
            admins("failed"),
        ),
        row(
            "service listen web-1 192.0.2.1:80 --dry-run",
            tried,
            admins("failed"),
        ),
        row(
            "rollback 999",
            json!({"command": "rollback", "revision": 999}),
            admins("not-found"),
        ),
    ]
}

/// Last: what the others leave behind is not the same on every door after these.
fn people() -> Vec<Row> {
    vec![
        row("logins", json!({"command": "logins"}), ADMINS),
        row(
            "end-login 0123",
            json!({"command": "end-login", "login": "0123"}),
            ["denied", "denied", "denied", "denied", "not-found"],
        ),
        row(
            "auth explain viewer",
            json!({"command": "explain-access", "user": "viewer"}),
            ADMINS,
        ),
        row("logout", json!({"command": "logout"}), ALL),
    ]
}
