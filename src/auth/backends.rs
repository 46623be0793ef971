//! The backends in their order: builds them by kind, and asks one after the other.
//! It must not know what any of them asks in turn.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    Accepted, Authenticator, Credentials, Outcome, Steps, Vouched,
    local::{Local, User},
    presence::Member,
};
use crate::model::principal::Door;

/// In whose name local users are let in while every directory is away.
pub const BREAK_GLASS: &str = "break-glass";
/// What is left of the time for a log-in when directories have had theirs: to see whether anybody
/// is there at all, and to verify a password here.
const RESERVE: Duration = Duration::from_secs(4);
/// How long a rejection by a directory takes at least. A server may take longer about a name that
/// it knows, because it hashes the password that was shown, or writes the failure down.
pub(super) const LEAST: Duration = Duration::from_millis(500);

/// A kind of backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A directory that speaks LDAP.
    Ldap,
    /// Servers that speak RADIUS.
    Radius,
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
    /// The next directory is asked. While all of them are away, the local users are let in, and
    /// at no other time.
    LocalBreakGlass,
}

/// What came of asking them.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    /// The one that said so.
    pub(super) by: &'static str,
    /// Why local users were asked, where only that made it possible.
    pub(super) away: Option<String>,
}

impl Verdict {
    pub(super) fn of(by: &'static str, outcome: Outcome) -> Self {
        Self {
            outcome,
            by,
            away: None,
        }
    }
}

/// How they are asked.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub(super) fallback: Fallback,
    /// The doors on which local users are let in while every directory is away.
    pub(super) break_glass_doors: Vec<Door>,
    /// For a whole log-in.
    pub(super) deadline: Duration,
}

/// The backends.
#[derive(Debug)]
pub(super) struct Backends {
    ordered: Vec<Member>,
    /// The local users, where they are only for when every directory is away.
    spare: Option<Member>,
    /// Who is asked again about somebody for whom RADIUS vouched.
    again: Option<Arc<dyn Authenticator>>,
    manner: Manner,
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Self::Ldap => "ldap",
            Self::Radius => "radius",
            Self::Local => "local",
        }
    }
}

/// The backend of this kind: the local users, or the one of `directories` that is of it.
fn build(
    kind: Backend,
    users: &[User],
    directories: &[Arc<dyn Authenticator>],
) -> Result<Arc<dyn Authenticator>, Vec<String>> {
    match kind {
        Backend::Local => Ok(Arc::new(Local::new(users)?)),
        Backend::Ldap | Backend::Radius => {
            let name = kind.name();
            let mut directories = directories.iter();
            let found = directories.find(|directory| directory.kind() == name);
            let none = || vec![format!("there is no [auth.{name}]")];
            found.cloned().ok_or_else(none)
        }
    }
}

impl Backends {
    pub(super) fn new(
        kinds: &[Backend],
        users: &[User],
        directories: &[Arc<dyn Authenticator>],
        manner: Manner,
    ) -> Result<Self, Vec<String>> {
        let (mut ordered, mut problems) = (Vec::new(), Vec::new());
        for kind in kinds {
            match build(*kind, users, directories) {
                Ok(backend) => ordered.push(backend),
                Err(found) => problems.extend(found),
            }
        }
        if manner.fallback == Fallback::LocalBreakGlass && !kinds.contains(&Backend::Local) {
            match build(Backend::Local, users, directories) {
                Ok(backend) => ordered.push(backend),
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self::of(ordered, manner))
    }

    pub(super) fn of(ordered: Vec<Arc<dyn Authenticator>>, manner: Manner) -> Self {
        let spared = |backend: &Arc<dyn Authenticator>| {
            manner.fallback == Fallback::LocalBreakGlass && backend.kind() == "local"
        };
        let (spare, ordered): (Vec<_>, Vec<_>) = ordered.into_iter().partition(spared);
        Self {
            ordered: ordered.into_iter().map(Member::new).collect(),
            spare: spare.into_iter().next().map(Member::new),
            again: None,
            manner,
        }
    }

    /// From now on `directory` is asked again about somebody for whom RADIUS vouched.
    #[must_use]
    pub(super) fn asking_again(mut self, directory: Option<Arc<dyn Authenticator>>) -> Self {
        self.again = directory;
        self
    }

    /// Whoever vouches in this name.
    pub(super) fn find(&self, by: &str) -> Option<&Member> {
        match by {
            BREAK_GLASS => self.spare.as_ref(),
            by => self.ordered.iter().find(|member| member.kind() == by),
        }
    }

    /// Those who are asked in their order, and the local users that may be let in besides.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.ordered.iter().chain(&self.spare)
    }

