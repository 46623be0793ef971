//! Logging in and out on a clock of the test's own.
//! It must not sleep.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Waker},
    time::Instant,
};

use super::{super::local::tests::user, *};
use crate::auth::{Matcher, Rights};

mod anew;
mod directories;
mod keeping;
mod questions;

/// A clock that stands still until it is moved.
#[derive(Clone)]
struct Hand(Arc<AtomicU64>, Instant);

impl Hand {
    fn new() -> Self {
        Self(Arc::default(), Instant::now())
    }

    fn clock(&self) -> Clock {
        let hand = self.clone();
        Clock::new(move || {
            let ms = hand.0.load(Ordering::Relaxed);
            Moment {
                at: hand.1 + Duration::from_millis(ms),
                unix_ms: 1_000_000 + ms,
            }
        })
    }

    fn forward(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap();
        self.0.fetch_add(ms + 1, Ordering::Relaxed);
    }
}

fn options() -> Options {
    Options {
        users: vec![
            user("ada", "adas-password", Role::Admin),
            user("bob", "bobs-password", Role::Viewer),
        ],
        ..Options::default()
    }
}

fn logins() -> (Logins, Hand) {
    let hand = Hand::new();
    (Logins::new(options(), hand.clock()).unwrap(), hand)
}

fn attempt(user: &str, password: &str) -> Attempt {
    let source = Source::Address("10.0.0.1".parse().unwrap());
    Attempt::with_password(user, password.into(), Door::Http, source)
}

async fn enter(logins: &Logins, user: &str) -> (Login, SecretString, Effects) {
    let (entered, effects) = logins
        .log_in(&attempt(user, &format!("{user}s-password")))
        .await;
    match entered.unwrap() {
        Entered::LoggedIn { login, token } => (login, token, effects),
        Entered::Challenged(challenge) => panic!("{challenge:?}"),
    }
}

fn principal(logins: &Logins, token: &SecretString) -> Option<Principal> {
    logins.principal(token, Door::Http, "10.0.0.1")
}

fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

#[tokio::test]
async fn who_logs_in_is_known_by_the_token_until_it_expires() {
    let (logins, hand) = logins();
    let (login, token, effects) = enter(&logins, "ada").await;
    assert_eq!(kinds(&effects.events), ["admin.login"]);
    assert_eq!((login.by.as_str(), login.role), ("local", Role::Admin));
    assert_eq!(login.expires - login.since, 15 * 60 * 1000);
    let known = principal(&logins, &token).unwrap();
    assert_eq!(
        (known.user.as_str(), &known.login),
        ("ada", &Some(login.id))
    );
    assert_eq!(logins.recheck(&known).await.0, Ok(known.clone()));
    assert_eq!(logins.standing(&known), Ok(known.clone()));
    hand.forward(Duration::from_secs(15 * 60));
    assert_eq!(principal(&logins, &token), None);
    assert_eq!(
        logins.recheck(&known).await.0.unwrap_err().code,
        Code::Denied
    );
    assert!(logins.list(&known).is_empty() && logins.records().is_empty());
}

#[tokio::test]
async fn only_the_very_token_is_known() {
    let (logins, _hand) = logins();
    let (_, token, _) = enter(&logins, "ada").await;
    let (_, other, _) = enter(&logins, "ada").await;
    let token = token.expose_secret();
    assert_eq!(token.len(), TOKEN_LENGTH);
    assert_ne!(token, other.expose_secret());
    let changed = format!(
        "{}{}",
        &token[..42],
        if token.ends_with('A') { 'B' } else { 'A' }
    );
    for wrong in [
        "",
        &token[..42],
        &format!("{token} "),
        &changed,
        &"A".repeat(43),
    ] {
        assert_eq!(principal(&logins, &wrong.into()), None);
    }
}

#[tokio::test]
async fn the_person_at_the_door_hears_the_same_whatever_was_wrong() {
    let (logins, hand) = logins();
    let mut heard = Vec::new();
    for (user, password) in [
        ("ada", "wrong"),
        ("eve", "wrong"),
        ("", "x"),
        ("ada", "a\0"),
    ] {
        hand.forward(Duration::from_secs(30));
        let (entered, effects) = logins.log_in(&attempt(user, password)).await;
        heard.push(entered.unwrap_err());
        assert_eq!(kinds(&effects.events), ["admin.login-failed"]);
    }
    assert!(heard.iter().all(|refused| *refused == heard[0]));
    assert_eq!(heard[0].error.code, Code::Denied);
}

#[tokio::test]
async fn a_thousand_wrong_passwords_are_slowed_and_bounded_and_lock_nobody_else_out() {
    let (logins, hand) = logins();
    let (mut tried, mut told) = (0, 0);
    for number in 0..1000 {
        let wrong = attempt("ada", &format!("wrong{number}"));
        let (entered, effects) = logins.log_in(&wrong).await;
        tried += usize::from(entered.unwrap_err().retry_after.is_none());
        told += effects.events.len();
        hand.forward(Duration::from_millis(9));
    }
    // Ten seconds: three for nothing, then after 0.5, 1, 2 and 4 seconds.
    assert_eq!(tried, 7);
    assert!(told <= 4, "{told}");
    let (login, ..) = enter(&logins, "bob").await;
    assert_eq!(login.user, "bob");
    let refused = logins
        .log_in(&attempt("ada", "adas-password"))
        .await
        .0
        .unwrap_err();
    assert_eq!(refused.error.code, Code::Denied);
    let wait = refused.retry_after.unwrap();
    assert!(wait <= Duration::from_secs(8));
    let socket = Attempt {
        door: Door::Socket,
        source: Source::Uid(0),
        ..attempt("ada", "adas-password")
    };
    assert!(logins.log_in(&socket).await.0.is_ok());
    hand.forward(Duration::from_secs(8));
    let _ = enter(&logins, "ada").await;
    hand.forward(Duration::from_secs(20));
    let sum = |event: &Event| event.data["count"].as_u64().unwrap();
    assert!(logins.due().events.iter().map(sum).sum::<u64>() < 1000);
}

