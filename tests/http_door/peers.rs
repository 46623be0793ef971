//! Who somebody is at the socket before they log in, and the socket's file.

use std::os::unix::{fs::PermissionsExt, process::CommandExt};

use super::*;

#[tokio::test]
async fn without_auth_the_owner_is_admin_and_with_it_a_viewer() {
    for (logins, role) in [(false, "admin"), (true, "viewer")] {
        let node = Node::with(logins, None, None).await;
        let reply = node.command("", &json!({"command": "whoami"})).await;
        let data = reply.json()["data"].clone();
        assert_eq!(
            (&data["role"], &data["by"]),
            (&json!(role), &json!("socket"))
        );
        let uid = rustix::process::geteuid().as_raw();
        assert_eq!(data["from"], format!("uid {uid}"));
        let name = data["user"].as_str().unwrap();
        assert!(uid != 0 || name == "root", "{name}");
    }
}

/// What `nobody` (of `nogroup`) is told; `None` when they cannot connect.
async fn as_nobody(node: &Node) -> Option<Value> {
    let mut curl = std::process::Command::new("curl");
    curl.args(["-s", "--max-time", "10", "--unix-socket"])
        .arg(node.folder.join("admin.sock"))
        .args(["http://pm/v1/commands", "-d", r#"{"command":"whoami"}"#])
        .uid(65534)
        .gid(65534);
    let output = tokio::task::spawn_blocking(move || curl.output());
    let output = output.await.unwrap().expect("curl cannot be run");
    serde_json::from_slice(&output.stdout).ok()
}

#[tokio::test]
async fn members_of_the_group_are_viewers_and_others_nobody() {
    let curl = std::process::Command::new("curl").arg("-V").output();
    if !rustix::process::geteuid().is_root() || curl.is_err() {
        eprintln!("skipped: needs root and curl");
        return;
    }
    let closed = Node::with(true, None, None).await;
    assert_eq!(as_nobody(&closed).await, None, "mode 0660 keeps them out");
    // Even where somebody loosened the mode, they are nobody.
    let loose = fs::Permissions::from_mode(0o666);
    fs::set_permissions(closed.folder.join("admin.sock"), loose).unwrap();
    assert_eq!(as_nobody(&closed).await.unwrap()["error"]["code"], "denied");

    let open = Node::with(true, Some("nogroup"), None).await;
    let data = as_nobody(&open).await.unwrap()["data"].clone();
    assert_eq!(
        (&data["role"], &data["user"]),
        (&json!("viewer"), &json!("nobody"))
    );

    let without_logins = Node::with(false, Some("nogroup"), None).await;
    let reply = as_nobody(&without_logins).await.unwrap();
    assert_eq!(reply["error"]["code"], "denied");
}

#[tokio::test]
async fn the_socket_replaces_a_stale_one_and_no_other() {
    let node = Node::start().await;
    let path = node.folder.join("admin.sock");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let error = SocketDoor::bind(&path, None).unwrap_err().to_string();
    assert!(error.contains("another process answers"), "{error}");

    let stale = node.folder.join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    let door = SocketDoor::bind(&stale, None).unwrap();
    drop(door);
    assert!(!stale.exists(), "its file goes with it");

    let file = node.folder.join("file");
    fs::write(&file, "precious").unwrap();
    let error = SocketDoor::bind(&file, None).unwrap_err().to_string();
    assert!(error.contains("not a socket"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");

    let error = SocketDoor::bind(&stale, Some("no-such-group")).unwrap_err();
    assert!(error.to_string().contains("no-such-group"), "{error}");
}

#[tokio::test]
async fn it_stops_when_told_and_removes_its_file() {
    let mut node = Node::start().await;
    let path = node.folder.join("admin.sock");
    let _idle = node.unix().await;
    let mut streaming = node.unix().await;
    let head = "GET /v1/events HTTP/1.1\r\nhost: pm\r\n\r\n";
    streaming.write_all(head.as_bytes()).await.unwrap();
    streaming.read_u8().await.unwrap();
    node.stop.cancel();
    for served in std::mem::take(&mut node.served) {
        let ended = tokio::time::timeout(Duration::from_secs(10), served).await;
        ended.expect("it does not stop").unwrap();
    }
    assert!(!path.exists());
}

#[tokio::test]
async fn requests_of_nobody_are_told_once_and_then_as_a_sum() {
    let node = Node::start().await;
    let mut events = node.control.subscribe();
    for _ in 0..50 {
        let head = format!(
            "POST /v1/commands\ncontent-type: application/json\n{}",
            bearer("ended")
        );
        let reply = ask(node.over_tcp().await, &head, r#"{"command":"status"}"#).await;
        assert_eq!(reply.status, 401);
    }
    assert_eq!(
        ask(node.over_tcp().await, "GET /v1/events", "")
            .await
            .status,
        401
    );
    let mut told = Vec::new();
    let all = |told: &[(String, u64)]| told.iter().map(|(_, count)| count).sum::<u64>() == 51;
    let collect = async {
        while !all(&told) {
            let event = events.recv().await.unwrap().event;
            assert_eq!(
                (event.kind.as_str(), event.subject.as_str()),
                ("admin.command", "127.0.0.1")
            );
            let code = event.data["code"].as_str().unwrap().to_owned();
            told.push((code, event.data["count"].as_u64().unwrap()));
        }
    };
    // What is left when the door closes is not lost.
    node.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), collect)
        .await
        .unwrap();
    told.sort();
    let told: Vec<_> = told
        .iter()
        .map(|(code, count)| (code.as_str(), *count))
        .collect();
    assert_eq!(
        told,
        [("no-login", 1), ("unknown-login", 1), ("unknown-login", 49)]
    );
}
