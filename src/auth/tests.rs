//! The guard before every backend, and the order in which backends are asked.
//! It must not need a real directory.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    backends::{BREAK_GLASS, Backends, Fallback, Manner, Verdict},
    *,
};
use crate::model::principal::Door;

/// A directory that says what it is told to, and counts how often it is asked.
#[derive(Debug)]
pub(super) struct Scripted {
    kind: &'static str,
    says: Mutex<fn() -> Outcome>,
    there: AtomicBool,
    hangs: AtomicBool,
    asked: AtomicUsize,
}

impl Scripted {
    pub(super) fn new(kind: &'static str, says: fn() -> Outcome) -> Arc<Self> {
        Arc::new(Self {
            kind,
            says: Mutex::new(says),
            there: AtomicBool::new(true),
            hangs: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
        })
    }

    pub(super) fn now_says(&self, says: fn() -> Outcome) {
        *self.says.lock().unwrap() = says;
    }

    /// Whether it is there at all; where not, it cannot tell either.
    pub(super) fn is_there(&self, there: bool) {
        self.there.store(there, Ordering::Relaxed);
    }

    /// It takes what it is asked, and never answers.
    pub(super) fn hang(&self) {
        self.hangs.store(true, Ordering::Relaxed);
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn say(&self) -> Answering<'_> {
        Box::pin(async {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            let says = *self.says.lock().unwrap();
            match self.there.load(Ordering::Relaxed) {
                true => says(),
                false => away(),
            }
        })
    }
}

impl Authenticator for Scripted {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn authenticate<'a>(&'a self, _: &'a Credentials, _: &'a Steps) -> Answering<'a> {
        self.say()
    }

    fn recheck<'a>(&'a self, _: &'a Vouched, _: &'a Steps) -> Answering<'a> {
        self.say()
    }

    fn look_up<'a>(&'a self, _: &'a str, _: &'a Steps) -> Answering<'a> {
        self.say()
    }

    fn knows(&self, _: &str) -> bool {
        self.kind == "local"
    }

    fn answers(&self) -> Presence<'_> {
        if self.hangs.load(Ordering::Relaxed) {
            return Box::pin(std::future::pending());
        }
        let there = self.there.load(Ordering::Relaxed);
        Box::pin(std::future::ready(match there {
            true => Ok(()),
            false => Err("nobody is there".to_owned()),
        }))
    }
}

pub(super) fn accept() -> Outcome {
    Outcome::Accepted(Accepted::named("ada"))
}

pub(super) fn reject() -> Outcome {
    Outcome::Rejected("no".to_owned())
}

pub(super) fn away() -> Outcome {
    Outcome::Unavailable("away".to_owned())
}

pub(super) fn manner(fallback: Fallback) -> Manner {
    Manner {
        fallback,
        break_glass_doors: vec![Door::Socket],
        deadline: Duration::from_secs(15),
    }
}

pub(super) fn backends(ordered: &[&Arc<Scripted>], fallback: Fallback) -> Backends {
    let ordered = ordered.iter().map(|one| Arc::clone(one) as Arc<_>);
    Backends::of(ordered.collect(), manner(fallback))
}

fn credentials(user: &str, password: &str) -> Credentials {
    Credentials {
        user: user.to_owned(),
        proof: Proof::Password(password.into()),
    }
}

async fn put(backends: &Backends, door: Door) -> Verdict {
    let credentials = credentials("ada", "secret");
    backends
        .authenticate(&credentials, door, &Steps::unheard())
        .await
}

#[tokio::test]
async fn a_rejection_is_final_and_only_who_cannot_tell_is_passed_over() {
    type Says = fn() -> Outcome;
    let table: [(Says, Says, Fallback, &str, usize); 6] = [
        (reject, accept, Fallback::Next, "rejected", 1),
        (reject, accept, Fallback::LocalBreakGlass, "rejected", 1),
        (away, accept, Fallback::None, "unavailable", 1),
        (away, accept, Fallback::Next, "accepted", 2),
        (away, away, Fallback::Next, "unavailable", 2),
        (away, accept, Fallback::LocalBreakGlass, "accepted", 2),
    ];
    for (first, second, fallback, expected, asked) in table {
        let (first, second) = (
            Scripted::new("first", first),
            Scripted::new("second", second),
        );
        let verdict = put(&backends(&[&first, &second], fallback), Door::Socket).await;
        assert!(verdict.outcome.sentence().starts_with(expected));
        assert_eq!(first.asked() + second.asked(), asked);
    }
}

#[tokio::test]
async fn with_no_backend_nobody_can_tell() {
    let verdict = put(&backends(&[], Fallback::Next), Door::Http).await;
    assert!(matches!(verdict.outcome, Outcome::Unavailable(_)));
}