#[tokio::test]
async fn hanging_up_before_the_answer_counts_as_a_failure_and_is_told() {
    let (logins, hand) = logins();
    for _ in 0..3 {
        let attempt = attempt("ada", "wrong");
        let mut entering = Box::pin(logins.log_in(&attempt));
        let mut context = Context::from_waker(Waker::noop());
        assert!(entering.as_mut().poll(&mut context).is_pending());
    }
    let (entered, effects) = logins.log_in(&attempt("ada", "wrong")).await;
    assert!(entered.unwrap_err().retry_after.is_some());
    let codes: Vec<_> = effects
        .events
        .iter()
        .map(|event| &event.data["code"])
        .collect();
    assert_eq!(codes, ["abandoned", "slowed"]);
    hand.forward(Duration::from_secs(10));
    assert_eq!(logins.due().events[0].data["count"], 2);
}

#[tokio::test]
async fn a_principal_has_the_rights_of_their_login_and_no_others() {
    let (logins, _hand) = logins();
    let (_, token, _) = enter(&logins, "bob").await;
    let bob = principal(&logins, &token).unwrap();
    let raised = Principal {
        role: Role::Admin,
        ..bob.clone()
    };
    assert_eq!(logins.recheck(&raised).await.0, Ok(bob.clone()));
    assert_eq!(logins.standing(&raised), Ok(bob.clone()));
    let unlogged = Principal {
        login: None,
        ..bob.clone()
    };
    let other = Principal {
        user: "ada".to_owned(),
        ..bob
    };
    for principal in [unlogged, other] {
        let denied = Code::Denied;
        let (answer, _) = logins.recheck(&principal).await;
        assert_eq!(answer.unwrap_err().code, denied);
        assert_eq!(logins.standing(&principal).unwrap_err().code, denied);
    }
    let part = Principal::part("pointsman", Door::Timer);
    assert_eq!(logins.recheck(&part).await.0, Ok(part.clone()));
    assert_eq!(logins.standing(&part), Ok(part));
}

#[tokio::test]
async fn access_is_explained_in_sentences() {
    let (logins, _hand) = logins();
    let (login, ..) = enter(&logins, "ada").await;
    let found = logins.look_up("ada").await;
    let sentences = logins.explain_access("ada", &found);
    assert!(sentences[0].starts_with("ada may log in as admin on all services"));
    let own = "local knows ada, with the role admin on all services";
    assert_eq!(sentences[1], own);
    let end = format!("login {}", login.id);
    assert!(sentences[2].ends_with(&end), "{sentences:?}");
    let unknown = logins.look_up("eve").await;
    assert_eq!(unknown[1], "local: there is no such user");
    assert_eq!(logins.look_up("a\0").await.len(), 1);
}

#[tokio::test]
async fn neither_debug_output_nor_events_nor_records_show_a_secret() {
    let rule = Rule {
        matcher: Matcher::User("ada".to_owned()),
        rights: Rights {
            role: Role::Viewer,
            services: Scope::all(),
        },
    };
    let settings = Options {
        rules: vec![rule],
        ..options()
    };
    let hash = settings.users[0].password_hash.expose_secret().to_owned();
    let logins = Logins::new(settings.clone(), Hand::new().clock()).unwrap();
    let attempt = attempt("ada", "adas-password");
    let (entered, effects) = logins.log_in(&attempt).await;
    let entered = entered.unwrap();
    let refused = logins.log_in(&self::attempt("ada", "guessed")).await;
    let records = logins.records();
    let kept = serde_json::to_string(&records).unwrap();
    let shown = format!(
        "{settings:?} {logins:?} {attempt:?} {entered:?} {effects:?} {refused:?} {records:?}"
    );
    let Entered::LoggedIn { token, .. } = &entered else {
        panic!("{entered:?}");
    };
    let digest = serde_json::to_value(&records[0]).unwrap()["digest"].clone();
    for secret in ["adas-password", "guessed", &hash, token.expose_secret()] {
        assert!(!shown.contains(secret) && !kept.contains(secret));
    }
    assert!(!shown.contains(digest.as_str().unwrap()));
}

#[test]
fn a_port_or_a_mapped_address_or_a_neighbour_of_one_machine_is_no_other_source() {
    let counted = |address: &str| Source::Address(address.parse().unwrap()).counted();
    assert_eq!(counted("::ffff:10.0.0.1"), counted("10.0.0.1"));
    assert_eq!(counted("2001:db8::1"), counted("2001:db8::ffff"));
    assert_ne!(counted("2001:db8::1"), counted("2001:db8:0:1::1"));
    assert_ne!(Source::Uid(0).counted(), Source::Uid(1).counted());
}
