//! The LDAP backend against a real OpenLDAP server: who gets in, who does not, and why.

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

/// What a directory is configured with, if a test says nothing else.
pub(crate) const SEARCH: &str = r#"
    bind_dn = "cn=svc,ou=services,dc=example,dc=org"
    bind_password = "svc-secret"
    user_base = "ou=people,dc=example,dc=org"
    group_base = "ou=groups,dc=example,dc=org"
"#;
const TEMPLATE: &str = r#"
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
async fn each_condition_of_an_account_is_told_apart() {
    let Some(server) = Slapd::start() else { return };
    for settings in [SEARCH, TEMPLATE] {
        let backend = at(&server, &server.tls("localhost"), settings);
        for (user, because) in [
            ("locked", "the account is locked"),
            ("disabled", "the account is locked"),
            ("expired", "the password has expired"),
            ("must-change", "the password must be changed first"),
            ("over", "the account is locked"),
            ("shadow", "the account has expired"),
        ] {
            let password = format!("{user}-secret");
            assert_eq!(
                rejected(log_in(&backend, user, &password).await),
                because,
                "{user}"
            );
        }
    }
}

#[tokio::test]
async fn an_account_that_is_locked_by_failures_is_locked_for_the_right_password_too() {
    let Some(server) = Slapd::start() else { return };
    let backend = at(&server, &server.tls("localhost"), SEARCH);
    let ada = accepted(log_in(&backend, "ada", "ada-secret").await);
    for _ in 0..5 {
        rejected(log_in(&backend, "ada", "wrong").await);
    }
    let because = rejected(log_in(&backend, "ada", "ada-secret").await);
    assert_eq!(because, "the account is locked");
    assert_eq!(
        rejected(recheck(&backend, &ada).await),
        "the account is locked"
    );
    accepted(log_in(&backend, "bob", "bob-secret").await);
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
async fn groups_within_groups_count_only_where_that_is_set() {
    let Some(server) = Slapd::start() else { return };
    let url = server.tls("localhost");
    let off = at(&server, &url, SEARCH);
    let nina = accepted(log_in(&off, "nina", "nina-secret").await);
    assert_eq!(short(&nina.groups), ["cn=inner", "cn=loop-a"]);
    let expand = at(&server, &url, &format!("{SEARCH}\nnested = \"expand\""));
    let nina = accepted(log_in(&expand, "nina", "nina-secret").await);
    let all = [
        "cn=inner",
        "cn=loop-a",
        "cn=loop-b",
        "cn=outer",
        "cn=outermost",
    ];
    assert_eq!(short(&nina.groups), all);
    let paul = accepted(log_in(&expand, "paul", "paul-secret").await);
    assert_eq!(short(&paul.groups), ["cn=operators"]);
    let chain = at(&server, &url, &format!("{SEARCH}\nnested = \"chain\""));
    let because = unavailable(log_in(&chain, "nina", "nina-secret").await);
    assert!(because.contains("nested = \"expand\""), "{because}");
}

#[tokio::test]
async fn groups_in_more_levels_than_are_followed_let_nobody_in() {
    let Some(server) = Slapd::start() else { return };
    for level in 0..12 {
        let member = match level {
            0 => "uid=vera,ou=people".to_owned(),
            _ => format!("cn=level{},ou=groups", level - 1),
        };
        server.change(&format!(
            "dn: cn=level{level},ou=groups,dc=example,dc=org\nchangetype: add\n\
             objectClass: groupOfNames\nmember: {member},dc=example,dc=org\n"
        ));
    }
    let expand = format!("{SEARCH}\nnested = \"expand\"");
    let backend = at(&server, &server.tls("localhost"), &expand);
    let because = unavailable(log_in(&backend, "vera", "vera-secret").await);
    assert!(because.contains("more than 10 levels"), "{because}");
    accepted(log_in(&backend, "ada", "ada-secret").await);
}

#[tokio::test]
async fn every_protection_works_and_a_wrong_one_is_refused_before_a_password_is_sent() {
    let Some(server) = Slapd::start() else { return };
    let good = [
        (server.tls("localhost"), SEARCH.to_owned()),
        (server.tls("127.0.0.1"), SEARCH.to_owned()),
        (server.plain("localhost"), SEARCH.to_owned()),
        (
            server.plain("127.0.0.1"),
            format!("{SEARCH}\nstart_tls = false"),
        ),
    ];
    for (url, settings) in good {
        let backend = at(&server, &url, &settings);
        assert_eq!(
            accepted(log_in(&backend, "ada", "ada-secret").await).user,
            "ada",
            "{url}"
        );
    }
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        for url in [server.tls("[::1]"), server.plain("[::1]")] {
            let backend = at(&server, &url, SEARCH);
            assert_eq!(
                accepted(log_in(&backend, "ada", "ada-secret").await).user,
                "ada",
                "{url}"
            );
        }
    }
    // The certificate does not name 127.0.0.2.
    let foreign = at(&server, &server.tls("127.0.0.2"), SEARCH);
    let because = unavailable(log_in(&foreign, "ada", "ada-secret").await);
    assert!(because.contains("not valid for name"), "{because}");
    // The system does not know the authority.
    let url = server.tls("localhost");
    let text = format!("urls = [{url:?}]\n{SEARCH}");
    let config = config::parse(&format!("service = []\n[auth.ldap]\n{text}")).unwrap();
    let options = directory::ldap(&config.settings.auth.unwrap().ldap.unwrap());
    match options {
        Ok(options) => {
            let because = unavailable(log_in(&Ldap::new(options), "ada", "ada-secret").await);
            assert!(because.contains("invalid peer certificate"), "{because}");
        }
        Err(problems) => assert!(problems[0].contains("no certificate authorities")),
    }
}

