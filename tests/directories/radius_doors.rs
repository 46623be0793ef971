//! The real program against a real RADIUS server: who may what on which door, one-time codes, and
//! what becomes of it when an answer grows old or the server goes away.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    eventually,
    node::Node,
    over_tls::{OverTls, door},
    radius::FreeRadius,
    real::installed,
    site::{SERVICES, token, weight},
};

fn config(server: &FreeRadius, secret: &str, trust: &str) -> String {
    let address = server.listener("strict");
    let door = door(
        &server.certificate("server.pem"),
        &server.certificate("server.key"),
    );
    format!(
        r#"
{door}
[auth]
backends = ["radius"]

[auth.radius]
servers = ["{address}"]
secret = "{secret}"
timeout = "500ms"
retries = 2
trust = "{trust}"

[[auth.rule]]
radius = "lb-admin"
role = "admin"

[[auth.rule]]
radius = "lb-operator"
role = "operator"
services = ["web"]

{SERVICES}"#
    )
}

fn shown(user: &str, password: &str) -> Value {
    json!({"user": user, "password": password})
}

/// Puts a body to the socket.
fn log_in(node: &Node, body: &Value) -> (u16, Value) {
    node.post("/v1/login", None, body)
}

/// The question and the handle of it.
fn asked(answer: &(u16, Value)) -> (String, String) {
    let data = &answer.1["data"];
    let text = |key: &str| data[key].as_str().unwrap_or_else(|| panic!("{}", answer.1));
    let code = text("challenge").strip_prefix("Enter OTP ").unwrap();
    (code.to_owned(), text("state").to_owned())
}

#[tokio::test]
async fn radius_decides_on_every_door_by_password_and_by_one_time_code() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    let node = Node::start(&config(&server, "testing123", "5m")).await;
    let ask = |token: &str, command: &Value| node.post("/v1/commands", Some(token), command).0;

    let ada = log_in(&node, &shown("ada", "analytical"));
    assert_eq!(ada.1["data"]["by"], "radius", "{}", ada.1);
    assert_eq!(ada.1["data"]["role"], "admin");
    let ada = token(&ada);
    assert_eq!(ask(&ada, &weight("db", 2)), 200);
    for (user, password) in [
        ("ada", "wrong"),
        ("nobody", "analytical"),
        ("plain", "nothing-more"),
    ] {
        assert_eq!(log_in(&node, &shown(user, password)).0, 401, "{user}");
    }

    // Over TCP with TLS, by the command line.
    let authority = server.certificate("ca.pem");
    let way = OverTls {
        node: &node,
        authority: &authority,
    };
    let (code, text) = way.cli("far", &["login", "ada"], "analytical\n");
    assert_eq!(code, 0, "{text}");
    let (code, text) = way.cli("far", &["whoami"], "");
    assert!(code == 0 && text.contains("\"radius\""), "{text}");
    let (code, text) = way.cli("far", &["login", "ada"], "wrong\n");
    assert_eq!(code, 3, "{text}");

    // A one-time code: good once, for who was asked.
    let (code, state) = asked(&log_in(&node, &shown("otp", "first-half")));
    let answer = json!({"user": "otp", "state": state, "otp": code});
    let otp = log_in(&node, &answer);
    assert_eq!(otp.1["data"]["role"], "operator", "{}", otp.1);
    let otp = token(&otp);
    assert_eq!(ask(&otp, &weight("web", 2)), 200);
    assert_eq!(ask(&otp, &weight("db", 3)), 403, "outside of the scope");
    assert_eq!(log_in(&node, &answer).0, 401, "used up");
    let (code, state) = asked(&log_in(&node, &shown("otp", "first-half")));
    let other = json!({"user": "ada", "state": state, "otp": code});
    assert_eq!(log_in(&node, &other).0, 401, "asked of somebody else");

    let told = node.post(
        "/v1/commands",
        Some(&ada),
        &json!({"command": "events", "limit": 10_000}),
    );
    let told = told.1.to_string();
    assert!(told.contains("admin.login-failed"), "{told}");
    for hidden in ["analytical", "first-half", "testing123", &ada, &state] {
        assert!(!told.contains(hidden) && !node.log().contains(hidden));
    }
}

