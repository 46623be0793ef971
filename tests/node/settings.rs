//! Settings that a running node takes in: its doors, its people, what it keeps.
//! It must not be about the services of the same file; `file` is.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::Signal,
};
use serde_json::{Value, json};

use crate::{
    eventually, hosts,
    node::{Node, user},
    settings,
    support::service,
};

const WHO: &str = "whoami";

fn reload() -> Value {
    json!({"command": "reload"})
}

fn config(more: &str) -> String {
    settings(more) + &service("web", &["127.0.0.1:0"], &hosts(), "")
}

/// A node with a user `ada`, whose HTTP API is at `listen`.
fn with_http(listen: &str) -> String {
    let people = user("ada", "role = \"admin\"");
    config(&format!(
        "[admin]\nhttp = {{ listen = \"{listen}\" }}\n{people}"
    ))
}

/// What `address` answers to a token, if anybody does.
fn status_at(address: SocketAddr, token: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    let body = json!({"command": WHO}).to_string();
    let request = format!(
        "POST /v1/commands HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    reply.split(' ').nth(1)?.parse().ok()
}

#[tokio::test]
async fn the_http_door_comes_moves_and_goes_with_a_reload() {
    let people = user("ada", "role = \"admin\"");
    let node = Node::start(&config(&people)).await;
    let token = node.login("ada");
    let ask = |text: &str| {
        node.write(text);
        node.post("/v1/commands", Some(&token), &reload())
    };
    let (status, answer) = ask(&with_http("127.0.0.1:0"));
    assert_eq!((status, &answer["revision"]), (200, &json!(1)), "{answer}");
    assert_eq!(answer["data"], json!({"settings": ["admin"]}));
    let first = node.http();
    assert_eq!(status_at(first, &token), Some(200));

    // By the door that moves itself: the answer comes all the same.
    let mut halfway = TcpStream::connect(first).unwrap();
    halfway.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
    node.write(&with_http("127.0.0.2:0"));
    let (status, answer) = node.post_http("/v1/commands", Some(&token), &reload());
    assert_eq!((status, &answer["ok"]), (200, &json!(true)), "{answer}");
    eventually!(node.http() != first);
    let second = node.http();
    assert_eq!(status_at(second, &token), Some(200));
    eventually!(TcpStream::connect(first).is_err());
    // A request that was begun is answered by the door that it came to.
    let rest = format!("Host: {first}\r\n\r\n");
    halfway.write_all(rest.as_bytes()).unwrap();
    let mut reply = String::new();
    halfway.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");

    let (status, _) = ask(&config(&people));
    assert_eq!(status, 200);
    eventually!(TcpStream::connect(second).is_err());
    let audited = node.log();
    assert!(!audited.contains("a door is closed"), "{audited}");
}

#[tokio::test]
async fn an_address_that_cannot_be_bound_refuses_the_reload_and_changes_nothing() {
    let node = Node::start(&with_http("127.0.0.1:0")).await;
    let token = node.login("ada");
    let first = node.http();
    let shown = node.shown();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let broken = with_http(&taken)
        .replace("name = \"w1\"", "name = \"w1\"\nweight = 9")
        .replace("role = \"admin\"", "role = \"viewer\"");
    node.write(&broken);
    let (status, answer) = node.post("/v1/commands", Some(&token), &reload());
    assert_eq!((status, &answer["error"]["code"]), (500, &json!("failed")));
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        message.contains(&taken) && message.contains("in use"),
        "{message}"
    );
    node.signal(Signal::HUP);
    eventually!(node.log().contains("not reloaded"));
    assert_eq!(status_at(first, &token), Some(200));
    assert_eq!((node.shown(), node.revision()), (shown, 1));
    let change = json!({"command": "set-weight", "host": "web/blue/w1", "weight": 2});
    let (status, answer) = node.post("/v1/commands", Some(&token), &change);
    assert_eq!(
        status, 409,
        "an admin still, and the file is edited: {answer}"
    );
}

