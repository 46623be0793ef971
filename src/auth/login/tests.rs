//! Logging in and out on a clock of the test's own.
//! It must not sleep.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Waker},
    time::Instant,
};

use super::{super::local::tests::user, *};
use crate::auth::{Matcher, Rights, table};

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
    assert_eq!(logins.still_valid(&known).await, Ok(()));
    hand.forward(Duration::from_secs(15 * 60));
    assert_eq!(principal(&logins, &token), None);
    assert_eq!(
        logins.still_valid(&known).await.unwrap_err().code,
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
    assert!(logins.due().iter().map(sum).sum::<u64>() < 1000);
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
    assert_eq!(logins.due()[0].data["count"], 2);
}

#[tokio::test]
async fn one_ends_ones_own_logins_and_an_admin_everybodys() {
    let (logins, _hand) = logins();
    let (_, ada_token, _) = enter(&logins, "ada").await;
    let (bob_login, bob_token, _) = enter(&logins, "bob").await;
    let (second, ..) = enter(&logins, "bob").await;
    let ada = principal(&logins, &ada_token).unwrap();
    let bob = principal(&logins, &bob_token).unwrap();
    assert_eq!((logins.list(&ada).len(), logins.list(&bob).len()), (3, 2));
    let foreign = ada.login.clone().unwrap();
    assert_eq!(logins.end(&bob, &foreign).unwrap_err().code, Code::Denied);
    assert_eq!(logins.end(&bob, "none").unwrap_err().code, Code::Denied);
    assert_eq!(logins.end(&ada, "none").unwrap_err().code, Code::NotFound);
    let effects = logins.end(&bob, &second.id).unwrap();
    assert_eq!(effects.records, [(second.id, None)]);
    let effects = logins.end(&ada, &bob_login.id).unwrap();
    assert_eq!(kinds(&effects.events), ["admin.logout"]);
    assert_eq!(effects.events[0].data["ended_by"], "ada");
    assert_eq!(principal(&logins, &bob_token), None);
    assert_eq!(
        logins.still_valid(&bob).await.unwrap_err().code,
        Code::Denied
    );
    assert_eq!(
        kinds(&logins.logout(&ada).unwrap().events),
        ["admin.logout"]
    );
    assert_eq!(logins.logout(&ada).unwrap_err().code, Code::NotFound);
    assert_eq!(principal(&logins, &ada_token), None);
}

#[tokio::test]
async fn new_settings_end_the_logins_that_they_would_not_give() {
    let changes: [(fn(&mut Options), bool); 6] = [
        (|_| {}, true),
        (|new| new.users[1] = user("bob", "other", Role::Admin), true),
        (
            |new| new.users[0] = user("ada", "adas-password", Role::Admin),
            false,
        ),
        (|new| new.users[0].rights.role = Role::Operator, false),
        (
            |new| new.users[0].rights.services = Scope::new(vec!["web".to_owned()]),
            false,
        ),
        (|new| new.users.truncate(0), false),
    ];
    for (index, (change, stays)) in changes.into_iter().enumerate() {
        let mut new = options();
        let logins = Logins::new(new.clone(), Hand::new().clock()).unwrap();
        let (login, token, _) = enter(&logins, "ada").await;
        let ada = principal(&logins, &token).unwrap();
        change(&mut new);
        let effects = logins.reconfigure(new).unwrap();
        assert_eq!(principal(&logins, &token).is_some(), stays, "{index}");
        assert_eq!(logins.still_valid(&ada).await.is_ok(), stays, "{index}");
        assert_eq!(effects.records.len(), usize::from(!stays));
        assert!(stays || effects.records[0] == (login.id, None));
    }
}

#[tokio::test]
async fn settings_that_are_wrong_change_nothing() {
    let (logins, _hand) = logins();
    let (_, token, _) = enter(&logins, "ada").await;
    let mut wrong = options();
    wrong.users[0].password_hash = "adas-password".into();
    let error = logins.reconfigure(wrong).unwrap_err();
    assert_eq!(error.code, Code::Invalid);
    assert!(!error.message.contains("adas-password"));
    assert!(principal(&logins, &token).is_some());
}

