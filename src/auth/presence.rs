//! A backend, and whether anybody is there: one that was away a moment ago is not waited for.
//! It must not take what a single person's log-in came to for a sign that a directory is away.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};

use super::{Answering, Authenticator, Credentials, Outcome, Steps, Vouched, rules::Rights};

/// How long it counts that a backend was away; meanwhile somebody else looks whether it is back.
const REMEMBERED: Duration = Duration::from_secs(10);
/// How long the question may take whether anybody is there.
const LOOK: Duration = Duration::from_secs(2);

/// How many log-ins one backend is asked about at once, and how many logins again beside them;
/// others wait, as long as a log-in may take.
const AT_ONCE: usize = 16;

/// A backend.
pub(super) struct Member {
    backend: Arc<dyn Authenticator>,
    log_ins: Semaphore,
    again: Semaphore,
    /// When and why it was found to be away.
    away: Mutex<Option<(Instant, String)>>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.backend.fmt(f)
    }
}

impl Member {
    pub(super) fn new(backend: Arc<dyn Authenticator>) -> Self {
        Self {
            backend,
            log_ins: Semaphore::new(AT_ONCE),
            again: Semaphore::new(AT_ONCE),
            away: Mutex::default(),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        self.backend.kind()
    }

    pub(super) fn stands(&self, vouched: &Vouched) -> bool {
        self.backend.stands(vouched)
    }

    /// As [`Authenticator::knows`].
    pub(super) fn knows(&self, user: &str) -> bool {
        self.backend.knows(user)
    }

    /// As [`Authenticator::own_rights`].
    pub(super) fn own_rights(&self, user: &str) -> Option<Rights> {
        self.backend.own_rights(user)
    }

    /// As [`Authenticator::look_up`], unless it is away.
    pub(super) async fn look_up(&self, user: &str, end: Instant, steps: &Steps) -> Outcome {
        let asked = self.backend.look_up(user, steps);
        self.ask(asked, &self.again, end, steps).await
    }

    /// As [`Authenticator::authenticate`], unless it is away; until `end`.
    pub(super) async fn authenticate(
        &self,
        credentials: &Credentials,
        end: Instant,
        steps: &Steps,
    ) -> Outcome {
        let asked = self.backend.authenticate(credentials, steps);
        self.ask(asked, &self.log_ins, end, steps).await
    }

    /// As [`Authenticator::recheck`], unless it is away; until `end`.
    pub(super) async fn recheck(&self, vouched: &Vouched, end: Instant, steps: &Steps) -> Outcome {
        let asked = self.backend.recheck(vouched, steps);
        self.ask(asked, &self.again, end, steps).await
    }

    async fn ask(
        &self,
        asked: Answering<'_>,
        turns: &Semaphore,
        end: Instant,
        steps: &Steps,
    ) -> Outcome {
        if let Some(reason) = self.known_away() {
            steps.tell(|| format!("{} was away a moment ago: {reason}", self.kind()));
            return Outcome::Unavailable(reason);
        }
        let in_turn = async {
            // It is never closed.
            let _turn = turns.acquire().await;
            asked.await
        };
        let outcome = timeout_at(end, in_turn).await.unwrap_or_else(|_| {
            Outcome::Unavailable(format!("{} did not answer in time", self.kind()))
        });
        match &outcome {
            Outcome::Unavailable(_) => {
                // What came of it is remembered.
                let _ = self.look().await;
            }
            Outcome::Accepted(_) | Outcome::Rejected(_) | Outcome::Challenge(_) => self.note(None),
        }
        outcome
    }

    /// Whether anybody is there; who was away a moment ago is not asked.
    ///
    /// # Errors
    /// Why it seems that nobody is.
    pub(super) async fn answers(&self) -> Result<(), String> {
        match self.known_away() {
            Some(reason) => Err(reason),
            None => self.look().await,
        }
    }

    /// Asks whether anybody is there.
    ///
    /// # Errors
    /// Why it seems that nobody is.
    pub(super) async fn look(&self) -> Result<(), String> {
        let late = |_| Err(format!("{} does not answer", self.kind()));
        let answers = timeout(LOOK, self.backend.answers())
            .await
            .unwrap_or_else(late);
        self.note(answers.as_ref().err().cloned());
        answers
    }

    /// Whether it was away when it was last seen to, however long ago.
    pub(super) fn is_away(&self) -> bool {
        self.away().is_some()
    }

    fn known_away(&self) -> Option<String> {
        let away = self.away();
        let (since, reason) = away.as_ref()?;
        (since.elapsed() < REMEMBERED).then(|| reason.clone())
    }

    fn note(&self, away: Option<String>) {
        let (mut noted, directory) = (self.away(), self.kind());
        match (noted.is_some(), &away) {
            (false, Some(reason)) => tracing::warn!(%directory, %reason, "a directory is away"),
            (true, None) => tracing::info!(%directory, "a directory is back"),
            (true, Some(_)) | (false, None) => {}
        }
        *noted = away.map(|reason| (Instant::now(), reason));
    }

    fn away(&self) -> std::sync::MutexGuard<'_, Option<(Instant, String)>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
