//! Passwords and log-ins: what is asked, kept, used and forgotten.
//! It must not know what somebody may do.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};

use super::{FakeNode, done, err, out};

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
