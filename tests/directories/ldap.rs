//! The LDAP backend against a real OpenLDAP server: who gets in, who does not, and why; and against
//! one that answers as Active Directory does.

use std::time::{Duration, Instant};

use pointsman::{
    app::directory,
    auth::{
        Accepted, Authenticator, Credentials, Outcome, Proof, Rights, Steps, Vouched, ldap::Ldap,
    },
    config,
    model::principal::{Role, Scope},
};

use crate::slapd::Slapd;

mod accounts;
mod active_directory;
mod groups;
mod servers;

/// What a directory is configured with, if a test says nothing else.
pub(crate) const SEARCH: &str = r#"
    bind_dn = "cn=svc,ou=services,dc=example,dc=org"
    bind_password = "svc-secret"
    user_base = "ou=people,dc=example,dc=org"
    group_base = "ou=groups,dc=example,dc=org"
"#;
pub(crate) const TEMPLATE: &str = r#"
    bind_template = "uid={user},ou=people,dc=example,dc=org"
    group_base = "ou=groups,dc=example,dc=org"
"#;

/// A backend from settings, as the program makes it.
#[track_caller]
pub(crate) fn backend(settings: &str) -> Ldap {
    let text = format!("service = []\n[auth]\n[auth.ldap]\n{settings}");
    let config = config::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let settings = config.settings.auth.unwrap().ldap.unwrap();
    Ldap::new(directory::ldap(&settings).unwrap())
}

/// A backend that reaches `url`, with a private authority.
pub(crate) fn at(server: &Slapd, url: &str, settings: &str) -> Ldap {
    backend(&format!(
        "urls = [{url:?}]\nca_file = {:?}\n{settings}",
        server.ca()
    ))
}

pub(crate) fn credentials(user: &str, password: &str) -> Credentials {
    Credentials {
        user: user.to_owned(),
        proof: Proof::Password(password.into()),
    }
}

pub(crate) async fn log_in(backend: &Ldap, user: &str, password: &str) -> Outcome {
    let steps = Steps::unheard();
    backend
        .authenticate(&credentials(user, password), &steps)
        .await
}

async fn recheck(backend: &Ldap, accepted: &Accepted) -> Outcome {
    let vouched = Vouched {
        user: accepted.user.clone(),
        rights: Rights {
            role: Role::Admin,
            services: Scope::all(),
        },
        values: accepted.values.clone(),
        voucher: accepted.voucher.clone(),
    };
    backend.recheck(&vouched, &Steps::unheard()).await
}

