//! The real program against a real directory: who may what on which door, and what becomes of it
//! when the directory changes its mind or goes away.

use serde_json::{Value, json};

use crate::{
    eventually,
    node::{Node, PASSWORD, user},
    site::{SERVICES, token, weight},
    slapd::Slapd,
};

pub(crate) fn config(slapd: &Slapd) -> String {
    let (url, ca) = (slapd.tls("localhost"), slapd.ca());
    let root = user("root", "role = \"admin\"");
    format!(
        r#"
[admin]
http = {{ listen = "127.0.0.1:0" }}

[auth]
backends = ["ldap"]
fallback = "local-break-glass"
recheck = "0s"

[auth.ldap]
urls = ["{url}"]
ca_file = "{ca}"
bind_dn = "cn=svc,ou=services,dc=example,dc=org"
bind_password = "svc-secret"
user_base = "ou=people,dc=example,dc=org"
group_base = "ou=groups,dc=example,dc=org"

{root}
[[auth.rule]]
group = "CN=lb-admins, OU=groups, DC=example, DC=org"
role = "admin"

[[auth.rule]]
group = "cn=web-team,ou=groups,dc=example,dc=org"
role = "operator"
services = ["web"]

{SERVICES}"#
    )
}

pub(crate) fn secret(user: &str) -> Value {
    json!({"user": user, "password": format!("{user}-secret")})
}

fn only_member(group: &str, member: &str) -> String {
    format!(
        "dn: cn={group},ou=groups,dc=example,dc=org\nchangetype: modify\nreplace: member\n\
         member: uid={member},ou=people,dc=example,dc=org\n"
    )
}

fn locked(user: &str) -> String {
    format!(
        "dn: uid={user},ou=people,dc=example,dc=org\nchangetype: modify\n\
         replace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n"
    )
}

#[tokio::test]
async fn the_directory_decides_on_every_door_and_at_every_change() {
    let Some(slapd) = Slapd::start() else { return };
    let mut node = Node::start(&config(&slapd)).await;

    // Each in turn by the socket, over TCP and by the command line.
    for (user, role, services) in [
        ("ada", "admin", json!(["*"])),
        ("bob", "operator", json!(["web"])),
    ] {
        for answer in [
            node.post("/v1/login", None, &secret(user)),
            node.post_http("/v1/login", None, &secret(user)),
        ] {
            let data = &answer.1["data"];
            assert_eq!(answer.0, 200, "{}", answer.1);
            assert_eq!(
                (&data["role"], &data["services"]),
                (&json!(role), &services)
            );
            assert_eq!(data["by"], "ldap");
        }
        let by_hand = node.cli_with(user, &["login", user], &format!("{user}-secret\n"));
        assert_eq!(by_hand.status.code(), Some(0), "{by_hand:?}");
    }
    let nobody = node.cli_with("paul", &["login", "paul"], "paul-secret\n");
    assert_eq!(
        nobody.status.code(),
        Some(3),
        "in no group of a rule: {nobody:?}"
    );
    assert_eq!(
        node.post("/v1/login", None, &secret("root")).0,
        401,
        "not locally"
    );
    let root = json!({"user": "root", "password": PASSWORD});
    assert_eq!(
        node.post("/v1/login", None, &root).0,
        401,
        "a reject is final"
    );

    let ada = token(&node.post("/v1/login", None, &secret("ada")));
    let bob = token(&node.post_http("/v1/login", None, &secret("bob")));
    let ask = |token: &str, command: &Value| node.post("/v1/commands", Some(token), command).0;
    assert_eq!(ask(&bob, &weight("web", 2)), 200);
    assert_eq!(ask(&bob, &weight("db", 2)), 403, "outside of the scope");
    assert_eq!(ask(&ada, &weight("db", 2)), 200);

    // The directory goes: changes do not, reads do; it comes back, and they do again.
    slapd.stop();
    assert_eq!(ask(&ada, &weight("web", 3)), 503);
    assert_eq!(ask(&ada, &json!({"command": "status"})), 200);
    let broken = node.post("/v1/login", None, &root);
    assert_eq!(broken.1["data"]["by"], "break-glass", "{}", broken.1);
    assert_eq!(
        node.post_http("/v1/login", None, &root).0,
        503,
        "not on this door"
    );
    let glass = token(&broken);
    assert_eq!(ask(&glass, &weight("web", 4)), 200);
    slapd.again();
    eventually!(ask(&ada, &weight("web", 5)) == 200);
    eventually!(ask(&glass, &json!({"command": "whoami"})) == 401);

    // Out of the group: denied at the next change, and out.
    slapd.change(&only_member("web-team", "ada"));
    assert_eq!(ask(&bob, &weight("web", 6)), 403);
    assert_eq!(ask(&bob, &json!({"command": "status"})), 401);
    assert_eq!(node.post("/v1/login", None, &secret("bob")).0, 401);

    let seen = node.post(
        "/v1/commands",
        Some(&ada),
        &json!({"command": "events", "limit": 10_000}),
    );
    let told = seen.1.to_string();
    assert!(
        told.contains("directory-back") && told.contains("\"lost\""),
        "{told}"
    );
    slapd.change(&locked("ada"));
    assert_eq!(ask(&ada, &weight("web", 7)), 403, "locked meanwhile");
    let log = node.log();
    node.down().await;
    let journal = std::fs::read(node.folder.join("pointsman-state/journal.db")).unwrap();
    let journal = String::from_utf8_lossy(&journal);
    for hidden in [
        "ada-secret",
        "bob-secret",
        "paul-secret",
        "svc-secret",
        PASSWORD,
        &ada,
        &glass,
    ] {
        for place in [&told, &log, &*journal] {
            assert!(!place.contains(hidden));
        }
    }
}

#[tokio::test]
async fn a_log_in_is_tried_without_a_node_and_told_step_by_step() {
    let Some(slapd) = Slapd::start() else { return };
    let node = Node::prepare(&config(&slapd).replace("local-break-glass", "none"));
    let arguments = ["auth", "test", "ada", "--config", "pointsman.toml"];
    for (password, code, word) in [("ada-secret\n", 0, "lb-admins"), ("sesame\n", 3, "denied")] {
        let output = node.cli_with("tester", &arguments, password);
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(
            text.contains(word) && !text.contains(password.trim_end()),
            "{text}"
        );
    }
    slapd.stop();
    let output = node.cli_with("tester", &arguments, "ada-secret\n");
    assert_eq!(output.status.code(), Some(6), "{output:?}");
}
