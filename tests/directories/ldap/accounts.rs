//! Accounts that are locked, expired or gone, at a log-in and when asked again.

use super::*;
use crate::eventually;

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
async fn a_lock_that_the_policy_ends_is_over_when_asked_again_without_a_new_log_in() {
    let Some(server) = Slapd::start() else { return };
    let backend = at(&server, &server.tls("localhost"), SEARCH);
    let brief = accepted(log_in(&backend, "brief", "brief-secret").await);
    for _ in 0..3 {
        rejected(log_in(&backend, "brief", "wrong").await);
    }
    let because = rejected(recheck(&backend, &brief).await);
    assert_eq!(because, "the account is locked");
    eventually!(matches!(
        recheck(&backend, &brief).await,
        Outcome::Accepted(_)
    ));
    accepted(log_in(&backend, "brief", "brief-secret").await);
    // One that somebody has set stays.
    server.change(
        "dn: uid=brief,ou=people,dc=example,dc=org\nchangetype: modify\n\
         replace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n",
    );
    let because = rejected(recheck(&backend, &brief).await);
    assert_eq!(because, "the account is locked");
    rejected(log_in(&backend, "brief", "brief-secret").await);
}
