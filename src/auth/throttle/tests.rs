//! The delays, on a clock of the test's own.
//! It must not sleep.

use proptest::prelude::*;

use super::*;

fn http<'a>(user: &'a str, source: &'a str) -> Try<'a> {
    Try {
        user,
        source,
        socket: false,
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Fails `times` times, waiting as told, and returns the moment after and what was waited.
fn fail(
    throttle: &mut Throttle,
    attempt: Try<'_>,
    times: usize,
    start: Instant,
) -> (Instant, Vec<Duration>) {
    let (mut now, mut waits) = (start, Vec::new());
    for _ in 0..times {
        let ticket = match throttle.admit(attempt, now) {
            Ok(ticket) => {
                waits.push(Duration::ZERO);
                ticket
            }
            Err(wait) => {
                waits.push(wait);
                now += wait;
                throttle.admit(attempt, now).unwrap()
            }
        };
        throttle.failed(&ticket, now);
    }
    (now, waits)
}

#[test]
fn three_failures_are_free_and_then_the_delay_doubles_up_to_eight_seconds() {
    let mut throttle = Throttle::default();
    let (_, waits) = fail(&mut throttle, http("ada", "10.0.0.1"), 10, Instant::now());
    let expected = [0, 0, 0, 500, 1000, 2000, 4000, 8000, 8000, 8000].map(ms);
    assert_eq!(waits, expected);
}

#[test]
fn the_delay_of_a_user_from_elsewhere_is_at_most_five_seconds_and_none_on_the_socket() {
    let mut throttle = Throttle::default();
    let (now, _) = fail(&mut throttle, http("ada", "10.0.0.1"), 12, Instant::now());
    let wait = throttle.admit(http("ada", "10.0.0.2"), now).unwrap_err();
    assert_eq!(wait, ms(5000));
    let socket = Try {
        user: "ada",
        source: "uid 0",
        socket: true,
    };
    assert!(throttle.admit(socket, now).is_ok());
}

#[test]
fn a_user_guessed_at_from_many_sources_is_slowed_as_one() {
    let mut throttle = Throttle::default();
    let now = Instant::now();
    let sources = (0..100).map(|number| format!("10.0.0.{number}"));
    let admitted = sources.filter(|source| throttle.admit(http("ada", source), now).is_ok());
    assert_eq!(admitted.count(), 3);
}

#[test]
fn attempts_at_the_same_time_do_not_slip_through_together() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    let attempts = (0..1000).map(|_| throttle.admit(http("ada", "10.0.0.1"), now));
    assert_eq!(attempts.filter(Result::is_ok).count(), 3);
}

#[test]
fn a_source_that_failed_twenty_times_waits_one_second_each_time_until_a_minute_is_over() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    for number in 0..20 {
        let user = format!("user{number}");
        assert!(throttle.admit(http(&user, "10.0.0.1"), now).is_ok());
    }
    let wait = throttle.admit(http("bob", "10.0.0.1"), now).unwrap_err();
    assert_eq!(wait, SOURCE_CAP);
    assert!(throttle.admit(http("bob", "10.0.0.2"), now).is_ok());
    assert!(
        throttle
            .admit(http("eve", "10.0.0.1"), now + SOURCE_CAP)
            .is_ok()
    );
    let later = now + SOURCE_WINDOW;
    for user in ["a", "b", "c"] {
        assert!(throttle.admit(http(user, "10.0.0.1"), later).is_ok());
    }
}

#[test]
fn somebody_at_their_usual_place_does_not_wait_for_the_failures_of_others() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    let ticket = throttle.admit(http("bob", "10.0.0.1"), now).unwrap();
    throttle.succeeded(&ticket, now);
    for number in 0..30 {
        let _ = throttle.admit(http(&format!("user{number}"), "10.0.0.1"), now);
    }
    let (now, _) = fail(&mut throttle, http("bob", "10.6.6.6"), 9, now);
    assert!(throttle.admit(http("bob", "10.0.0.1"), now).is_ok());
    assert!(throttle.admit(http("bob", "10.0.0.9"), now).is_err());
}

#[test]
fn another_spelling_of_a_name_is_no_other_user() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    for user in ["ada lee", "ADA Lee", " ada  lee "] {
        assert!(throttle.admit(http(user, "10.0.0.1"), now).is_ok());
    }
    assert!(throttle.admit(http("Ada LEE", "10.0.0.1"), now).is_err());
}

