//! What is answered, and with which status.

use super::*;

#[tokio::test]
async fn each_code_has_its_status() {
    let node = Node::start().await;
    for (token, command, status, code) in [
        (
            "admin",
            json!({"command": "rollback", "revision": 1}),
            200,
            "",
        ),
        (
            "admin",
            json!({"command": "rollback", "revision": 400}),
            400,
            "invalid",
        ),
        (
            "admin",
            json!({"command": "rollback", "revision": 404}),
            404,
            "not-found",
        ),
        (
            "admin",
            json!({"command": "rollback", "revision": 409}),
            409,
            "conflict",
        ),
        (
            "admin",
            json!({"command": "rollback", "revision": 500}),
            500,
            "failed",
        ),
        (
            "admin",
            json!({"command": "rollback", "revision": 503}),
            503,
            "unavailable",
        ),
        (
            "admin",
            json!({"command": "status", "junk": 1}),
            400,
            "invalid",
        ),
        ("admin", json!({"command": "no-such"}), 400, "invalid"),
        ("admin", json!([1]), 400, "invalid"),
        ("viewer", json!({"command": "reload"}), 403, "denied"),
        ("ended", json!({"command": "status"}), 401, "denied"),
        // The socket's own user, who may read, and could log in to do more.
        ("", json!({"command": "status"}), 200, ""),
        ("", json!({"command": "reload"}), 401, "denied"),
    ] {
        let reply = node.command(token, &command).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (status, code),
            "{command}"
        );
        assert_eq!(reply.json()["ok"], status == 200);
        assert!(
            reply.head.contains("cache-control: no-store"),
            "{}",
            reply.head
        );
        assert!(
            reply
                .head
                .contains("content-security-policy: default-src 'none'")
        );
    }
}

#[tokio::test]
async fn a_node_whose_control_task_is_gone_is_healthy_but_unavailable_and_not_ready() {
    let control = Control::stand_in("lb1".parse().unwrap(), 8, carry_out);
    control.stop();
    while control.events(0, 1).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let node = Node::around(control, true, None, None).await;
    let ready = ask(node.unix().await, "GET /readyz", "").await;
    assert_eq!((ready.status, ready.code().as_str()), (503, "unavailable"));
    let reply = node.command("viewer", &json!({"command": "status"})).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"));
    assert_eq!(ask(node.unix().await, "GET /healthz", "").await.status, 200);
    let node = Node::start().await;
    assert_eq!(ask(node.unix().await, "GET /readyz", "").await.status, 200);
}