#[tokio::test]
async fn a_dry_run_of_a_reload_tries_the_settings_and_takes_in_none() {
    let node = Node::start(&config("")).await;
    let dry = || json!({"command": "reload", "dry_run": true});
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let cannot_listen = format!("admin.http: cannot listen on {address}: address in use");
    for (settings, code, says) in [
        (with_http(&address), "failed", cannot_listen.as_str()),
        (
            config(
                "[bus]\nbrokers = [\"stomp://127.0.0.1:9\"]\nlogin = \"a\"\npasscode = { file = \"none\" }",
            ),
            "failed",
            "none",
        ),
        (config("access_log = 7"), "invalid", "access_log"),
    ] {
        node.write(&settings);
        let refused = node.refused(dry());
        assert_eq!(refused.0, code, "{refused:?}");
        assert!(refused.1.contains(says), "{refused:?}");
        assert_eq!(refused, node.refused(reload()));
    }
    drop(taken);
    let moved = config("access_log = true\n[admin]\nsocket = \"other.sock\"");
    node.write(&moved.replace("threads = 1", "threads = 2"));
    let told = json!({"settings": ["admin", "node.access_log"], "restart": ["node.threads"]});
    for _ in 0..2 {
        assert_eq!(node.done(dry())["data"], told);
        assert!(!node.folder.join("other.sock").exists());
    }
    eventually!(node.log().matches(" dry_run=true ok=true ").count() == 2);
    assert_eq!(node.done(reload())["data"], told);
    let who = json!({"command": WHO});
    assert_eq!(node.ask_at("other.sock", &who).unwrap().0, 200);
}

