//! People: in, at work, out, and out by what the file says of them.
//! It must not be about what the doors say to whom; `doors` is.

use serde_json::{Value, json};

use crate::{
    eventually, hosts,
    node::{Node, PASSWORD, user},
    settings,
    support::service,
};

fn config(auth: &str, people: &str) -> String {
    settings(&format!("[auth]\n{auth}\n{people}")) + &service("web", &["127.0.0.1:0"], &hosts(), "")
}

fn weight(weight: u16) -> Value {
    json!({"command": "set-weight", "host": "web/blue/w1", "weight": weight})
}

#[tokio::test]
async fn a_login_lets_change_until_it_is_ended() {
    let mut node = Node::start(&config("", &user("ada", "role = \"operator\""))).await;
    assert_eq!(node.post("/v1/commands", None, &weight(2)).0, 401);
    let wrong = json!({"user": "ada", "password": "sesame"});
    assert_eq!(node.post("/v1/login", None, &wrong).0, 401);
    let token = node.login("ada");
    assert_eq!(node.post("/v1/commands", Some(&token), &weight(2)).0, 200);
    node.down().await;
    node.up().await;
    assert_eq!(node.post("/v1/commands", Some(&token), &weight(3)).0, 200);
    assert_eq!(node.post("/v1/logout", Some(&token), &json!({})).0, 200);
    assert_eq!(node.post("/v1/commands", Some(&token), &weight(4)).0, 401);
    let who = json!({"command": "whoami"});
    assert_eq!(node.post("/v1/commands", Some(&token), &who).0, 401);
    assert_eq!(node.history()[0]["author"], "ada");
    node.down().await;
    node.up().await;
    assert_eq!(node.post("/v1/commands", Some(&token), &who).0, 401);
}

#[tokio::test]
async fn a_login_ends_by_itself() {
    let people = user("ada", "role = \"operator\"");
    let node = Node::start(&config("login_ttl = \"1s\"", &people)).await;
    let token = node.login("ada");
    let who = json!({"command": "whoami"});
    eventually!(node.post("/v1/commands", Some(&token), &who).0 == 401);
    assert_eq!(node.post("/v1/commands", Some(&token), &weight(2)).0, 401);
    assert_eq!(node.revision(), 1);
}

#[tokio::test]
async fn rights_that_the_file_takes_away_end_with_a_reload() {
    let people = user("root", "role = \"admin\"")
        + &user("ada", "role = \"operator\"")
        + &user("eve", "role = \"operator\"\nservices = [\"web\"]")
        + &user("tom", "role = \"operator\"");
    let node = Node::start(&config("", &people)).await;
    let reload = json!({"command": "reload"});
    let [root, ada, eve, tom] = ["root", "ada", "eve", "tom"].map(|name| node.login(name));
    let file = node.file();
    let file = file.replacen("role = \"operator\"", "role = \"viewer\"", 1);
    node.write(&file.replace("services = [\"web\"]", "services = [\"db\"]"));
    let (status, answer) = node.post("/v1/commands", Some(&root), &reload);
    assert_eq!((status, &answer["revision"]), (200, &json!(1)), "{answer}");
    for token in [&ada, &eve] {
        assert_eq!(node.post("/v1/commands", Some(token), &weight(2)).0, 401);
    }
    assert_eq!(node.post("/v1/commands", Some(&tom), &weight(2)).0, 200);
    let viewer = node.login("ada");
    assert_eq!(node.post("/v1/commands", Some(&viewer), &weight(3)).0, 403);

    let file = node.file();
    let gone = file.find("[[auth.user]]\nname = \"tom\"").unwrap();
    let after = file[gone..].find("[[service]]").unwrap() + gone;
    node.write(&(file[..gone].to_owned() + &file[after..]));
    assert_eq!(node.post("/v1/commands", Some(&root), &reload).0, 200);
    assert_eq!(node.post("/v1/commands", Some(&tom), &weight(3)).0, 401);
    let tom = json!({"user": "tom", "password": PASSWORD});
    assert_eq!(node.post("/v1/login", None, &tom).0, 401);
}

#[tokio::test]
async fn an_admin_sees_logins_and_ends_them_and_everybody_ends_their_own() {
    let people = user("root", "role = \"admin\"") + &user("ada", "role = \"viewer\"");
    let node = Node::start(&config("", &people)).await;
    let [root, one, two] = ["root", "ada", "ada"].map(|name| node.login(name));
    let ask = |token: &str, command: Value| node.post("/v1/commands", Some(token), &command);
    let (_, answer) = ask(&root, json!({"command": "logins"}));
    let logins = answer["data"]["logins"].as_array().unwrap().clone();
    assert_eq!(logins.len(), 3);
    let id = |index: usize| logins[index]["login"].as_str().unwrap().to_owned();
    let end = |login: String| json!({"command": "end-login", "login": login});
    assert_eq!(ask(&one, end(id(0))).0, 403);
    assert_eq!(ask(&one, end(id(2))).0, 200);
    assert_eq!(ask(&two, json!({"command": "whoami"})).0, 401);
    assert_eq!(ask(&root, end(id(1))).0, 200);
    assert_eq!(ask(&one, json!({"command": "whoami"})).0, 401);
    assert_eq!(ask(&root, end(id(1))).0, 404);
}