    /// Who is asked again about somebody for whom `by` vouched; `None`: nobody can be.
    fn asked_again(&self, by: &str) -> Option<&Arc<dyn Authenticator>> {
        match by {
            "radius" => self.again.as_ref(),
            _ => None,
        }
    }

    /// Asks them, within the deadline for all of them together, and tells `steps` what each said.
    pub(super) async fn authenticate(
        &self,
        credentials: &Credentials,
        door: Door,
        steps: &Steps,
    ) -> Verdict {
        let start = Instant::now();
        let asked = timeout_at(
            start + self.manner.deadline,
            self.ask(credentials, door, steps),
        );
        let verdict = asked.await.unwrap_or_else(|_| late());
        evened_out(verdict, start).await
    }

    /// Until when directories may answer what is asked now.
    fn end_of_directories(&self) -> Instant {
        let deadline = self.manner.deadline;
        Instant::now() + (deadline - RESERVE.min(deadline / 2))
    }

    /// Puts the answer to a question to the one who asked it, and nobody else.
    pub(super) async fn answer(
        &self,
        by: &str,
        credentials: &Credentials,
        steps: &Steps,
    ) -> Verdict {
        let Some(member) = self.find(by) else {
            let because = "whoever asked is gone".to_owned();
            return Verdict::of("pointsman", Outcome::Rejected(because));
        };
        let (start, end) = (Instant::now(), self.end_of_directories());
        let outcome = member.authenticate(credentials, end, steps).await;
        let outcome = self.completed(member.kind(), outcome, end, steps).await;
        evened_out(Verdict::of(member.kind(), outcome), start).await
    }

    async fn ask(&self, credentials: &Credentials, door: Door, steps: &Steps) -> Verdict {
        let end = self.end_of_directories();
        let mut silent = nobody();
        for (index, member) in self.ordered.iter().enumerate() {
            let left = end.saturating_duration_since(Instant::now());
            // Whoever comes later is to have some of the time too.
            let last = index + 1 == self.ordered.len() || self.manner.fallback == Fallback::None;
            let until = if last { end } else { end - left / 2 };
            let by = member.kind();
            let outcome = member.authenticate(credentials, until, steps).await;
            let outcome = self.completed(by, outcome, until, steps).await;
            steps.tell(|| format!("{by}: {}", outcome.sentence()));
            if !matches!(outcome, Outcome::Unavailable(_)) {
                return Verdict::of(by, outcome);
            }
            silent = Verdict::of(by, outcome);
            if self.manner.fallback == Fallback::None {
                break;
            }
        }
        match &self.spare {
            Some(spare) if self.manner.break_glass_doors.contains(&door) => {
                self.break_glass(spare, credentials, silent, steps).await
            }
            Some(_) | None => silent,
        }
    }

    /// Asks the local users, if really every directory is away: that one of them could not tell
    /// about this person does not suffice.
    async fn break_glass(
        &self,
        spare: &Member,
        credentials: &Credentials,
        silent: Verdict,
        steps: &Steps,
    ) -> Verdict {
        let mut away = Vec::new();
        for member in &self.ordered {
            match member.answers().await {
                Ok(()) => {
                    let by = member.kind();
                    steps.tell(|| format!("{by} is there: no local user is let in"));
                    return silent;
                }
                Err(reason) => away.push(format!("{}: {reason}", member.kind())),
            }
        }
        let away = format!("every directory is away ({})", away.join("; "));
        steps.tell(|| format!("{away}: local users are asked"));
        let end = Instant::now() + self.manner.deadline;
        let outcome = spare.authenticate(credentials, end, steps).await;
        steps.tell(|| format!("{BREAK_GLASS}: {}", outcome.sentence()));
        // Of who is no local user only a directory could say that they are not to come in.
        if !spare.knows(&credentials.user) {
            return silent;
        }
        Verdict {
            outcome,
            by: BREAK_GLASS,
            away: Some(away),
        }
    }

