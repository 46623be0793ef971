//! Log-ins and commands over a real broker: each command once, and all that is no command refused.
//! It must not ask the node by the bus whether the bus was right.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use pointsman::{
    doors::stomp::{caller::CallError, key::Key, token::sign},
    model::catalogue::CATALOGUE,
};
use serde_json::{Value, json};

use crate::{
    activemq::ActiveMq,
    asking::{Hand, Site, id, now, password, signed, weigh},
    eventually,
};

/// Every command of the table, in an order in which all of them can be done.
fn every_command() -> Vec<Value> {
    let host = json!({"command": "add-host", "host": "web/blue/w9", "address": "127.9.9.8:9"});
    let group = json!({"command": "add-group", "group": "web/red", "host": []});
    let group_of = json!([{"name": "main", "host": []}]);
    let service = json!({"command": "add-service", "service": "db", "listen": ["127.0.0.1:0"], "group": group_of});
    let services = json!([{"name": "web", "listen": ["127.0.0.1:0"], "group": [{"name": "blue", "host": [
        {"name": "w1", "address": "127.9.9.9:9"}]}]}]);
    let with = |mut command: Value, options: Value| {
        let options = options.as_object().unwrap().clone();
        command.as_object_mut().unwrap().extend(options);
        command
    };
    vec![
        json!({"command": "status"}),
        json!({"command": "whoami"}),
        json!({"command": "help"}),
        json!({"command": "show", "service": "web"}),
        json!({"command": "history"}),
        json!({"command": "diff"}),
        json!({"command": "events", "limit": 5}),
        json!({"command": "explain", "host": "web/blue/w1"}),
        json!({"command": "disable-host", "host": "web/blue/w1"}),
        json!({"command": "enable-host", "host": "web/blue/w1"}),
        json!({"command": "drain-host", "host": "web/blue/w2"}),
        weigh("w1", 7),
        json!({"command": "activate-group", "group": "web/green"}),
        json!({"command": "close-sessions", "service": "web"}),
        host,
        json!({"command": "set-host", "host": "web/blue/w9", "max_sessions": 9}),
        json!({"command": "remove-host", "host": "web/blue/w9"}),
        group,
        json!({"command": "set-group", "group": "web/red", "scheduler": "random"}),
        json!({"command": "remove-group", "group": "web/red"}),
        service,
        json!({"command": "set-service", "service": "db", "retries": 0}),
        json!({"command": "set-listen", "service": "db", "listen": ["127.0.0.2:0"]}),
        json!({"command": "remove-service", "service": "db"}),
        json!({"command": "reload"}),
        with(
            weigh("w1", 8),
            json!({"confirm_within": "1h", "reason": "a trial"}),
        ),
        json!({"command": "confirm"}),
        json!({"command": "rollback", "revision": 1}),
        json!({"command": "replace", "services": services}),
        json!({"command": "logins"}),
        json!({"command": "explain-access", "user": "ada"}),
        // The process stays: its successor has tests of its own.
        json!({"command": "upgrade", "dry_run": true}),
        json!({"command": "logout"}),
    ]
}

#[tokio::test]
async fn after_a_log_in_each_command_of_the_table_is_done_plain_and_over_tls() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    for place in [broker.plain(), broker.tls()] {
        let site = Site::start(broker, &place, "").await;
        let mut admin = site.caller("operator").await;
        let login = site.log_in(&mut admin, "admin").await;
        let mut other = site.caller("operator").await;
        let ended = site.log_in(&mut other, "viewer").await;
        let mut commands = every_command();
        commands.insert(30, json!({"command": "end-login", "login": ended.id}));
        let names = commands
            .iter()
            .filter_map(|command| command["command"].as_str());
        for entry in CATALOGUE {
            assert!(
                names.clone().any(|name| name == entry.name),
                "{}",
                entry.name
            );
        }
        for command in &commands {
            let answer = admin.command(&login, command).await.unwrap();
            assert_eq!(answer["ok"], true, "{command}: {answer}");
        }
        let answer = admin.command(&login, &json!({"command": "whoami"})).await;
        assert_eq!(answer.unwrap()["error"]["message"], "its login has ended");
        let audited = site.told("admin.command");
        let done = audited
            .iter()
            .filter(|data| data["ok"] == true && data["door"] == "stomp");
        assert_eq!(
            done.count(),
            CATALOGUE.iter().filter(|entry| entry.changes).count() + 1
        );
        let by = &site.node.history()[0];
        assert_eq!(
            (&by["author"], &by["door"]),
            (&json!("admin"), &json!("stomp"))
        );
        let from = |data: &Value| data["from"] == "broker user operator";
        assert!(site.told("admin.login").iter().all(from));
    }
}