#[tokio::test]
async fn what_changed_since_the_log_in_is_seen_when_asked_again() {
    let Some(server) = Slapd::start() else { return };
    let backend = at(&server, &server.tls("localhost"), SEARCH);
    let ada = accepted(log_in(&backend, "ada", "ada-secret").await);
    assert_eq!(accepted(recheck(&backend, &ada).await), ada);
    server.change(
        "dn: cn=web-team,ou=groups,dc=example,dc=org\nchangetype: modify\n\
         add: member\nmember: uid=ada,ou=people,dc=example,dc=org\n\n\
         dn: cn=lb-admins,ou=groups,dc=example,dc=org\nchangetype: modify\n\
         replace: member\nmember: uid=bob,ou=people,dc=example,dc=org\n",
    );
    let now = accepted(recheck(&backend, &ada).await);
    assert_eq!(short(&now.groups), ["cn=web-team"]);
    server.change(
        "dn: uid=ada,ou=people,dc=example,dc=org\nchangetype: modify\n\
         add: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n",
    );
    assert_eq!(
        rejected(recheck(&backend, &ada).await),
        "the account is locked"
    );
    server.change("dn: uid=ada,ou=people,dc=example,dc=org\nchangetype: delete\n");
    assert_eq!(
        rejected(recheck(&backend, &ada).await),
        "there is no such user"
    );
    // Somebody else who gets the name is somebody else.
    server.change(
        "dn: uid=ada,ou=staff,ou=people,dc=example,dc=org\nchangetype: add\n\
         objectClass: inetOrgPerson\ncn: ada\nsn: ada\nuserPassword: ada-secret\n",
    );
    assert_eq!(
        rejected(recheck(&backend, &ada).await),
        "another entry has this name now"
    );
    accepted(log_in(&backend, "ada", "ada-secret").await);
}

#[tokio::test]
async fn a_directory_that_goes_and_comes_back_is_away_meanwhile_and_says_no_to_nobody() {
    let Some(server) = Slapd::start() else { return };
    let backend = at(&server, &server.tls("localhost"), SEARCH);
    let ada = accepted(log_in(&backend, "ada", "ada-secret").await);
    assert_eq!(backend.answers().await, Ok(()));
    server.stop();
    unavailable(recheck(&backend, &ada).await);
    unavailable(log_in(&backend, "ada", "ada-secret").await);
    assert!(backend.answers().await.is_err());
    server.again();
    assert_eq!(backend.answers().await, Ok(()));
    assert_eq!(accepted(recheck(&backend, &ada).await), ada);
    accepted(log_in(&backend, "ada", "ada-secret").await);
}

