//! What comes of an answer: the exit code, the sentence for a person, the JSON for a program.
//! It must not know how what was asked for is laid out.

use serde_json::{Value, json};

use super::{DONE, FakeNode, done, err, out, words};

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