#[tokio::test]
async fn a_role_may_over_the_bus_what_it_may_elsewhere() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let place = broker.plain();
    let site = Site::start(broker, &place, "").await;
    let mut asking = site.caller("operator").await;
    let viewer = site.log_in(&mut asking, "viewer").await;
    let before = site.node.shown();
    let answer = asking.command(&viewer, &weigh("w1", 3)).await.unwrap();
    assert_eq!(answer["error"]["code"], "denied");
    assert_eq!(site.node.shown(), before);
    let answer = asking.command(&viewer, &json!({"command": "status"})).await;
    assert_eq!(answer.unwrap()["data"]["node"], site.name.as_str());
}

#[tokio::test]
async fn a_command_that_comes_again_is_answered_again_and_done_once() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let place = broker.plain();
    let mut site = Site::start(broker, &place, "").await;
    let mut asking = site.caller("operator").await;
    let login = site.log_in(&mut asking, "operator").await;
    let mut hand = Hand::at(&site, "operator").await;
    let token = signed(&login, &site.claims(1, &weigh("w1", 5)));
    let (proven, first) = hand.ask("a", &token).await.read(&login.key);
    assert!(proven && first["ok"] == true, "{first}");
    site.ask(&weigh("w1", 6));
    let (_, again) = hand.ask("b", &token).await.read(&login.key);
    assert_eq!(again, first);
    let other = signed(&login, &site.claims(1, &weigh("w1", 9)));
    let (proven, refused) = hand.ask("c", &other).await.read(&login.key);
    assert!(
        proven && refused["error"]["code"] == "conflict",
        "{refused}"
    );
    site.node.kill();
    site.node.up().await;
    let (_, again) = hand.ask("d", &token).await.read(&login.key);
    assert_eq!(again, first);
    let host = &site.node.shown()[0]["group"][0]["host"][0];
    assert_eq!(host["weight"], 6);
    // The refusal of a change is an answer like any other: what was wrong then stays so.
    let mut late = site.claims(2, &weigh("w1", 9));
    late["iat"] = json!(now() + 40);
    let late = signed(&login, &late);
    let (proven, refused) = hand.ask("e", &late).await.read(&login.key);
    assert!(proven);
    assert_eq!(refused["error"]["message"], "it is dated in the future");
    tokio::time::sleep(Duration::from_secs(11)).await;
    let (_, again) = hand.ask("f", &late).await.read(&login.key);
    assert_eq!(again, refused);
}

