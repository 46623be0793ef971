//! Everybody whom the directories of the tests know, by every door: the role and the services that
//! the rules give them, or the refusal; and that no secret of theirs is told, however much the node
//! tells.
//! It must not know how a door asks.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    activemq::ActiveMq,
    bus_door::{self, BusDoor},
    node::{Node, Reply},
    over_tls::{OverTls, door},
    radius::FreeRadius,
    site::{SERVICES, token, weight},
    slapd::Slapd,
};

/// What becomes of somebody at a door.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Due {
    /// In, with this role on these services.
    In(&'static str, &'static [&'static str]),
    /// Not in: `denied`.
    Denied,
    /// Nobody can tell: `unavailable`.
    Unavailable,
}

use Due::{Denied, In, Unavailable};

const ALL: &[&str] = &["*"];

type Person = (&'static str, &'static str, Due);

/// Whoever slapd knows, and some whom it does not.
const OF_LDAP: [Person; 29] = [
    ("ada", "ada-secret", In("admin", ALL)),
    ("ADA ", "ada-secret", In("admin", ALL)),
    ("bob", "bob-secret", In("operator", &["web"])),
    ("paul", "paul-secret", In("viewer", ALL)),
    ("eve, (star*)", "eve-secret", In("operator", &["db"])),
    ("zoë", "zoe-secret", In("viewer", &["web"])),
    ("o\"b+r\\ien", "obrien-secret", In("viewer", &["db"])),
    ("#hash", "hash-secret", In("admin", &["web", "db"])),
    // In no group of a rule, or only by way of another while nesting is off.
    ("vera", "vera-secret", Denied),
    ("brief", "brief-secret", Denied),
    ("nina", "nina-secret", Denied),
    ("twin", "twin-secret", Denied),
    ("locked", "locked-secret", Denied),
    ("disabled", "disabled-secret", Denied),
    ("expired", "expired-secret", Denied),
    ("must-change", "must-change-secret", Denied),
    ("over", "over-secret", Denied),
    ("shadow", "shadow-secret", Denied),
    ("ada", "bob-secret", Denied),
    ("bob", "BOB-SECRET", Denied),
    ("nobody", "nobody-secret", Denied),
    ("a*", "ada-secret", Denied),
    ("ada)(uid=*", "ada-secret", Denied),
    ("x,uid=ada", "ada-secret", Denied),
    ("zo\u{eb}\u{200b}x", "zoe-secret", Denied),
    ("svc", "svc-secret", Denied),
    ("ada\0", "ada-secret", Denied),
    ("paul", "\0", Denied),
    ("paul", " ", Denied),
];

/// Whoever FreeRADIUS knows without a question, and some whom it does not.
const OF_RADIUS: [Person; 9] = [
    ("ada", "analytical", In("admin", ALL)),
    ("hash", "hashed-secret", In("viewer", &["web"])),
    ("zoë k", "pässword", In("viewer", &["web"])),
    ("spelt", "any-case", In("viewer", &["web"])),
    ("plain", "nothing-more", Denied),
    ("ada", "wrong-one", Denied),
    ("hash", "analytical", Denied),
    ("nobody", "analytical", Denied),
    ("mute", "mute-secret", Unavailable),
];

const LDAP_RULES: &str = r##"
[[auth.rule]]
group = "cn=lb-admins,ou=groups,dc=example,dc=org"
role = "admin"

[[auth.rule]]
group = "cn=web-team,ou=groups,dc=example,dc=org"
role = "operator"
services = ["web"]

[[auth.rule]]
group = "cn=odd\\2C (one),ou=groups,dc=example,dc=org"
role = "operator"
services = ["db"]

[[auth.rule]]
group = "cn=operators,ou=groups,dc=example,dc=org"
role = "viewer"

[[auth.rule]]
group = "cn=outermost,ou=groups,dc=example,dc=org"
role = "admin"

[[auth.rule]]
user = "zoë"
role = "viewer"
services = ["web"]

[[auth.rule]]
user = "o\"b+r\\ien"
role = "viewer"
services = ["db"]

[[auth.rule]]
user = "#hash"
role = "admin"
services = ["web", "db"]
"##;

const RADIUS_RULES: &str = r#"
[[auth.rule]]
radius = "lb-admin"
role = "admin"

[[auth.rule]]
radius = "lb-operator"
role = "operator"
services = ["web"]

[[auth.rule]]
radius = "lb-viewer"
role = "viewer"
services = ["web"]
"#;

/// A way in.
#[derive(Clone, Copy, Debug)]
enum Door<'a> {
    Socket,
    Https,
    CommandLine,
    CommandLineOverTls,
    Bus(&'a BusDoor),
}

const DOORS: [Door<'_>; 4] = [
    Door::Socket,
    Door::Https,
    Door::CommandLine,
    Door::CommandLineOverTls,
];

impl Door<'_> {
    /// What becomes of a log-in here, and the answer to it.
    fn log_in(self, way: OverTls<'_>, number: usize, user: &str, password: &str) -> (Due, Value) {
        let home = format!("{self:?}-{number}");
        let body = json!({"user": user, "password": password});
        let arguments = ["login", user];
        let line = format!("{password}\n");
        let due = |role: &Value, services: &Value| In(known(role), scope(services));
        let from_http = |(status, answer): Reply| {
            let data = &answer["data"];
            let due = match status {
                200 => due(&data["role"], &data["services"]),
                401 | 429 => Denied,
                503 => Unavailable,
                other => panic!("{other}: {answer}"),
            };
            (due, answer)
        };
        let from_cli = |code: i32, text: &str| {
            let answer: Value = serde_json::from_str(text).unwrap_or_default();
            let data = &answer["data"];
            let due = match code {
                0 => due(&data["role"], &data["services"]),
                3 => Denied,
                6 => Unavailable,
                other => panic!("{other}: {text}"),
            };
            (due, answer)
        };
        match self {
            Self::Socket => from_http(way.node.post("/v1/login", None, &body)),
            Self::Https => from_http(way.post("/v1/login", None, &body)),
            Self::CommandLine => {
                let output = way.node.cli_with(&home, &arguments, &line);
                let text = String::from_utf8(output.stdout).unwrap();
                from_cli(output.status.code().unwrap(), &text)
            }
            Self::CommandLineOverTls => {
                let (code, text) = way.cli(&home, &arguments, &line);
                from_cli(code, &text)
            }
            Self::Bus(door) => {
                let commands = ["web", "db"].map(|service| weight(service, 2));
                let (answer, done) = door.log_in(user, password, &commands);
                let data = &answer["data"];
                let due = match answer["error"]["code"].as_str() {
                    None => due(&data["role"], &data["services"]),
                    Some("denied") => Denied,
                    Some("unavailable") => Unavailable,
                    Some(other) => panic!("{other}: {answer}"),
                };
                if let In(role, services) = due {
                    let may = ["web", "db"].map(|service| may(role, services, service));
                    assert!(
                        done.iter().map(|answer| answer["ok"] == true).eq(may),
                        "{done:?}"
                    );
                }
                (due, answer)
            }
        }
    }

    /// Whether the command line can be given this at all.
    fn takes(self, user: &str, password: &str) -> bool {
        let by_hand = matches!(self, Self::CommandLine | Self::CommandLineOverTls);
        !by_hand || !(user.contains('\0') || password.trim().is_empty())
    }
}