#[tokio::test]
async fn names_of_the_http_door_change_on_the_same_socket() {
    let node = Node::start(&with_http("127.0.0.1:0")).await;
    let token = node.login("ada");
    let address = node.http();
    node.edit(" }\n", ", hosts = [\"lb1.example.org\"] }\n");
    let (status, answer) = node.post("/v1/commands", Some(&token), &reload());
    assert_eq!(status, 200, "{answer}");
    assert_eq!(node.http(), address);
    eventually!(status_at(address, &token) == Some(421));
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_refuses_the_reload() {
    let node = Node::start(&with_http("127.0.0.1:0")).await;
    let token = node.login("ada");
    node.edit(" }\n", ", certificate = \"admin\" }\n[certificates.admin]\ncert_file = \"none.pem\"\nkey_file = \"none.key\"\n");
    let (status, answer) = node.post("/v1/commands", Some(&token), &reload());
    assert_eq!(status, 500, "{answer}");
    assert!(answer.to_string().contains("none.pem"), "{answer}");
    assert_eq!(status_at(node.http(), &token), Some(200));
}

#[tokio::test]
async fn a_pipe_or_a_device_in_the_place_of_a_certificate_is_refused_and_waited_for_by_nobody() {
    let node = Node::start(&config("")).await;
    let (usual, pipe) = (node.file(), node.folder.join("pipe"));
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let shown = "[admin]\nhttp = { listen = \"127.0.0.1:0\", certificate = \"c\" }\n";
    let people = user("ada", "role = \"admin\"");
    let directory = "[auth]\nbackends = [\"ldap\"]\n[auth.ldap]\nurls = [\"ldaps://localhost\"]\n\
                     bind_template = \"uid={user},dc=example\"\nca_file = PIT\n\
                     [[auth.rule]]\nuser = \"ada\"\nrole = \"admin\"\n";
    let group = "name = \"blue\"\n";
    let probe = "probe = { kind = \"tls\", ca = \"c\" }\n";
    for pit in [pipe.as_path(), Path::new("/dev/zero")] {
        for (settings, more, says) in [
            (
                format!("{shown}{people}[certificates.c]\ncert_file = PIT\nkey_file = PIT\n"),
                "",
                "failed",
            ),
            (
                "[certificates.c]\ncert_file = PIT\n".to_owned(),
                probe,
                "failed",
            ),
            (directory.to_owned(), "", "invalid"),
        ] {
            let text = config(&settings.replace("PIT", &format!("{pit:?}")));
            node.write(&text.replace(group, &format!("{group}{more}")));
            let (code, message) = node.refused(reload());
            assert_eq!(code, says, "{settings}: {message}");
            assert!(message.ends_with("it is no ordinary file"), "{message}");
        }
    }
    node.write(&usual);
    node.done(reload());
}

#[tokio::test]
async fn the_local_socket_moves_and_changes_its_group_without_a_moment_without() {
    let node = Node::start(&config("")).await;
    let usual = "pointsman-state/admin.sock";
    let group = fs::metadata(&node.folder).unwrap().gid();
    node.write(&config(&format!("[admin]\nsocket_group = \"{group}\"")));
    let before = fs::metadata(node.folder.join(usual)).unwrap().ino();
    assert_eq!(node.done(reload())["data"], json!({"settings": ["admin"]}));
    eventually!(fs::metadata(node.folder.join(usual)).unwrap().ino() != before);
    assert_eq!(node.revision(), 1);
    assert!(!node.folder.join("pointsman-state/admin.sock.new").exists());

    node.write(&config("[admin]\nsocket_group = \"no such group\""));
    let (code, message) = node.refused(reload());
    assert_eq!(code, "failed");
    assert!(message.contains("no such group"), "{message}");

    node.write(&config("[admin]\nsocket = \"other.sock\""));
    node.done(reload());
    let who = json!({"command": WHO});
    assert_eq!(node.ask_at("other.sock", &who).unwrap().0, 200);
    eventually!(!node.folder.join(usual).exists());
    node.write(&config(""));
    assert_eq!(node.ask_at("other.sock", &reload()).unwrap().0, 200);
    eventually!(!node.folder.join("other.sock").exists());
    assert_eq!(node.revision(), 1);
}

#[tokio::test]
async fn only_name_state_and_threads_take_a_restart_and_that_is_said() {
    let mut node = Node::start(&config("")).await;
    let changed = config("access_log = true\nevents_kept = 5")
        .replace("\"lb1\"", "\"lb2\"")
        .replace("threads = 1", "threads = 2\nstate_dir = \"elsewhere\"");
    node.write(&changed);
    let wanted = json!({
        "settings": ["node.access_log", "node.events_kept"],
        "restart": ["node.name", "node.state_dir", "node.threads"],
    });
    assert_eq!(node.done(reload())["data"], wanted);
    let restart = json!({"restart": wanted["restart"]});
    assert_eq!(node.done(reload())["data"], restart, "still");
    assert!(node.log().contains("takes a restart"), "{}", node.log());
    let status = node.done(json!({"command": "status"}));
    assert_eq!(status["data"]["node"], "lb1");
    for _ in 0..20 {
        node.done(json!({"command": "enable-host", "host": "web/blue/w1"}));
    }
    assert!(node.events(0).len() < 15, "events_kept counts");
    let _ = TcpStream::connect(node.address());
    eventually!(node.log().contains("session"));
    node.write(&config("").replace("\"0s\"", "\"1s\""));
    node.signal(Signal::HUP);
    eventually!(node.log().contains("node.drain_timeout"));
    node.down().await;
    assert!(node.log().contains("patience=1s"), "{}", node.log());
}

#[tokio::test]
async fn people_come_and_go_with_a_reload() {
    let node = Node::start(&config("")).await;
    let weight =
        |weight: u16| json!({"command": "set-weight", "host": "web/blue/w1", "weight": weight});
    node.done(weight(2));
    let alone = node.file();
    let people = user("ada", "role = \"admin\"");
    node.edit("[[service]]", &format!("{people}\n[[service]]"));
    assert_eq!(node.done(reload())["data"], json!({"settings": ["auth"]}));
    assert_eq!(node.refused(weight(3)).0, "denied", "root is a viewer now");
    let token = node.login("ada");
    let post = |command: &Value| node.post("/v1/commands", Some(&token), command);
    assert_eq!(post(&weight(3)).0, 200);
    node.write(&alone.replace("weight = 2", "weight = 3"));
    assert_eq!(post(&reload()).0, 200);
    assert_eq!(post(&weight(4)).0, 401, "nobody is logged in any more");
    node.done(weight(5));
    let ended = node.told("admin.logout");
    assert_eq!(ended[0]["reason"], "settings");
}