/// What is sent, and the word under which it is refused; `true` where the answer is signed.
type Wrong = (&'static str, String, bool);

fn wrong_tokens(site: &Site, login: &pointsman::doors::stomp::caller::Login) -> Vec<Wrong> {
    let good = |number| site.claims(number, &weigh("w1", 99));
    let with = |number, key: &str, value: Value| {
        let mut claims = good(number);
        claims[key] = value;
        signed(login, &claims)
    };
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let token = signed(login, &good(10));
    let (rest, _) = token.rsplit_once('.').unwrap();
    let none = format!(r#"{{"alg":"none","kid":"{}"}}"#, login.id);
    let payload = rest.split_once('.').unwrap().1;
    let twice = r#"{"aud":"lb1","aud":"lb1"}"#;
    let forged = sign("pm-cmd+jwt", &login.id, &good(11), &Key::random());
    let unknown = sign("pm-cmd+jwt", "0123456789abcdef", &good(12), &login.key);
    let mut parts: Vec<&str> = token.split('.').collect();
    let changed = encode(&with(13, "cmd", weigh("w2", 99)));
    parts[1] = &changed;
    vec![
        ("signature", forged, false),
        ("signature", parts.join("."), false),
        ("signature", token[..token.len() - 3].to_owned(), false),
        ("algorithm", format!("{}.{payload}.", encode(&none)), false),
        ("unknown-login", unknown, false),
        ("malformed", rest.to_owned(), false),
        ("malformed", "x".repeat(60_000), false),
        ("malformed", "{\"command\":\"status\"}".to_owned(), false),
        ("claims", signed_text(login, twice), true),
        ("claims", signed_text(login, &"{\"a\":".repeat(9000)), true),
        ("claims", signed(login, &json!({"aud": site.name})), true),
        ("audience", with(14, "aud", json!("elsewhere")), true),
        (
            "expired",
            with_times(site, login, 15, now() - 100, now() - 40),
            true,
        ),
        (
            "future",
            with_times(site, login, 16, now() + 40, now() + 90),
            true,
        ),
        (
            "too-long-lived",
            with_times(site, login, 17, now(), now() + 70),
            true,
        ),
        (
            "invalid",
            with(18, "cmd", json!({"command": "launch"})),
            true,
        ),
    ]
}

fn with_times(
    site: &Site,
    login: &pointsman::doors::stomp::caller::Login,
    number: u64,
    iat: u64,
    exp: u64,
) -> String {
    let mut claims = site.claims(number, &weigh("w1", 99));
    (claims["iat"], claims["exp"]) = (json!(iat), json!(exp));
    signed(login, &claims)
}

/// A token that is signed and no JSON that we would write.
fn signed_text(login: &pointsman::doors::stomp::caller::Login, payload: &str) -> String {
    use ring::hmac;
    let header = format!(r#"{{"alg":"HS256","kid":"{}"}}"#, login.id);
    let encode = |text: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(text);
    let signed = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(payload.as_bytes())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, login.key.bytes());
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", encode(signature.as_ref()))
}

/// The words under which messages were refused by now, with how many of each.
fn refused(site: &Site) -> std::collections::BTreeMap<String, u64> {
    let mut words = std::collections::BTreeMap::new();
    for data in site
        .told("admin.command")
        .iter()
        .chain(&site.told("admin.login-failed"))
    {
        // Those of people whom we know carry it beside the code.
        let word = match data["because"].as_str().filter(|_| data["ok"] == false) {
            Some(word) => word,
            None => data["code"].as_str().unwrap_or("done"),
        };
        *words.entry(word.to_owned()).or_default() += data["count"].as_u64().unwrap_or(1);
    }
    words
}

#[tokio::test]
async fn whatever_is_no_good_command_is_refused_audited_and_changes_nothing() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let place = broker.plain();
    let more = "allowed_senders = [\"operator\"]";
    let site = Site::start(broker, &place, more).await;
    let mut asking = site.caller("operator").await;
    let login = site.log_in(&mut asking, "operator").await;
    let before = (site.node.shown(), site.node.file());
    let mut hand = Hand::at(&site, "operator").await;
    let mut expected = std::collections::BTreeMap::<String, u64>::new();
    for (word, body, proven) in wrong_tokens(&site, &login) {
        let heard = hand.ask(word, &body).await;
        let (signed, answer) = heard.read(&login.key);
        assert_eq!(answer["ok"], false, "{word}: {answer}");
        assert_eq!(signed, proven, "{word}: {answer}");
        if !signed {
            assert_eq!(answer["error"]["message"], "not taken");
        }
        *expected.entry(word.to_owned()).or_default() += 1;
    }
    // Who may send, and to where answers may go, is checked before anything that is sent.
    let good = signed(&login, &site.claims(30, &weigh("w1", 99)));
    let mut intruder = Hand::at(&site, "intruder").await;
    let heard = intruder.ask("intruder", &good).await;
    assert!(!heard.read(&login.key).0);
    *expected.entry("sender".to_owned()).or_default() += 1;
    for to in [
        "/queue/pointsman.commands.lb1",
        "/topic/pointsman.events.host",
        "x",
    ] {
        let message = hand
            .message("commands", "deputy", &good)
            .header("reply-to", to);
        hand.send(message).await;
        *expected.entry("reply-to".to_owned()).or_default() += 1;
    }
    let noise = "\u{1}".repeat(200 * 1024);
    hand.ask("noise", &noise).await;
    *expected.entry("too-long".to_owned()).or_default() += 1;
    // Nothing of that has stopped the door, or changed anything.
    let answer = asking.command(&login, &json!({"command": "status"})).await;
    assert_eq!(answer.unwrap()["ok"], true);
    assert_eq!((site.node.shown(), site.node.file()), before);
    // What comes often is told as a sum, ten seconds later.
    let told = async {
        while refused(&site) != expected {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(30), told).await;
    assert!(told.is_ok(), "{:?}, not {expected:?}", refused(&site));
}

#[tokio::test]
async fn a_login_is_of_use_to_the_broker_user_who_made_it_only() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let place = broker.plain();
    let site = Site::start(broker, &place, "").await;
    let mut asking = site.caller("operator").await;
    let login = site.log_in(&mut asking, "operator").await;
    let before = site.node.shown();
    let mut thief = site.caller("intruder").await;
    let stolen = thief.command(&login, &weigh("w1", 99)).await;
    assert!(matches!(stolen, Err(CallError::Unproven(_))), "{stolen:?}");
    assert_eq!(site.node.shown(), before);
    let told = site.told("admin.command");
    assert_eq!(told[0]["code"], "other-sender", "{told:?}");
    assert_eq!(told[0]["users"], json!(["intruder"]));
}

#[tokio::test]
async fn a_log_in_needs_the_password_a_seal_and_an_answer_that_reaches_its_sender() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let place = broker.plain();
    let site = Site::start(broker, &place, "").await;
    let mut asking = site.caller("operator").await;
    let key = Key::random();
    let mut wrong = password("admin");
    wrong["password"] = json!("open barley");
    let answer = asking.log_in(&site.key(), &key, wrong.clone()).await;
    let answer = answer.unwrap();
    assert_eq!(answer["error"]["message"], "the log-in was rejected");
    // On a busy machine a log-in takes longer than the first delays, which are short.
    let mut slowed = Value::Null;
    for _ in 0..12 {
        slowed = asking
            .log_in(&site.key(), &key, wrong.clone())
            .await
            .unwrap();
        if slowed["retry_after"].as_f64().is_some() {
            break;
        }
    }
    assert!(
        slowed["retry_after"]
            .as_f64()
            .is_some_and(|wait| wait > 0.0),
        "{slowed}"
    );
    // Sealed for somebody else; in the clear without TLS; and with nowhere to answer to.
    let other = pointsman::doors::stomp::seal::NodeKey::new(&Key::random()).public();
    let refused = asking.log_in(&other, &key, password("viewer")).await;
    assert!(
        matches!(refused, Err(CallError::Unproven(_))),
        "{refused:?}"
    );
    let mut hand = Hand::at(&site, "operator").await;
    let mut form = site.claims(1, &Value::Null);
    let form = form.as_object_mut().unwrap();
    form.remove("cmd");
    form.extend(password("viewer"));
    form.insert("key".to_owned(), key.to_text().as_str().into());
    let text = Value::Object(form.clone()).to_string();
    let plain = hand
        .message("logins", "plain", &text)
        .header("content-type", "application/vnd.pointsman.login+json");
    hand.send(plain).await;
    let (_, answer) = hand.answer().await.read(&key);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("plain log-ins are not taken here"),
        "{message}"
    );
    let log = site.node.log() + &json!(site.events()).to_string();
    assert!(!log.contains("open barley") && !log.contains(crate::node::PASSWORD));
    assert!(!log.contains(key.to_text().as_str()));
}

