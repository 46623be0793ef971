//! The servers themselves: how they are reached, and what becomes of a log-in when one is not there.

use super::*;

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
