//! Questions in return, as they are put to people: each with a handle of ours.
//! It must not hand out what a backend needs to go on, nor keep a handle itself.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use super::{Challenge, digest, login::Attempt, login::Source};
use crate::model::principal::Door;

/// How long an answer is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How many questions may be open; past that the oldest is forgotten.
const BOUND: usize = 1000;

/// A question that is open.
#[derive(Debug)]
struct Open {
    /// Of the handle.
    digest: [u8; 32],
    user: String,
    door: Door,
    source: Source,
    key: Option<[u8; 32]>,
    ends: Instant,
    asked: Asked,
}

/// Who asked, and what they need to go on.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) by: &'static str,
    pub(super) state: SecretString,
}

/// The open ones, oldest first.
#[derive(Debug, Default)]
pub(super) struct Questions(VecDeque<Open>);

impl Questions {
    /// The question of `by` as it is put to whoever made `attempt`.
    pub(super) fn ask(
        &mut self,
        by: &'static str,
        challenge: Challenge,
        attempt: &Attempt,
        now: Instant,
    ) -> Challenge {
        let handle = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        self.0.retain(|open| now < open.ends);
        if self.0.len() >= BOUND {
            self.0.pop_front();
        }
        self.0.push_back(Open {
            digest: digest(&handle),
            user: attempt.credentials.user.clone(),
            door: attempt.door,
            source: attempt.source.clone(),
            key: attempt.key,
            ends: now + PATIENCE,
            asked: Asked {
                by,
                state: challenge.state,
            },
        });
        Challenge {
            message: challenge.message,
            state: handle.into(),
        }
    }

    /// The question that `handle` belongs to, which nobody can answer any more after this: not
    /// even who was asked, if somebody else tried before them.
    pub(super) fn take(
        &mut self,
        handle: &SecretString,
        attempt: &Attempt,
        now: Instant,
    ) -> Option<Asked> {
        let digest = digest(handle.expose_secret());
        let index = self.0.iter().position(|open| open.digest == digest)?;
        let open = self.0.remove(index)?;
        let same = open.user == attempt.credentials.user
            && open.door == attempt.door
            && open.source == attempt.source
            && open.key == attempt.key;
        (same && now < open.ends).then_some(open.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(user: &str, door: Door, from: &str) -> Attempt {
        let source = Source::Address(from.parse().unwrap());
        Attempt::with_password(user, "x".into(), door, source)
    }

    fn ada() -> Attempt {
        attempt("ada", Door::Http, "10.0.0.1")
    }

    fn asked(questions: &mut Questions, now: Instant) -> SecretString {
        let challenge = Challenge {
            message: "code?".to_owned(),
            state: "theirs".into(),
        };
        let put = questions.ask("radius", challenge, &ada(), now);
        assert_eq!(put.message, "code?");
        put.state
    }

    #[test]
    fn an_answer_is_taken_once_from_who_was_asked() {
        let (mut questions, now) = (Questions::default(), Instant::now());
        let handle = asked(&mut questions, now);
        assert_eq!(handle.expose_secret().len(), 43);
        let open = questions.take(&handle, &ada(), now).unwrap();
        assert_eq!((open.by, open.state.expose_secret()), ("radius", "theirs"));
        assert!(questions.take(&handle, &ada(), now).is_none());
    }

    #[test]
    fn an_answer_from_anybody_or_anywhere_else_uses_the_question_up() {
        for other in [
            attempt("eve", Door::Http, "10.0.0.1"),
            attempt("ada", Door::Socket, "10.0.0.1"),
            attempt("ada", Door::Http, "10.0.0.2"),
        ] {
            let (mut questions, now) = (Questions::default(), Instant::now());
            let handle = asked(&mut questions, now);
            assert!(questions.take(&handle, &other, now).is_none());
            assert!(questions.take(&handle, &ada(), now).is_none());
        }
    }

    #[test]
    fn a_question_is_open_for_a_minute() {
        let (mut questions, now) = (Questions::default(), Instant::now());
        let handle = asked(&mut questions, now);
        assert!(questions.take(&handle, &ada(), now + PATIENCE).is_none());
        let handle = asked(&mut questions, now);
        let late = now + PATIENCE - Duration::from_millis(1);
        assert!(questions.take(&handle, &ada(), late).is_some());
    }

    #[test]
    fn open_questions_are_bounded_and_other_handles_are_unknown() {
        let (mut questions, now) = (Questions::default(), Instant::now());
        let first = asked(&mut questions, now);
        for _ in 0..BOUND {
            asked(&mut questions, now);
        }
        assert_eq!(questions.0.len(), BOUND);
        assert!(questions.take(&first, &ada(), now).is_none());
        for wrong in ["", "theirs", &"A".repeat(43)] {
            assert!(questions.take(&wrong.into(), &ada(), now).is_none());
        }
        assert_eq!(questions.0.len(), BOUND);
    }
}
