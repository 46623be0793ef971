//! The command line and the examples over a real broker.
//! It must not use our own client where somebody else's is what is shown.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::{
    activemq::ActiveMq,
    asking::{Site, weigh},
    node::PASSWORD,
};

/// The command line as somebody with a home of their own.
fn command(site: &Site, broker: &ActiveMq, place: &str, arguments: &[&str]) -> Command {
    let home = site.node.folder.join("home");
    fs::create_dir_all(&home).unwrap();
    let mut command = site.node.command(arguments);
    command
        .arg("--via")
        .arg(format!("{place}?node={}", site.name))
        .args(["--ca-file", broker.env("CA_FILE"), "--json"])
        .env("XDG_RUNTIME_DIR", &home)
        .env("XDG_CONFIG_HOME", &home)
        .env("HOME", &home)
        .env("POINTSMAN_BUS_LOGIN", "operator")
        .env("POINTSMAN_BUS_PASSCODE", "operator");
    command
}

fn run(mut command: Command, input: &str) -> (i32, Value) {
    use std::io::Write;
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let said = serde_json::from_slice(&stdout).unwrap_or_default();
    assert!(stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
    (status.code().unwrap(), said)
}

#[tokio::test]
async fn the_command_line_logs_in_and_commands_over_the_bus_as_over_any_other_way() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    for place in [broker.plain(), broker.tls()] {
        let site = Site::start(broker, &place, "").await;
        let ask = |arguments: &[&str], input| run(command(&site, broker, &place, arguments), input);
        let (exit, said) = ask(&["status"], "");
        assert_eq!(
            (exit, &said["error"]["code"]),
            (3, &json!("denied")),
            "{said}"
        );
        // Who the node is, is never learnt from the bus.
        let (exit, said) = ask(&["login", "admin"], PASSWORD);
        assert_eq!(exit, 1, "{said}");
        let message = said["error"]["message"].as_str().unwrap();
        assert!(message.contains("pointsman pubkey"), "{message}");
        let known = site.node.folder.join("home/pointsman");
        fs::create_dir_all(&known).unwrap();
        let line = format!("{} {}\n", site.name, site.key());
        fs::write(known.join("known_nodes"), line).unwrap();
        let (exit, said) = ask(&["login", "admin"], PASSWORD);
        assert_eq!(
            (exit, &said["data"]["role"]),
            (0, &json!("admin")),
            "{said}"
        );
        let (exit, said) = ask(&["host", "weight", "web/blue/w1", "5"], "");
        assert_eq!((exit, &said["revision"]), (0, &json!(2)), "{said}");
        let (exit, _) = ask(&["host", "weight", "web/blue/w8", "5"], "");
        assert_eq!(exit, 4);
        let stale = [
            "host",
            "weight",
            "web/blue/w1",
            "6",
            "--expect-revision",
            "1",
        ];
        assert_eq!(ask(&stale, "").0, 5);
        let (exit, said) = ask(&["whoami"], "");
        assert_eq!((exit, &said["data"]["user"]), (0, &json!("admin")));
        for entry in fs::read_dir(known).unwrap() {
            use std::os::unix::fs::PermissionsExt;
            let entry = entry.unwrap();
            let secret = entry.file_name().to_string_lossy().ends_with(".token");
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert!(!secret || mode == 0o600, "{entry:?}");
        }
        assert_eq!(ask(&["logout"], "").0, 0);
        assert_eq!(ask(&["status"], "").0, 3);
        let (exit, said) = ask(&["login", "viewer", "--node-key", &site.key()], PASSWORD);
        assert_eq!(exit, 0, "{said}");
    }
}

#[tokio::test]
async fn events_are_followed_over_the_bus_from_any_of_them_on() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let place = broker.plain();
    let site = Site::start(broker, &place, "").await;
    let key = site.key();
    let login = command(
        &site,
        broker,
        &place,
        &["login", "admin", "--node-key", &key],
    );
    assert_eq!(run(login, PASSWORD).0, 0);
    let mut follow = command(
        &site,
        broker,
        &place,
        &["events", "--follow", "--since", "1"],
    );
    let mut child = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["sequence"], "2");
    site.ask(&weigh("w1", 9));
    let mut last = 2;
    loop {
        let event = next();
        last += 1;
        assert_eq!(event["sequence"], last.to_string().as_str(), "{event}");
        if event["type"] == "pointsman.config.changed" && event["data"]["revision"] == 2 {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The programs of `examples/`, as a reader of the documents would start them.
fn drains_a_host(site: &Site, mut program: Command, place: &str) {
    program
        .args([place, &site.name, &site.key(), "operator", "web/blue/w1"])
        .env("BUS_LOGIN", "operator")
        .env("BUS_PASSCODE", "operator")
        .env("PASSWORD", PASSWORD);
    let output = program.output().unwrap();
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.starts_with("logged in as"), "{said}");
    assert!(said.contains("pointsman.host.drained"), "{said}");
}

#[tokio::test]
async fn the_example_in_python_drains_a_host() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let python = "/usr/bin/python3";
    let there = Command::new(python)
        .args(["-c", "import stomp, jwt, nacl"])
        .output();
    if !there.is_ok_and(|output| output.status.success()) {
        let demanded = std::env::var_os("REQUIRE_REAL").is_some_and(|value| value == "1");
        assert!(
            !demanded,
            "python3-stomp, python3-jwt or python3-nacl is missing"
        );
        println!("skipped: python3-stomp, python3-jwt or python3-nacl is missing");
        return;
    }
    let site = Site::start(broker, &broker.plain(), "").await;
    let mut program = Command::new(python);
    program.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/control_over_stomp.py"));
    let place = broker.plain().replace("stomp://", "");
    drains_a_host(&site, program, &place);
}

#[tokio::test]
async fn the_example_in_rust_drains_a_host() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let site = Site::start(broker, &broker.plain(), "").await;
    // With one test program alone, Cargo does not build the examples.
    let tests = std::env::current_exe().unwrap();
    let target = tests.parent().and_then(Path::parent).unwrap();
    let example = target.join("examples/control_over_stomp");
    if !example.exists() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--locked", "--example", "control_over_stomp"]);
        build.args((!cfg!(debug_assertions)).then_some("--release"));
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(build.current_dir(root).status().unwrap().success());
    }
    drains_a_host(&site, Command::new(example), &broker.plain());
}