fn known(role: &Value) -> &'static str {
    let roles = ["admin", "operator", "viewer"];
    let role = roles.into_iter().find(|known| role == known);
    role.unwrap()
}

fn scope(services: &Value) -> &'static [&'static str] {
    let scopes: [&[&str]; 4] = [ALL, &["web"], &["db"], &["web", "db"]];
    let found = scopes.into_iter().find(|known| *services == json!(known));
    found.unwrap_or_else(|| panic!("{services}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the node is another process, which says how long to wait"
)]
fn wait_a_little() {
    thread::sleep(Duration::from_millis(250));
}

/// Lets each of `people` in turn in by every door, all doors at once. Whoever comes too soon after
/// others who failed comes again.
fn everybody(way: OverTls<'_>, bus: Option<&BusDoor>, people: &[Person]) {
    let by = |door: Door<'_>| {
        let mut seen = 0;
        for (number, (user, password, due)) in people.iter().enumerate() {
            if !door.takes(user, password) {
                continue;
            }
            let deadline = Instant::now() + Duration::from_secs(30);
            let (found, answer) = loop {
                let (found, answer) = door.log_in(way, number, user, password);
                if !answer.to_string().contains("try again later") {
                    break (found, answer);
                }
                assert!(Instant::now() < deadline, "{door:?} {user}: {answer}");
                wait_a_little();
            };
            assert_eq!(found, *due, "{door:?} {user:?}: {answer}");
            if let (Door::Socket | Door::Https, In(role, services)) = (door, due) {
                is_scoped(way, &token(&(200, answer)), role, services);
            }
            seen += 1;
        }
        seen
    };
    thread::scope(|scope| {
        let doors = DOORS.into_iter().chain(bus.map(Door::Bus));
        let all: Vec<_> = doors.map(|door| scope.spawn(move || by(door))).collect();
        let seen: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
        assert!(
            seen[4..].iter().all(|seen| *seen == people.len()),
            "{seen:?}"
        );
        assert_eq!(seen[..2], [people.len(); 2]);
        assert!(
            seen[2] == seen[3] && seen[2] + 3 >= people.len(),
            "{seen:?}"
        );
    });
}