#[tokio::test]
async fn the_steps_say_what_each_backend_answered() {
    let (first, second) = (
        Scripted::new("first", away),
        Scripted::new("second", accept),
    );
    let backends = backends(&[&first, &second], Fallback::Next);
    let (steps, credentials) = (Steps::kept(), credentials("ada", "secret"));
    let asked = backends.authenticate(&credentials, Door::Http, &steps);
    assert_eq!(asked.await.by, "second");
    let told = steps.told();
    assert_eq!(
        told,
        ["first: unavailable: away", "second: accepted as ada"]
    );
}

#[tokio::test]
async fn local_users_are_let_in_only_where_and_while_every_directory_is_away() {
    let [ldap, radius, local] = ["ldap", "radius", "local"].map(|kind| Scripted::new(kind, accept));
    for (ldap_there, radius_there, door, by) in [
        (true, true, Door::Socket, "ldap"),
        (false, true, Door::Socket, "radius"),
        (false, false, Door::Socket, BREAK_GLASS),
        (false, false, Door::Http, "radius"),
    ] {
        ldap.is_there(ldap_there);
        radius.is_there(radius_there);
        let backends = backends(&[&ldap, &radius, &local], Fallback::LocalBreakGlass);
        let verdict = put(&backends, door).await;
        assert_eq!(verdict.by, by);
        let away = verdict.outcome.sentence().starts_with("unavailable");
        assert_eq!(away, door == Door::Http);
        assert_eq!(verdict.away.is_some(), by == BREAK_GLASS);
    }
    assert_eq!(local.asked(), 1);
}

#[tokio::test]
async fn that_a_directory_cannot_tell_about_one_person_lets_no_local_user_in() {
    let (ldap, local) = (Scripted::new("ldap", away), Scripted::new("local", accept));
    let backends = backends(&[&ldap, &local], Fallback::LocalBreakGlass);
    let verdict = put(&backends, Door::Socket).await;
    assert!(matches!(verdict.outcome, Outcome::Unavailable(_)));
    assert_eq!(local.asked(), 0);
    ldap.now_says(accept);
    assert_eq!(put(&backends, Door::Socket).await.by, "ldap");
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_hangs_is_waited_for_once_and_not_again_for_a_while() {
    let [ldap, radius, local] = ["ldap", "radius", "local"].map(|kind| Scripted::new(kind, accept));
    ldap.hang();
    radius.hang();
    let backends = backends(&[&ldap, &radius, &local], Fallback::LocalBreakGlass);
    let start = tokio::time::Instant::now();
    assert_eq!(put(&backends, Door::Socket).await.by, BREAK_GLASS);
    assert!(start.elapsed() < Duration::from_secs(15));
    let again = tokio::time::Instant::now();
    assert_eq!(put(&backends, Door::Socket).await.by, BREAK_GLASS);
    assert!(
        again.elapsed() < Duration::from_secs(3),
        "{:?}",
        again.elapsed()
    );
    assert_eq!(local.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_deadline_however_many_hang() {
    let hanging = ["one", "two", "three"].map(|kind| Scripted::new(kind, accept));
    hanging.iter().for_each(|one| one.hang());
    for fallback in [Fallback::None, Fallback::Next] {
        let backends = backends(&hanging.each_ref(), fallback);
        let start = tokio::time::Instant::now();
        let verdict = put(&backends, Door::Http).await;
        assert!(matches!(verdict.outcome, Outcome::Unavailable(_)));
        assert!(start.elapsed() <= Duration::from_secs(15));
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_is_asked_in_time_when_the_first_hangs() {
    let (ldap, radius) = (
        Scripted::new("ldap", accept),
        Scripted::new("radius", accept),
    );
    ldap.hang();
    let backends = backends(&[&ldap, &radius], Fallback::Next);
    assert_eq!(put(&backends, Door::Http).await.by, "radius");
}

#[test]
fn empty_blank_nul_bearing_and_over_long_input_reaches_no_backend() {
    let (long, longest) = ("x".repeat(257), "x".repeat(256));
    assert_eq!(credentials(&longest, &longest).check(), Ok(()));
    for bad in ["", " ", "\t\n", "\u{a0}", "\0", "ad\0a", &long] {
        assert!(credentials(bad, "secret").check().is_err());
        assert!(credentials("ada", bad).check().is_err());
        for (state, otp) in [(bad, "123"), ("state", bad)] {
            let proof = Proof::Answer {
                state: state.into(),
                otp: otp.into(),
            };
            let credentials = Credentials {
                user: "ada".to_owned(),
                proof,
            };
            let allowed = state.len() == 257;
            assert_eq!(credentials.check().is_ok(), allowed);
        }
    }
}

#[test]
fn no_debug_output_shows_a_secret() {
    let secret = "hunter2";
    let accepted = Accepted {
        voucher: secret.to_owned(),
        ..Accepted::named("ada")
    };
    let challenge = Challenge {
        message: "code?".to_owned(),
        state: secret.into(),
    };
    let proof = Proof::Answer {
        state: secret.into(),
        otp: secret.into(),
    };
    let shown = format!(
        "{accepted:?} {challenge:?} {proof:?} {:?} {:?}",
        credentials("ada", secret),
        credentials(secret, "x"),
    );
    assert!(!shown.contains(secret), "{shown}");
}
