//! The backends in their order: builds them by kind, and asks one after the other.
//! It must not know what any of them asks in turn.

use std::{sync::Arc, time::Duration};

use super::{
    Authenticator, Credentials, Outcome, Steps,
    local::{Local, User},
};

/// A kind of backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The users of the settings.
    Local,
}

/// What happens when a backend cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// Then nobody can.
    #[default]
    None,
    /// The next one is asked.
    Next,
}

/// What came of asking them.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    /// The one that said so.
    pub(super) by: &'static str,
}

/// The backends.
#[derive(Debug)]
pub(super) struct Backends {
    ordered: Vec<Arc<dyn Authenticator>>,
    fallback: Fallback,
    deadline: Duration,
}

/// Builds the backend of this kind.
fn build(kind: Backend, users: &[User]) -> Result<Arc<dyn Authenticator>, Vec<String>> {
    match kind {
        Backend::Local => Ok(Arc::new(Local::new(users)?)),
    }
}

impl Backends {
    pub(super) fn new(
        kinds: &[Backend],
        users: &[User],
        fallback: Fallback,
        deadline: Duration,
    ) -> Result<Self, Vec<String>> {
        let (mut ordered, mut problems) = (Vec::new(), Vec::new());
        for kind in kinds {
            match build(*kind, users) {
                Ok(backend) => ordered.push(backend),
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self::of(ordered, fallback, deadline))
    }

    pub(super) fn of(
        ordered: Vec<Arc<dyn Authenticator>>,
        fallback: Fallback,
        deadline: Duration,
    ) -> Self {
        Self {
            ordered,
            fallback,
            deadline,
        }
    }

    pub(super) fn find(&self, kind: &str) -> Option<&dyn Authenticator> {
        let mut ordered = self.ordered.iter().map(AsRef::as_ref);
        ordered.find(|backend| backend.kind() == kind)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &dyn Authenticator> {
        self.ordered.iter().map(AsRef::as_ref)
    }

    /// Asks them, within the deadline for all of them together, and tells `steps` what each said.
    pub(super) async fn authenticate(&self, credentials: &Credentials, steps: &Steps) -> Verdict {
        let asked = tokio::time::timeout(self.deadline, self.ask(credentials, steps));
        let late = |_| {
            let reason = "no answer within the time for a log-in".to_owned();
            unavailable("pointsman", reason)
        };
        asked.await.unwrap_or_else(late)
    }

    async fn ask(&self, credentials: &Credentials, steps: &Steps) -> Verdict {
        let mut silent = unavailable("pointsman", "nobody may log in".to_owned());
        for backend in self.iter() {
            let by = backend.kind();
            let outcome = backend.authenticate(credentials, steps).await;
            steps.tell(|| format!("{by}: {}", outcome.sentence()));
            match outcome {
                Outcome::Unavailable(reason) => silent = unavailable(by, reason),
                outcome @ (Outcome::Accepted(_) | Outcome::Rejected(_) | Outcome::Challenge(_)) => {
                    return Verdict { outcome, by };
                }
            }
            if self.fallback == Fallback::None {
                break;
            }
        }
        silent
    }
}

fn unavailable(by: &'static str, reason: String) -> Verdict {
    Verdict {
        outcome: Outcome::Unavailable(reason),
        by,
    }
}
