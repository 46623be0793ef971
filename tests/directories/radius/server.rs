//! What a real server says of its users, and what becomes of it.

use super::*;

#[tokio::test]
async fn each_user_gets_what_the_server_says_by_pap_and_chap_over_both_protocols() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    let strict = radius(options(vec![server.listener("strict")]));
    let roles = accepted(log_in(&strict, "ada", "analytical").await);
    assert_eq!(roles, ["lb-admin", "lb-viewer"]);
    assert!(accepted(log_in(&strict, "plain", "nothing-more").await).is_empty());
    assert_eq!(
        accepted(log_in(&strict, "zoë k", "pässword").await),
        ["lb-viewer"]
    );
    assert_eq!(
        accepted(log_in(&strict, "hash", "hashed-secret").await),
        ["lb-viewer"]
    );
    match log_in(&strict, "spelt", "any-case").await {
        Outcome::Accepted(accepted) => assert_eq!(accepted.user, "Spelt"),
        other => panic!("{}", other.sentence()),
    }
    for (user, password) in [
        ("ada", "wrong"),
        ("nobody", "analytical"),
        ("zoë", "pässword"),
    ] {
        rejected(log_in(&strict, user, password).await);
    }
    let long = rejected(log_in(&strict, "ada", &"x".repeat(129)).await);
    assert!(long.contains("128 bytes"), "{long}");
    unavailable(log_in(&strict, "mute", "x").await);

    let chap = Options {
        method: Method::Chap,
        ..options(vec![server.listener("strict")])
    };
    let chap = radius(chap);
    assert_eq!(accepted(log_in(&chap, "ada", "analytical").await).len(), 2);
    rejected(log_in(&chap, "ada", "wrong").await);
    // The server has but a hash of it.
    rejected(log_in(&chap, "hash", "hashed-secret").await);

    if let Some(listener) = server.find("strict6") {
        let six = radius(options(vec![listener]));
        assert_eq!(accepted(log_in(&six, "ada", "analytical").await).len(), 2);
        rejected(log_in(&six, "ada", "wrong").await);
        six.answers().await.unwrap();
    }
    strict.answers().await.unwrap();
}

#[tokio::test]
async fn roles_come_from_one_attribute_and_never_from_a_rejection() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    let with = |role_attribute| {
        let legacy = server.listener("legacy");
        radius(Options {
            role_attribute,
            require_message_authenticator: Some(false),
            ..options(vec![legacy])
        })
    };
    for (attribute, expected) in [
        (RoleAttribute::FilterId, vec!["lb-admin", "lb-viewer"]),
        (RoleAttribute::Class, vec!["web-team"]),
        (
            RoleAttribute::CiscoAvpair,
            vec![
                "shell:roles=\"lb-admin lb-operator\"",
                "lb-admin",
                "lb-operator",
                "shell:priv-lvl=15",
            ],
        ),
    ] {
        let radius = with(attribute);
        assert_eq!(
            accepted(log_in(&radius, "ada", "analytical").await),
            expected
        );
        // This server sends the same attributes with its Access-Reject.
        let because = rejected(log_in(&radius, "ada", "wrong").await);
        assert!(because.ends_with("rejects them: welcome"), "{because}");
    }
}

#[tokio::test]
async fn a_legacy_server_is_refused_by_name_and_taken_only_where_that_is_allowed() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    let legacy = server.listener("legacy");
    let because =
        unavailable(log_in(&radius(options(vec![legacy.clone()])), "ada", "analytical").await);
    let told = [
        "without a Message-Authenticator",
        "require_message_authenticator = false",
    ];
    assert!(because.starts_with(&legacy.to_string()), "{because}");
    assert!(told.iter().all(|what| because.contains(what)), "{because}");
    let lax = radius(Options {
        require_message_authenticator: Some(false),
        ..options(vec![legacy])
    });
    assert_eq!(accepted(log_in(&lax, "ada", "analytical").await).len(), 2);
    rejected(log_in(&lax, "ada", "wrong").await);
}

#[tokio::test]
async fn with_a_wrong_secret_nobody_is_let_in_and_nobody_rejected() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    // The legacy listener answers, with what it decodes of the password: an Access-Reject that
    // this side cannot believe.
    for listener in ["strict", "legacy"] {
        let guessed = Options {
            secret: Some("guessed".into()),
            require_message_authenticator: Some(false),
            ..options(vec![server.listener(listener)])
        };
        let because = unavailable(log_in(&radius(guessed), "ada", "analytical").await);
        assert!(because.contains("secret"), "{because}");
    }
}

#[tokio::test]
async fn an_account_of_a_log_in_tells_every_step_and_no_secret() {
    let Some(server) = FreeRadius::start() else {
        return;
    };
    let radius = radius(options(vec![server.listener("strict")]));
    let steps = Steps::kept();
    let credentials = Credentials {
        user: "ada".to_owned(),
        proof: Proof::Password("analytical".into()),
    };
    accepted(radius.authenticate(&credentials, &steps).await);
    let told = steps.told().join("\n");
    for what in [
        "asked from 127.0.0.1",
        "Access-Accept, Filter-Id: [\"lb-admin\"",
    ] {
        assert!(told.contains(what), "{told}");
    }
    for secret in ["analytical", SECRET] {
        assert!(!told.contains(secret) && !format!("{radius:?}").contains(secret));
    }
}
