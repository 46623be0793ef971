//! The guard before every backend, and the order in which backends are asked.
//! It must not need a real directory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    backends::{Backends, Fallback},
    *,
};

/// A backend that always says the same, and counts how often.
#[derive(Debug)]
struct Scripted {
    kind: &'static str,
    says: fn() -> Outcome,
    asked: Arc<AtomicUsize>,
}

impl Authenticator for Scripted {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn authenticate<'a>(&'a self, _credentials: &'a Credentials, _: &'a Steps) -> Answering<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready((self.says)()))
    }

    fn recheck<'a>(&'a self, _vouched: &'a Vouched, _: &'a Steps) -> Answering<'a> {
        Box::pin(std::future::ready((self.says)()))
    }

    fn explain(&self, _user: &str) -> Vec<String> {
        Vec::new()
    }
}

fn accept() -> Outcome {
    Outcome::Accepted(Accepted::named("ada"))
}

fn reject() -> Outcome {
    Outcome::Rejected("no".to_owned())
}

fn away() -> Outcome {
    Outcome::Unavailable("away".to_owned())
}

fn credentials(user: &str, password: &str) -> Credentials {
    Credentials {
        user: user.to_owned(),
        proof: Proof::Password(password.into()),
    }
}

async fn ask(
    first: fn() -> Outcome,
    second: fn() -> Outcome,
    fallback: Fallback,
) -> (Outcome, usize) {
    let asked = Arc::new(AtomicUsize::new(0));
    let backend = |kind, says| -> Arc<dyn Authenticator> {
        let asked = Arc::clone(&asked);
        Arc::new(Scripted { kind, says, asked })
    };
    let ordered = vec![backend("first", first), backend("second", second)];
    let backends = Backends::of(ordered, fallback, Duration::from_secs(1));
    let verdict = backends
        .authenticate(&credentials("ada", "secret"), &Steps::kept())
        .await;
    (verdict.outcome, asked.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_rejection_is_final_and_only_who_cannot_tell_is_passed_over() {
    let (outcome, asked) = ask(reject, accept, Fallback::Next).await;
    assert!(matches!(outcome, Outcome::Rejected(_)) && asked == 1);
    let (outcome, asked) = ask(away, accept, Fallback::None).await;
    assert!(matches!(outcome, Outcome::Unavailable(_)) && asked == 1);
    let (outcome, asked) = ask(away, accept, Fallback::Next).await;
    assert!(matches!(outcome, Outcome::Accepted(_)) && asked == 2);
    let (outcome, asked) = ask(away, away, Fallback::Next).await;
    assert!(matches!(outcome, Outcome::Unavailable(_)) && asked == 2);
}

#[tokio::test]
async fn with_no_backend_nobody_can_tell() {
    let backends = Backends::of(Vec::new(), Fallback::Next, Duration::from_secs(1));
    let verdict = backends
        .authenticate(&credentials("ada", "secret"), &Steps::kept())
        .await;
    assert!(matches!(verdict.outcome, Outcome::Unavailable(_)));
}

#[tokio::test]
async fn the_steps_say_what_each_backend_answered() {
    let scripted = |kind, says| -> Arc<dyn Authenticator> {
        let asked = Arc::default();
        Arc::new(Scripted { kind, says, asked })
    };
    let ordered = vec![scripted("first", away), scripted("second", accept)];
    let backends = Backends::of(ordered, Fallback::Next, Duration::from_secs(1));
    let steps = Steps::kept();
    backends
        .authenticate(&credentials("ada", "secret"), &steps)
        .await;
    let told = steps.told();
    assert_eq!(
        told,
        ["first: unavailable: away", "second: accepted as ada"]
    );
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
