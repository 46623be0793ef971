//! Guessing against a real directory: what the time of an answer tells, and how far it gets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use pointsman::{
    auth::{
        Answering, Authenticator, Credentials, Matcher, Outcome, Presence, Rights, Rule, Steps,
        Vouched,
        backends::Backend,
        clock::{Clock, Moment},
        login::{Attempt, Entered, Logins, Options, Source},
    },
    model::{
        error::Code,
        principal::{Door, Role, Scope},
    },
};

use crate::{
    ldap::{SEARCH, TEMPLATE, at},
    slapd::Slapd,
};

/// How much longer the answer about somebody who is there may take: noise of a busy machine.
const NOISE: Duration = Duration::from_millis(60);

/// Logins by this directory, that come to nothing.
fn logins(directory: impl Authenticator + 'static, backend: Backend) -> Logins {
    let options = Options {
        backends: vec![backend],
        directories: vec![Arc::new(directory)],
        ..Options::default()
    };
    Logins::new(options, Clock::system()).unwrap()
}

/// How long it takes until somebody with this name is refused. Each comes from elsewhere.
async fn refused_within(logins: &Logins, user: &str) -> Duration {
    static SOURCE: AtomicU64 = AtomicU64::new(0);
    let source = Source::Named(SOURCE.fetch_add(1, Ordering::Relaxed).to_string());
    let attempt = Attempt::with_password(user, "guessed".into(), Door::Socket, source);
    let since = Instant::now();
    let (entered, _) = logins.log_in(&attempt).await;
    let took = since.elapsed();
    let refused = entered.unwrap_err();
    assert_eq!(refused.error.code, Code::Denied);
    assert_eq!(refused.retry_after, None);
    took
}

/// In the middle of what it takes for somebody who is there, and for people who are not.
async fn middles(logins: &Logins) -> (Duration, Duration) {
    let (mut there, mut not_there) = (Vec::new(), Vec::new());
    // In turns, so that what else goes on here slows both alike.
    for number in 0..9 {
        there.push(refused_within(logins, "ada").await);
        not_there.push(refused_within(logins, &format!("nobody{number}")).await);
    }
    (median(there), median(not_there))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
async fn the_time_of_an_answer_does_not_tell_who_is_there() {
    let Some(slapd) = Slapd::start() else { return };
    let url = slapd.tls("localhost");
    for settings in [SEARCH, TEMPLATE] {
        let logins = logins(at(&slapd, &url, settings), Backend::Ldap);
        let (there, not_there) = middles(&logins).await;
        assert!(there.abs_diff(not_there) < NOISE, "{there:?} {not_there:?}");
    }
}

/// A directory that hashes what is shown, and only for those whom it knows.
#[derive(Debug)]
struct Hashing;

impl Authenticator for Hashing {
    fn kind(&self) -> &'static str {
        "radius"
    }

    fn authenticate<'a>(&'a self, credentials: &'a Credentials, _: &'a Steps) -> Answering<'a> {
        Box::pin(async {
            if credentials.user == "ada" {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Outcome::Rejected("the password is wrong".to_owned())
        })
    }

    fn recheck<'a>(&'a self, _: &'a Vouched, _: &'a Steps) -> Answering<'a> {
        Box::pin(async { Outcome::Rejected("nobody is in".to_owned()) })
    }

    fn answers(&self) -> Presence<'_> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn a_directory_that_takes_its_time_for_those_it_knows_is_evened_out() {
    let (there, not_there) = middles(&logins(Hashing, Backend::Radius)).await;
    assert!(there.abs_diff(not_there) < NOISE, "{there:?} {not_there:?}");
}

#[tokio::test]
async fn a_thousand_guesses_are_slowed_told_in_sums_and_lock_nobody_else_out() {
    let Some(slapd) = Slapd::start() else { return };
    let directory = at(&slapd, &slapd.tls("localhost"), SEARCH);
    let admin = Rule {
        matcher: Matcher::User("bob".to_owned()),
        rights: Rights {
            role: Role::Admin,
            services: Scope::all(),
        },
    };
    let options = Options {
        backends: vec![Backend::Ldap],
        directories: vec![Arc::new(directory)],
        rules: vec![admin],
        ..Options::default()
    };
    // Ten seconds for a thousand of them, by a clock that does not wait.
    let (hand, start) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let ticks = Arc::clone(&hand);
    let logins = Logins::new(
        options,
        Clock::new(move || {
            let ms = ticks.load(Ordering::Relaxed);
            Moment {
                at: start + Duration::from_millis(ms),
                unix_ms: 1_000_000 + ms,
            }
        }),
    )
    .unwrap();
    let attempt = |user: &str, password: String, from: &str| {
        let source = Source::Address(from.parse().unwrap());
        Attempt::with_password(user, password.into(), Door::Http, source)
    };
    let (mut asked, mut told) = (0, 0);
    for number in 0..1000 {
        let wrong = attempt("ada", format!("guess{number}"), "10.0.0.1");
        let (entered, effects) = logins.log_in(&wrong).await;
        let refused = entered.unwrap_err();
        assert_eq!(refused.error.code, Code::Denied);
        let wait = refused.retry_after;
        assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(8)));
        asked += u32::from(wait.is_none());
        told += effects.events.len();
        hand.fetch_add(10, Ordering::Relaxed);
    }
    // Three for nothing, then after 0.5, 1, 2 and 4 seconds.
    assert_eq!(asked, 7, "as often the directory was asked");
    assert!((1..=6).contains(&told), "{told} events");
    hand.fetch_add(20_000, Ordering::Relaxed);
    let left = logins.due().events;
    let sum = |event: &pointsman::model::event::Event| event.data["count"].as_u64().unwrap();
    assert!(left.iter().map(sum).sum::<u64>() > 100, "{left:?}");

    // From next door, or from elsewhere, others come in.
    for from in ["10.0.0.1", "10.0.0.2"] {
        let (entered, _) = logins
            .log_in(&attempt("bob", "bob-secret".to_owned(), from))
            .await;
        assert!(
            matches!(entered, Ok(Entered::LoggedIn { .. })),
            "{entered:?}"
        );
    }
}