#[tokio::test]
async fn the_id_of_a_request_comes_back() {
    let node = Node::start().await;
    let head = "POST /v1/commands\nx-request-id: mine-1";
    let reply = ask(node.unix().await, head, r#"{"command":"status"}"#).await;
    assert_eq!(reply.json()["id"], "mine-1");
    let reply = node.command("", &json!({"command": "status"})).await;
    assert_eq!(reply.json()["id"].as_str().unwrap().len(), 32);
    for bad in ["", &"x".repeat(129), "a\nx-request-id: b"] {
        let head = format!("POST /v1/commands\nx-request-id: {bad}");
        let reply = ask(node.unix().await, &head, r#"{"command":"status"}"#).await;
        assert_eq!(reply.status, 400, "{bad:?}");
    }
}

#[tokio::test]
async fn people_log_in_with_a_password_or_a_code_and_out_again() {
    let node = Node::start().await;
    let login = async |form: Value| {
        let stream = node.over_tcp().await;
        let head = "POST /v1/login\ncontent-type: application/json";
        ask(stream, head, form.to_string()).await
    };
    let reply = login(json!({"user": "admin", "password": "right"})).await;
    assert_eq!(reply.status, 200);
    let data = &reply.json()["data"];
    assert_eq!(
        (&data["token"], &data["by"]),
        (&json!("admin"), &json!("local"))
    );
    assert_eq!(data["services"], json!(["*"]));

    let reply = login(json!({"user": "otp", "password": "right"})).await;
    assert_eq!(
        reply.json()["data"],
        json!({"challenge": "code?", "state": "s1"})
    );
    let reply = login(json!({"user": "otp", "state": "s1", "otp": "42"})).await;
    assert_eq!(reply.json()["data"]["token"], "viewer");

    let reply = login(json!({"user": "admin", "password": "wrong"})).await;
    assert_eq!((reply.status, reply.code().as_str()), (401, "denied"));
    let reply = login(json!({"user": "away", "password": "right"})).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"));
    let reply = login(json!({"user": "hasty", "password": "right"})).await;
    assert_eq!(
        (reply.status, &reply.json()["retry_after"]),
        (429, &json!(1.5))
    );
    assert!(reply.head.contains("retry-after: 2"), "{}", reply.head);
    for form in [
        json!({"user": "admin"}),
        json!({"user": "admin", "password": 73571}),
        json!({"user": "admin", "password": "right", "otp": "42"}),
        json!({"user": "admin", "password": "right", "junk": 1}),
    ] {
        let reply = login(form.clone()).await;
        assert_eq!(reply.status, 400, "{form}");
        assert!(!reply.body.contains("73571"), "it repeats the password");
    }

    let head = "POST /v1/logout\nauthorization: Bearer admin";
    assert_eq!(ask(node.unix().await, head, "").await.status, 200);
    assert_eq!(ask(node.unix().await, head, "").await.status, 401);
    assert_eq!(
        ask(node.unix().await, "POST /v1/logout", "").await.status,
        401
    );
    let reply = node.command("admin", &json!({"command": "status"})).await;
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn a_token_counts_in_its_header_only() {
    let node = Node::start().await;
    for (head, status) in [
        ("POST /v1/commands\nauthorization: bearer admin", 200),
        ("POST /v1/commands?token=admin", 401),
        ("POST /v1/commands\ncookie: token=admin", 401),
        ("POST /v1/commands\nauthorization: Basic admin", 401),
        ("POST /v1/commands\nauthorization: Bearer", 401),
        (
            "POST /v1/commands\nauthorization: Bearer admin\nauthorization: Bearer admin",
            401,
        ),
    ] {
        let head = format!("{head}\ncontent-type: application/json");
        let reply = ask(node.over_tcp().await, &head, r#"{"command":"status"}"#).await;
        assert_eq!(reply.status, status, "{head}");
    }
}

#[tokio::test]
async fn over_tcp_other_hosts_origins_and_content_types_are_turned_away() {
    let node = Node::start().await;
    let port = node.tcp.port();
    let json = "content-type: application/json";
    for (headers, status) in [
        (json.to_owned(), 200),
        (
            "content-type: application/json; charset=utf-8".to_owned(),
            200,
        ),
        (format!("{json}\nhost: 127.0.0.1:{port}"), 200),
        (format!("{json}\nhost: LOCALHOST:1"), 200),
        (format!("{json}\nhost: evil.example.org"), 421),
        (format!("{json}\nhost: localhost.evil.example.org"), 421),
        (format!("{json}\nhost:"), 421),
        (
            format!("{json}\nhost: localhost\nhost: evil.example.org"),
            421,
        ),
        (format!("{json}\norigin: http://evil.example.org"), 403),
        (format!("{json}\norigin: null"), 403),
        (format!("{json}\norigin: https://localhost"), 403),
        (format!("{json}\norigin: http://localhost:3000"), 403),
        (format!("{json}\norigin: http://localhost"), 200),
        ("content-type: text/plain".to_owned(), 415),
        (String::new(), 415),
    ] {
        let head = format!("POST /v1/commands\nauthorization: Bearer admin\n{headers}");
        let reply = ask(node.over_tcp().await, &head, r#"{"command":"status"}"#).await;
        assert_eq!(reply.status, status, "{headers}");
        assert!(!reply.head.contains("access-control"), "{}", reply.head);
    }
    // On the socket there is no browser.
    let head = "POST /v1/commands\nhost: pm\ncontent-type: application/x-www-form-urlencoded";
    let reply = ask(node.unix().await, head, r#"{"command":"status"}"#).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_nothing_changes_by_get() {
    let node = Node::start().await;
    for (head, status) in [
        ("GET /v1/commands", 405),
        ("GET /v1/login", 405),
        ("GET /v1/logout", 405),
        ("POST /v1/events", 405),
        ("GET /", 404),
        ("GET /v1/nothing", 404),
        ("GET /v1/openapi.json", 200),
    ] {
        let reply = ask(node.unix().await, head, "").await;
        assert_eq!(reply.status, status, "{head}");
        assert!(reply.json().is_object());
    }
}

#[tokio::test]
async fn without_loopback_there_must_be_a_certificate() {
    let options = TcpOptions {
        listen: "0.0.0.0:0".parse().unwrap(),
        certificate: None,
        hosts: Vec::new(),
    };
    let error = TcpDoor::bind(options).unwrap_err().to_string();
    assert!(error.contains("needs a certificate"), "{error}");
}