#[tokio::test]
async fn by_template_alone_nobody_can_be_asked_about_again_and_with_a_service_account_they_can() {
    let Some(server) = Slapd::start() else { return };
    let backend = at(&server, &server.tls("localhost"), TEMPLATE);
    let ada = accepted(log_in(&backend, "ada", "ada-secret").await);
    assert_eq!(short(&ada.groups), ["cn=lb-admins"]);
    let because = unavailable(recheck(&backend, &ada).await);
    assert!(because.contains("log in anew"), "{because}");
    let service =
        "bind_dn = \"cn=svc,ou=services,dc=example,dc=org\"\nbind_password = \"svc-secret\"";
    let backend = at(
        &server,
        &server.tls("localhost"),
        &format!("{TEMPLATE}\n{service}"),
    );
    let ada = accepted(log_in(&backend, "ada", "ada-secret").await);
    assert_eq!(accepted(recheck(&backend, &ada).await), ada);
    server.change("dn: uid=ada,ou=people,dc=example,dc=org\nchangetype: delete\n");
    assert_eq!(rejected(recheck(&backend, &ada).await), "the entry is gone");
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_is_away_and_never_after_a_no() {
    let Some(server) = Slapd::start() else { return };
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let dead = format!("ldaps://{gone}");
    let both = |first: &str, second: &str| {
        backend(&format!(
            "urls = [{first:?}, {second:?}]\nca_file = {:?}\n{SEARCH}",
            server.ca()
        ))
    };
    let fail_over = both(&dead, &server.tls("localhost"));
    accepted(log_in(&fail_over, "ada", "ada-secret").await);
    rejected(log_in(&fail_over, "ada", "wrong").await);
    // A second server that would let ada in with another password is not asked.
    let Some(other) = Slapd::start() else { return };
    other.change(
        "dn: uid=ada,ou=people,dc=example,dc=org\nchangetype: modify\n\
         replace: userPassword\nuserPassword: other\n\n\
         dn: uid=ada,ou=people,dc=example,dc=org\nchangetype: modify\ndelete: pwdReset\n",
    );
    let text = format!(
        "urls = [{:?}, {:?}]\nstart_tls = false\n{SEARCH}",
        server.plain("127.0.0.1"),
        other.plain("127.0.0.1")
    );
    rejected(log_in(&backend(&text), "ada", "other").await);
    server.stop();
    accepted(log_in(&backend(&text), "ada", "other").await);
}

#[tokio::test]
async fn what_the_settings_get_wrong_is_the_directorys_trouble_and_nobodys_refusal() {
    let Some(server) = Slapd::start() else { return };
    for (from, to, says) in [
        ("svc-secret", "wrong", "the service account cn=svc"),
        ("ou=people", "ou=peeple", "no entry \"ou=peeple"),
        ("ou=groups", "ou=grupps", "no entry \"ou=grupps"),
    ] {
        let backend = at(&server, &server.tls("localhost"), &SEARCH.replace(from, to));
        let because = unavailable(log_in(&backend, "ada", "ada-secret").await);
        assert!(because.contains(says), "{because}");
        assert!(!because.contains("secret"), "{because}");
        assert_eq!(backend.answers().await, Ok(()));
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
async fn many_log_ins_at_once_are_each_answered_right() {
    let Some(server) = Slapd::start() else { return };
    let backend = at(&server, &server.tls("localhost"), SEARCH);
    let start = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for number in 0..60 {
        let backend = backend.clone();
        all.spawn(async move {
            let (user, right) = [("ada", true), ("bob", true), ("paul", false)][number % 3];
            let password = if right {
                format!("{user}-secret")
            } else {
                "wrong".to_owned()
            };
            match log_in(&backend, user, &password).await {
                Outcome::Accepted(accepted) => right && accepted.user == user,
                Outcome::Rejected(_) => !right,
                other => panic!("{other:?}"),
            }
        });
    }
    assert!(all.join_all().await.into_iter().all(|right| right));
    assert!(start.elapsed() < Duration::from_secs(10));
}
