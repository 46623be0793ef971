//! What the tests of doors have in common: a node of two services.
//! It must not know any directory.

use serde_json::{Value, json};

use crate::node::Reply;

/// The services `web` and `db`, each with one host.
pub(crate) const SERVICES: &str = r#"
[[service]]
name = "web"
listen = ["127.0.0.1:0"]
[[service.group]]
name = "blue"
host = [{ name = "w1", address = "127.0.0.1:1" }]

[[service]]
name = "db"
listen = ["127.0.0.1:0"]
[[service.group]]
name = "blue"
host = [{ name = "w1", address = "127.0.0.1:1" }]
"#;

pub(crate) fn weight(service: &str, weight: u16) -> Value {
    json!({"command": "set-weight", "host": format!("{service}/blue/w1"), "weight": weight})
}

#[track_caller]
pub(crate) fn token(answer: &Reply) -> String {
    assert_eq!(answer.0, 200, "{}", answer.1);
    answer.1["data"]["token"].as_str().unwrap().to_owned()
}