/// Whether somebody may change a service.
fn may(role: &str, services: &[&str], service: &str) -> bool {
    role != "viewer" && (services == ALL || services.contains(&service))
}

/// What somebody may see and do by their login, by the socket and over TLS alike.
fn is_scoped(way: OverTls<'_>, token: &str, role: &str, services: &[&str]) {
    let in_scope = |service: &&str| services == ALL || services.contains(service);
    let status = json!({"command": "status"});
    let seen = way.post("/v1/commands", Some(token), &status).1;
    let seen = seen["data"]["services"].as_array().unwrap().iter();
    let seen: Vec<_> = seen
        .map(|service| service["name"].as_str().unwrap())
        .collect();
    let expected: Vec<_> = ["web", "db"]
        .into_iter()
        .filter(|one| in_scope(one))
        .collect();
    assert_eq!(seen, expected);
    for service in ["web", "db"] {
        let code = way
            .node
            .post("/v1/commands", Some(token), &weight(service, 2))
            .0;
        assert_eq!(
            code,
            if may(role, services, service) {
                200
            } else {
                403
            },
            "{role} {services:?} {service}"
        );
    }
}

/// Whether `secrets` are nowhere in what the node tells and keeps.
async fn nothing_is_told(mut node: Node, secrets: &[&str]) {
    node.down().await;
    let log = node.log();
    assert!(
        log.lines().any(|line| line.contains("DEBUG")),
        "it does not tell all"
    );
    let state = node.folder.join("pointsman-state");
    let files = std::fs::read_dir(state).unwrap().map(|file| file.unwrap());
    // That one is a copy of the file, for the eyes of its owner.
    let files = files.filter(|file| file.file_name() != "settings.json");
    let kept = files.map(|file| std::fs::read(file.path()).unwrap_or_default());
    let kept: Vec<_> = kept
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect();
    assert!(kept.iter().any(|file| file.contains("admin.login-failed")));
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(
            !kept.iter().any(|file| file.contains(secret)),
            "{secret} is kept"
        );
    }
}