    /// What `by` said, and where another directory is asked again about its people, what that one
    /// knows of them.
    async fn completed(&self, by: &str, outcome: Outcome, end: Instant, steps: &Steps) -> Outcome {
        match (outcome, self.asked_again(by)) {
            (Outcome::Accepted(accepted), Some(directory)) => {
                let known = timeout_at(end, directory.look_up(&accepted.user, steps)).await;
                with_groups(known.unwrap_or_else(|_| late().outcome), accepted)
            }
            (outcome, _) => outcome,
        }
    }

    /// Asks again about somebody for whom `by` vouched.
    pub(super) async fn recheck(&self, by: &str, vouched: &Vouched) -> Outcome {
        let (end, steps) = (self.end_of_directories(), Steps::unheard());
        if by == BREAK_GLASS && self.any_answers(false).await {
            return Outcome::Rejected("a directory answers again".to_owned());
        }
        if let Some(directory) = self.asked_again(by) {
            let known = timeout_at(end, directory.look_up(&vouched.user, &steps)).await;
            let accepted = Accepted {
                values: vouched.values.clone(),
                voucher: vouched.voucher.clone(),
                ..Accepted::named(&vouched.user)
            };
            return with_groups(known.unwrap_or_else(|_| late().outcome), accepted);
        }
        match self.find(by) {
            Some(member) => member.recheck(vouched, end, &steps).await,
            None => Outcome::Rejected(format!("{by} vouches for nobody any more")),
        }
    }

    /// Whether `by` cannot be asked again at all about those for whom it vouched.
    pub(super) fn says_it_once(&self, by: &str) -> bool {
        by == "radius" && self.again.is_none()
    }

    /// Whether any directory is there. `afresh` asks also those that were away a moment ago.
    pub(super) async fn any_answers(&self, afresh: bool) -> bool {
        let mut any = false;
        for member in self
            .ordered
            .iter()
            .filter(|member| member.kind() != "local")
        {
            let answers = match afresh {
                true => member.look().await,
                false => member.answers().await,
            };
            any |= answers.is_ok();
        }
        any
    }

    /// Looks whether those that were away are back.
    pub(super) async fn look_after_the_absent(&self) {
        for member in self.ordered.iter().filter(|member| member.is_away()) {
            // What came of it is remembered there.
            let _ = member.look().await;
        }
    }
}

/// `accepted`, in the groups that another directory knows, if it knows them at all.
fn with_groups(known: Outcome, accepted: Accepted) -> Outcome {
    match known {
        Outcome::Accepted(Accepted { groups, .. }) => {
            Outcome::Accepted(Accepted { groups, ..accepted })
        }
        other @ (Outcome::Rejected(_) | Outcome::Unavailable(_) | Outcome::Challenge(_)) => other,
    }
}

/// `verdict` on what was asked at `start`, no sooner than who is there may show. Local users are
/// told from nobody by no time at all.
async fn evened_out(verdict: Verdict, start: Instant) -> Verdict {
    if matches!(verdict.outcome, Outcome::Rejected(_)) && verdict.by != "local" {
        sleep_until(start + LEAST).await;
    }
    verdict
}

fn late() -> Verdict {
    let reason = "no answer within the time for a log-in".to_owned();
    Verdict::of("pointsman", Outcome::Unavailable(reason))
}

fn nobody() -> Verdict {
    let reason = "nobody may log in".to_owned();
    Verdict::of("pointsman", Outcome::Unavailable(reason))
}
