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
        Matcher, Outcome, Rights, Rule,
        backends::Backend,
        clock::{Clock, Moment},
        ldap::Ldap,
        login::{Attempt, Entered, Logins, Options, Source},
    },
    model::{
        error::Code,
        principal::{Door, Role, Scope},
    },
};

use crate::{
    ldap::{SEARCH, at, log_in},
    slapd::Slapd,
};

/// How much longer the answer about somebody who is there may take: noise of a busy machine, and
/// less than a connection with TLS takes there.
const NOISE: Duration = Duration::from_millis(20);

async fn rejected_within(server: &Ldap, user: &str) -> Duration {
    let since = Instant::now();
    let outcome = log_in(server, user, "guessed").await;
    let took = since.elapsed();
    assert!(
        matches!(outcome, Outcome::Rejected(_)),
        "{}",
        outcome.sentence()
    );
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
async fn the_time_of_an_answer_does_not_tell_who_is_there() {
    let Some(slapd) = Slapd::start() else { return };
    let directory = at(&slapd, &slapd.tls("localhost"), SEARCH);
    let (mut there, mut not_there) = (Vec::new(), Vec::new());
    for number in 0..10 {
        there.push(rejected_within(&directory, "ada").await);
        let nobody = format!("nobody{number}");
        not_there.push(rejected_within(&directory, &nobody).await);
    }
    let (there, not_there) = (median(there), median(not_there));
    let bound = NOISE.max(there.min(not_there) / 2);
    assert!(there.abs_diff(not_there) < bound, "{there:?} {not_there:?}");
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