/// One-time codes by the socket and over TLS: good once, and by the door that asked. Returns what
/// nobody else may see of them.
fn one_time_codes(way: OverTls<'_>) -> Vec<String> {
    let socket = |body: &Value| way.node.post("/v1/login", None, body);
    let over_tls = |body: &Value| way.post("/v1/login", None, body);
    let ways: [&dyn Fn(&Value) -> Reply; 2] = [&socket, &over_tls];
    let patiently = |ask: &dyn Fn(&Value) -> Reply, body: &Value| loop {
        let answer = ask(body);
        if answer.0 != 429 {
            break answer;
        }
        wait_a_little();
    };
    let question = |ask| {
        let answer = patiently(ask, &json!({"user": "otp", "password": "first-half"}));
        let data = &answer.1["data"];
        let text = data["challenge"].as_str().unwrap();
        let code = text.strip_prefix("Enter OTP ").unwrap();
        json!({"user": "otp", "state": data["state"], "otp": code})
    };
    let mut secrets = Vec::new();
    for (ask, other) in [(ways[0], ways[1]), (ways[1], ways[0])] {
        let stolen = question(ask);
        assert_eq!(patiently(other, &stolen).0, 401, "by another door");
        assert_eq!(patiently(ask, &stolen).0, 401, "used up");
        let answer = question(ask);
        let otp = token(&patiently(ask, &answer));
        is_scoped(way, &otp, "operator", &["web"]);
        assert_eq!(patiently(ask, &answer).0, 401, "used up");
        secrets.extend([otp, answer["state"].as_str().unwrap().to_owned()]);
    }
    secrets
}

fn passwords(people: &[Person]) -> Vec<&'static str> {
    let all = people.iter().map(|(_, password, _)| *password);
    all.filter(|password| password.len() > 2).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_in_ldap_gets_what_the_rules_say_by_every_door_and_no_secret_is_told() {
    let Some(slapd) = Slapd::start() else { return };
    let broker = ActiveMq::start();
    let bus = broker.as_ref().map_or_else(String::new, bus_door::settings);
    let authority = Path::new(slapd.ca()).to_owned();
    let door = door(&slapd.file("server.pem"), &slapd.file("server.key"));
    let url = slapd.tls("localhost");
    let mut node = Node::prepare(&format!(
        r#"{bus}
{door}
[auth]
backends = ["ldap"]
recheck = "0s"

[auth.ldap]
urls = ["{url}"]
ca_file = {authority:?}
bind_dn = "cn=svc,ou=services,dc=example,dc=org"
bind_password = "svc-secret"
user_base = "ou=people,dc=example,dc=org"
group_base = "ou=groups,dc=example,dc=org"
{LDAP_RULES}{SERVICES}"#
    ));
    node.environment = vec![("RUST_LOG".to_owned(), "trace".to_owned())];
    node.up().await;
    let way = OverTls {
        node: &node,
        authority: &authority,
    };
    let bus = broker.as_ref().map(|broker| BusDoor::new(broker, &node));
    everybody(way, bus.as_ref(), &OF_LDAP);
    let secrets = passwords(&OF_LDAP);
    nothing_is_told(node, &secrets).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_in_radius_gets_what_the_rules_say_by_every_door_and_no_secret_is_told() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    let broker = ActiveMq::start();
    let bus = broker.as_ref().map_or_else(String::new, bus_door::settings);
    let authority = server.certificate("ca.pem");
    let door = door(
        &server.certificate("server.pem"),
        &server.certificate("server.key"),
    );
    let address = server.listener("strict");
    let mut node = Node::prepare(&format!(
        r#"{bus}
{door}
[auth]
backends = ["radius"]

[auth.radius]
servers = ["{address}"]
secret = "testing123"
timeout = "500ms"
retries = 2
{RADIUS_RULES}{SERVICES}"#
    ));
    node.environment = vec![("RUST_LOG".to_owned(), "trace".to_owned())];
    node.up().await;
    let way = OverTls {
        node: &node,
        authority: &authority,
    };
    let bus = broker.as_ref().map(|broker| BusDoor::new(broker, &node));
    everybody(way, bus.as_ref(), &OF_RADIUS);
    let codes = one_time_codes(way);
    let mut secrets = passwords(&OF_RADIUS);
    secrets.extend(["first-half", "testing123"]);
    secrets.extend(codes.iter().map(String::as_str));
    nothing_is_told(node, &secrets).await;
}