#[tokio::test]
async fn over_tls_a_plain_log_in_is_taken_where_it_is_allowed_and_answered_again_once_seen() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let more = "allow_plain_login = true";
    let site = Site::start(broker, &broker.tls(), more).await;
    let mut hand = Hand::at(&site, "operator").await;
    let key = Key::random();
    let mut form = site.claims(1, &Value::Null);
    let form = form.as_object_mut().unwrap();
    form.remove("cmd");
    form.extend(password("viewer"));
    form.insert("key".to_owned(), key.to_text().as_str().into());
    let text = Value::Object(form.clone()).to_string();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let plain = hand
            .message("logins", &id(1), &text)
            .header("content-type", "application/vnd.pointsman.login+json");
        hand.send(plain).await;
        let (proven, answer) = hand.answer().await.read(&key);
        assert!(proven && answer["ok"] == true, "{answer}");
        answers.push(answer);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(site.told("admin.login").len(), 1);
}

#[tokio::test]
async fn where_the_broker_wants_a_certificate_the_node_has_one_to_show() {
    let Some(broker) = ActiveMq::shared() else {
        return;
    };
    let bus = |site: &Site| site.ask(&json!({"command": "status"}))["data"]["bus"].clone();
    let more = format!(
        "cert_file = \"{}\"\nkey_file = \"{}\"",
        broker.env("CERT_FILE"),
        broker.env("KEY_FILE")
    );
    let site = Site::start(broker, &broker.mutual(), &more).await;
    eventually!(bus(&site)["connected"] == true);
    let without = Site::start(broker, &broker.mutual(), "").await;
    eventually!(bus(&without)["trouble"].is_string());
    assert_eq!(bus(&without)["connected"], false);
}