#[test]
fn what_nobody_could_tell_is_no_failure_of_the_user() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    for _ in 0..10 {
        let ticket = throttle.admit(http("ada", "10.0.0.1"), now).unwrap();
        throttle.withdraw(&ticket);
    }
}

#[test]
fn a_failure_is_forgotten_after_a_quarter_of_an_hour() {
    let mut throttle = Throttle::default();
    let (now, _) = fail(&mut throttle, http("ada", "10.0.0.1"), 9, Instant::now());
    let (_, waits) = fail(&mut throttle, http("ada", "10.0.0.1"), 4, now + FORGET);
    assert_eq!(waits, [0, 0, 0, 500].map(ms));
}

#[test]
fn what_is_remembered_is_bounded_and_the_one_that_tried_longest_ago_is_forgotten() {
    let bound = NonZero::new(8).unwrap();
    let mut throttle = Throttle::remembering(bound);
    let (now, _) = fail(&mut throttle, http("ada", "a"), 5, Instant::now());
    let (now, _) = fail(&mut throttle, http("bob", "b"), 5, now);
    for number in 0..7 {
        let name = format!("n{number}");
        assert!(throttle.admit(http(&name, &name), now).is_ok());
    }
    assert_eq!((throttle.pairs.len(), throttle.users.len()), (8, 8));
    assert!(throttle.admit(http("bob", "b"), now).is_err());
    assert!(throttle.admit(http("ada", "a"), now).is_ok());
    assert_eq!(Throttle::default().pairs.cap().get(), 8192);
}

#[derive(Clone, Copy, Debug)]
enum Ends {
    Fails,
    Succeeds,
    Unknown,
}

proptest! {
    #[test]
    fn no_delay_exceeds_its_cap_and_a_success_resets(
        steps in prop::collection::vec((0..3u8, 0..3u8, 0..12_000u64, 0..8u8), 1..200),
    ) {
        let (mut throttle, mut now) = (Throttle::default(), Instant::now());
        for (user, source, later, ends) in steps {
            now += ms(later);
            let (user, source) = (format!("u{user}"), format!("s{source}"));
            let socket = source == "s0";
            let attempt = Try { user: &user, source: &source, socket };
            let ticket = match throttle.admit(attempt, now) {
                Ok(ticket) => ticket,
                Err(wait) => {
                    prop_assert!(!wait.is_zero() && wait <= PAIR_CAP);
                    // Alone, whoever waits as told is let in.
                    now += wait;
                    throttle.admit(attempt, now).unwrap()
                }
            };
            let ends = [Ends::Succeeds, Ends::Unknown].get(usize::from(ends));
            match ends.copied().unwrap_or(Ends::Fails) {
                Ends::Fails => throttle.failed(&ticket, now),
                Ends::Unknown => throttle.withdraw(&ticket),
                Ends::Succeeds => {
                    throttle.succeeded(&ticket, now);
                    let again = throttle.admit(attempt, now);
                    prop_assert!(again.is_ok());
                    throttle.withdraw(&again.unwrap());
                }
            }
            let fresh = Try { user: &user, source: "elsewhere", socket: false };
            if let Err(wait) = throttle.admit(fresh, now) {
                prop_assert!(wait <= PAIR_CAP);
            }
            let foreign = Try { user: "somebody", source: &source, socket };
            if let Err(wait) = throttle.admit(foreign, now) {
                prop_assert!(wait <= PAIR_CAP);
            }
            prop_assert!(throttle.source_wait(ticket.source, now) <= SOURCE_CAP);
            let user = ticket.user.and_then(|user| throttle.users.get(&user));
            let wait = user.map_or(Duration::ZERO, |user| user.wait(USER_CAP, now));
            prop_assert!(wait <= USER_CAP);
        }
    }
}

#[test]
fn a_name_that_a_directory_takes_for_another_has_its_delays() {
    for name in [
        "ZO\u{cb}",
        "zoe\u{308}",
        "\u{ff5a}\u{ff4f}\u{eb}",
        " z o e ",
        "zo\u{ad}e\u{200b}",
        "zo\u{212f}",
    ] {
        assert_eq!(folded(name), "zoe", "{name:?}");
    }
    for name in ["zo", "zoee", "z-oe", "zo\u{3b5}", ""] {
        assert_ne!(folded(name), "zoe", "{name:?}");
    }
}