#[tokio::test]
async fn a_principal_with_rights_that_the_login_has_not_is_denied() {
    let (logins, _hand) = logins();
    let (_, token, _) = enter(&logins, "bob").await;
    let bob = principal(&logins, &token).unwrap();
    let raised = Principal {
        role: Role::Admin,
        ..bob.clone()
    };
    let unlogged = Principal { login: None, ..bob };
    for principal in [raised, unlogged] {
        assert_eq!(
            logins.still_valid(&principal).await.unwrap_err().code,
            Code::Denied
        );
    }
    let part = Principal::part("pointsman", Door::Timer);
    assert_eq!(logins.still_valid(&part).await, Ok(()));
}

#[tokio::test]
async fn logins_survive_a_restart_unless_they_would_not_be_given_any_more() {
    let settings = options();
    let hand = Hand::new();
    let logins = Logins::new(settings.clone(), hand.clock()).unwrap();
    let (_, ada, effects) = enter(&logins, "ada").await;
    let (bob_login, bob, _) = enter(&logins, "bob").await;
    let kept = serde_json::to_string(&logins.records()).unwrap();
    assert!(effects.records[0].1.is_some());
    assert!(!kept.contains(ada.expose_secret()));
    let mut fewer = settings;
    fewer.users.remove(1);
    let again = Logins::new(fewer, hand.clock()).unwrap();
    let effects = again.restore(serde_json::from_str(&kept).unwrap());
    assert_eq!(effects.records, [(bob_login.id, None)]);
    assert!(principal(&again, &ada).is_some() && principal(&again, &bob).is_none());
    hand.forward(Duration::from_secs(15 * 60));
    assert_eq!(principal(&again, &ada), None);
    let late = Logins::new(options(), hand.clock()).unwrap();
    let effects = late.restore(serde_json::from_str(&kept).unwrap());
    assert_eq!((effects.records.len(), late.records().len()), (2, 0));
}

#[tokio::test]
async fn a_user_fills_only_their_share_and_a_full_table_refuses_a_newcomer() {
    let (logins, hand) = logins();
    let (first, token, _) = enter(&logins, "ada").await;
    for number in 1..=table::OWN_BOUND {
        let (.., effects) = enter(&logins, "ada").await;
        let displaced = number == table::OWN_BOUND;
        assert_eq!(
            effects.records.contains(&(first.id.clone(), None)),
            displaced
        );
    }
    assert_eq!(principal(&logins, &token), None);
    assert_eq!(logins.records().len(), table::OWN_BOUND);
    let records: Vec<Record> = logins.records();
    let mut others = Vec::new();
    for number in 0..table::BOUND - table::OWN_BOUND {
        let mut other = serde_json::to_value(&records[0]).unwrap();
        other["login"]["id"] = json!(format!("other{number}"));
        other["login"]["user"] = json!(format!("user{}", number / 50));
        others.push(serde_json::from_value::<Record>(other).unwrap());
    }
    fill(&logins, others);
    assert_eq!(logins.records().len(), table::BOUND);
    let (entered, effects) = logins.log_in(&attempt("bob", "bobs-password")).await;
    assert_eq!(entered.unwrap_err().error.code, Code::Unavailable);
    assert!(effects.records.is_empty());
    let _ = enter(&logins, "ada").await;
    assert_eq!(logins.records().len(), table::BOUND);
    hand.forward(Duration::from_secs(15 * 60));
    let (.., effects) = enter(&logins, "bob").await;
    assert_eq!(effects.records.len(), table::BOUND + 1);
}

/// Takes the records in without asking whether their users exist.
fn fill(logins: &Logins, records: Vec<Record>) {
    let now = logins.clock.now();
    for record in records {
        let held = record.held_for_test(now);
        logins.inner().table.insert(held, now).unwrap();
    }
}

#[tokio::test]
async fn access_is_explained_in_sentences() {
    let (logins, _hand) = logins();
    let (login, ..) = enter(&logins, "ada").await;
    let sentences = logins.explain_access("ada");
    assert_eq!(
        sentences[0],
        "ada is a local user with the role admin on all services"
    );
    assert_eq!(
        sentences[1],
        "rules do not count: local users carry their own rights"
    );
    assert!(
        sentences[2].ends_with(&format!("login {}", login.id)),
        "{sentences:?}"
    );
    assert_eq!(
        logins.explain_access("eve")[0],
        "there is no local user eve"
    );
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