#[track_caller]
pub(crate) fn accepted(outcome: Outcome) -> Accepted {
    match outcome {
        Outcome::Accepted(accepted) => accepted,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(crate) fn rejected(outcome: Outcome) -> String {
    match outcome {
        Outcome::Rejected(because) => because,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(crate) fn unavailable(outcome: Outcome) -> String {
    match outcome {
        Outcome::Unavailable(because) => because,
        other => panic!("{other:?}"),
    }
}

/// The first parts of group names.
fn short(groups: &[String]) -> Vec<&str> {
    let mut short: Vec<_> = groups
        .iter()
        .map(|dn| dn.split(",ou=").next().unwrap())
        .collect();
    short.sort_unstable();
    short
}

#[tokio::test]
async fn people_get_in_with_their_groups_and_nobody_without_their_password() {
    let Some(server) = Slapd::start() else { return };
    let backend = at(&server, &server.tls("localhost"), SEARCH);
    let ada = accepted(log_in(&backend, "ada", "ada-secret").await);
    assert_eq!(ada.groups, ["cn=lb-admins,ou=groups,dc=example,dc=org"]);
    assert_eq!((ada.user.as_str(), ada.rights), ("ada", None));
    let bob = accepted(log_in(&backend, "bob", "bob-secret").await);
    assert_eq!(bob.groups, ["cn=web-team,ou=groups,dc=example,dc=org"]);
    let vera = accepted(log_in(&backend, "vera", "vera-secret").await);
    assert_eq!(vera.groups, [""; 0]);
    for (user, password) in [
        ("ada", "bob-secret"),
        ("ada", "ADA-SECRET"),
        ("bob", "ada-secret"),
    ] {
        let because = rejected(log_in(&backend, user, password).await);
        assert!(because.contains("password is wrong"), "{because}");
    }
    let because = rejected(log_in(&backend, "nobody", "nobody-secret").await);
    assert_eq!(because, "there is no such user");
}

#[tokio::test]
async fn a_name_is_known_as_the_directory_spells_it() {
    let Some(server) = Slapd::start() else { return };
    let backend = at(&server, &server.tls("localhost"), SEARCH);
    for typed in ["ADA", "Ada", " ada", "ada "] {
        assert_eq!(
            accepted(log_in(&backend, typed, "ada-secret").await).user,
            "ada",
            "{typed:?}"
        );
    }
    let either = format!("{SEARCH}\nuser_filter = \"(|(uid={{user}})(mail={{user}}))\"");
    let backend = at(&server, &server.tls("localhost"), &either);
    let ada = accepted(log_in(&backend, "Ada@example.org", "ada-secret").await);
    assert_eq!(ada.user, "ada");
    let template = at(&server, &server.tls("localhost"), TEMPLATE);
    assert_eq!(
        accepted(log_in(&template, "ADA", "ada-secret").await).user,
        "ada"
    );
}

#[tokio::test]
async fn no_name_is_more_than_a_name() {
    let Some(server) = Slapd::start() else { return };
    for (settings, password) in [(SEARCH, "ada-secret"), (TEMPLATE, "ada-secret")] {
        let backend = at(&server, &server.tls("localhost"), settings);
        for user in [
            "*",
            "a*",
            "ada)(uid=*",
            "ada)(|(uid=*",
            "*)(&",
            "ada\\2a",
            "ada,ou=people,dc=example,dc=org",
            "x,uid=ada",
            "ada+sn=ada",
            "ada\\",
            "{dn}",
            "{user}",
        ] {
            rejected(log_in(&backend, user, password).await);
        }
    }
}

#[tokio::test]
async fn odd_names_are_names_like_others() {
    let Some(server) = Slapd::start() else { return };
    for settings in [SEARCH, TEMPLATE] {
        let backend = at(&server, &server.tls("localhost"), settings);
        for (user, password) in [
            ("eve, (star*)", "eve-secret"),
            ("o\"b+r\\ien", "obrien-secret"),
            ("zoë", "zoe-secret"),
            ("#hash", "hash-secret"),
        ] {
            let somebody = accepted(log_in(&backend, user, password).await);
            assert_eq!(somebody.user, user);
            rejected(log_in(&backend, user, "wrong").await);
        }
        let eve = accepted(log_in(&backend, "eve, (star*)", "eve-secret").await);
        assert_eq!(short(&eve.groups), ["cn=odd\\2C (one)", "cn=operators"]);
    }
}

#[tokio::test]
async fn a_name_of_two_entries_is_nobodys() {
    let Some(server) = Slapd::start() else { return };
    let backend = at(&server, &server.tls("localhost"), SEARCH);
    let because = rejected(log_in(&backend, "twin", "twin-secret").await);
    assert_eq!(because, "more than one entry has this name");
}

#[tokio::test]
async fn an_empty_password_gets_nobody_in_where_the_server_would_take_it() {
    let Some(server) = Slapd::start_lax() else {
        return;
    };
    for settings in [SEARCH, TEMPLATE] {
        let backend = at(&server, &server.tls("localhost"), settings);
        accepted(log_in(&backend, "ada", "ada-secret").await);
        let long = "x".repeat(257);
        for password in ["", " ", "\0", "\0ada-secret", &long] {
            rejected(log_in(&backend, "ada", password).await);
        }
        for user in ["", " ", "ada\0", &long] {
            rejected(log_in(&backend, user, "ada-secret").await);
        }
    }
}

#[tokio::test]
async fn the_steps_tell_the_whole_story_and_no_secret() {
    let Some(server) = Slapd::start() else { return };
    let backend = at(&server, &server.tls("localhost"), SEARCH);
    let steps = Steps::kept();
    backend
        .authenticate(&credentials("ada", "ada-secret"), &steps)
        .await;
    let told = steps.told().join("\n");
    for part in [
        "connected to ldaps://localhost:",
        "with TLS",
        "logged in as the service account cn=svc",
        "searched \"ou=people,dc=example,dc=org\" for (uid=ada): one entry",
        "the entry is \"uid=ada,ou=people,dc=example,dc=org\"",
        "logged in as \"uid=ada,",
        "for (|(member=uid=ada,ou=people,dc=example,dc=org)(memberUid=ada)): groups found: 1",
        "ada is in the groups cn=lb-admins,ou=groups,dc=example,dc=org",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    assert!(!told.contains("secret"), "{told}");
    let steps = Steps::kept();
    backend
        .authenticate(&credentials("ada", "wrong"), &steps)
        .await;
    let told = steps.told().join("\n");
    assert!(
        told.contains("still connected") && told.contains("cannot log in as"),
        "{told}"
    );
}

#[tokio::test]
async fn names_that_the_directory_takes_for_one_are_one() {
    let Some(server) = Slapd::start() else { return };
    let backend = at(&server, &server.tls("localhost"), SEARCH);
    for (typed, password, known) in [
        ("zoe\u{308}", "zoe-secret", "zo\u{eb}"),
        ("ZO\u{cb}", "zoe-secret", "zo\u{eb}"),
        ("\u{ff41}da", "ada-secret", "ada"),
    ] {
        assert_eq!(
            accepted(log_in(&backend, typed, password).await).user,
            known,
            "{typed:?}"
        );
        rejected(log_in(&backend, typed, "wrong").await);
    }
}