#[tokio::test]
async fn the_command_line_asks_for_a_one_time_code_at_a_terminal() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    if !installed(&["script"]) {
        return;
    }
    let node = Node::start(&config(&server, "testing123", "5m")).await;
    let authority = server.certificate("ca.pem");
    let socket = "unix:pointsman-state/admin.sock".to_owned();
    let over_tls = format!(
        "https://localhost:{} --ca-file {}",
        node.http().port(),
        authority.display()
    );
    for way in [socket, over_tls] {
        asks_at_a_terminal(&node, &way);
    }
}

/// Logs in at a terminal with a one-time code.
fn asks_at_a_terminal(node: &Node, way: &str) {
    let program = env!("CARGO_BIN_EXE_pointsman");
    let line = format!("{program} login otp --via {way}");
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.current_dir(&node.folder);
    command.env("XDG_RUNTIME_DIR", &node.folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut terminal = command.spawn().unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = Screen(terminal.stdout.take().unwrap(), String::new());
    screen.until("Password of otp: ");
    keys.write_all(b"first-half\n").unwrap();
    screen.until("Enter OTP ");
    screen.until(": ");
    let (_, question) = screen.1.split_once("Enter OTP ").unwrap();
    let code: String = question.chars().take(6).collect();
    keys.write_all(format!("{code}\n").as_bytes()).unwrap();
    screen.until("operator");
    assert_eq!(terminal.wait().unwrap().code(), Some(0));
    assert!(!screen.1.contains("first-half"), "{}", screen.1);
    assert_eq!(screen.1.matches(&code).count(), 1, "{}", screen.1);
}

/// What a terminal has shown.
struct Screen(std::process::ChildStdout, String);

impl Screen {
    /// Reads on until the end of what is shown next is there.
    #[track_caller]
    fn until(&mut self, words: &str) {
        let from = self.1.len();
        let mut byte = [0];
        while !self.1[from..].contains(words) {
            let read = self.0.read(&mut byte).unwrap();
            assert_eq!(read, 1, "it ended: {}", self.1);
            self.1.push(char::from(byte[0]));
        }
    }
}

#[tokio::test]
async fn an_old_answer_covers_no_change_and_a_server_that_is_gone_no_log_in() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    let node = Node::start(&config(&server, "testing123", "2s")).await;
    let ask = |token: &str, command: &Value| node.post("/v1/commands", Some(token), command);
    let ada = token(&log_in(&node, &shown("ada", "analytical")));
    assert_eq!(ask(&ada, &weight("db", 2)).0, 200);
    eventually!(ask(&ada, &weight("db", 3)).0 == 403);
    let refused = ask(&ada, &weight("db", 3)).1.to_string();
    assert!(refused.contains("log in again"), "{refused}");
    assert_eq!(
        ask(&ada, &json!({"command": "status"})).0,
        200,
        "reads go on"
    );
    let ada = token(&log_in(&node, &shown("ada", "analytical")));
    assert_eq!(ask(&ada, &weight("db", 4)).0, 200);

    server.stop();
    let since = Instant::now();
    let answer = log_in(&node, &shown("ada", "analytical"));
    assert_eq!(answer.0, 503, "{}", answer.1);
    assert!(since.elapsed() < Duration::from_secs(15));
    assert_eq!(
        ask(&ada, &json!({"command": "status"})).0,
        200,
        "reads go on"
    );
    eventually!(node.log().contains("a directory is away"));
    // What it said before covers no change any more, and nobody can say it anew.
    eventually!(ask(&ada, &weight("db", 5)).0 == 403);

    // It comes back: so do log-ins, and with them changes.
    server.again();
    eventually!(log_in(&node, &shown("ada", "analytical")).0 == 200);
    let ada = token(&log_in(&node, &shown("ada", "analytical")));
    assert_eq!(ask(&ada, &weight("db", 6)).0, 200);
    eventually!(node.log().contains("a directory is back"));
}

#[tokio::test]
async fn with_a_wrong_secret_nobody_is_denied_and_the_operator_is_told_why() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    let node = Node::start(&config(&server, "testing321", "5m")).await;
    for (user, password) in [("ada", "analytical"), ("ada", "wrong")] {
        let answer = log_in(&node, &shown(user, password));
        assert_eq!(answer.0, 503, "{}", answer.1);
    }
    let log = node.log();
    let mut lines = log
        .lines()
        .filter(|line| line.contains("a directory is away"));
    let line = lines.next().unwrap_or_else(|| panic!("{log}"));
    let address = server.listener("strict").to_string();
    assert!(line.contains("WARN") && line.contains(&address), "{line}");
    assert!(line.contains("another secret"), "{line}");
    assert!(!log.contains("testing321") && !log.contains("analytical"));
}
