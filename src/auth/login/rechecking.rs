//! Asking again: whether somebody who is logged in still is who they were, with which rights.
//! It must not let a change through on an answer that is older than the settings allow.

use super::{
    super::{Accepted, Vouched, backends::BREAK_GLASS, table::Held},
    Arc, Backends, Code, CommandError, Duration, Effects, Inner, Logins, Moment, Outcome,
    Principal, Record, json, rules,
};

/// How much older an answer may have become while a change waited for its turn.
const WAITED: Duration = Duration::from_secs(5);

/// Where one stands before anybody is asked.
enum Before {
    /// They were asked about lately.
    Known(Box<Principal>),
    /// Somebody is to be asked.
    Ask(Arc<Backends>, Vouched),
}

impl Logins {
    /// Asks again about `principal`, unless the last answer is younger than `recheck`, and gives
    /// them back with the rights that the rules give them now. Whoever never logged in (the
    /// daemon's own parts) has nothing to lose. A login that its backend takes back ends.
    ///
    /// Takes at most the time for a log-in. Of several at once for one login, one asks.
    ///
    /// # Errors
    /// `denied` when they have no rights any more, `unavailable` when nobody can tell.
    pub async fn recheck(
        &self,
        principal: &Principal,
    ) -> (Result<Principal, CommandError>, Effects) {
        let mut effects = Effects::default();
        let deadline = self.inner().options.deadline;
        let asked = self.ask_again(principal, &mut effects);
        let answer = tokio::time::timeout(deadline, asked).await;
        let late = |_| {
            let message = format!("nobody told in time who {} is now", principal.user);
            Err(CommandError::new(Code::Unavailable, message))
        };
        (answer.unwrap_or_else(late), effects)
    }

    /// Who `principal` is now, by the last answer; asks nobody.
    ///
    /// # Errors
    /// `denied` when their login has ended, `unavailable` when the last answer has become too
    /// old while they waited.
    pub fn standing(&self, principal: &Principal) -> Result<Principal, CommandError> {
        let (now, inner) = (self.clock.now(), self.inner());
        let Some(held) = inner.held(principal, now)? else {
            return Ok(principal.clone());
        };
        let lately = inner.lately(held).saturating_add(WAITED);
        if !held.answered_within(lately, now) {
            let message = "that took too long to go on without asking again who you are";
            return Err(CommandError::new(Code::Unavailable, message));
        }
        Ok(held.login.principal(principal.door, &principal.from))
    }

    async fn ask_again(
        &self,
        principal: &Principal,
        effects: &mut Effects,
    ) -> Result<Principal, CommandError> {
        let asking = {
            let (now, inner) = (self.clock.now(), self.inner());
            match inner.held(principal, now)? {
                Some(held) => Arc::clone(&held.asking),
                None => return Ok(principal.clone()),
            }
        };
        let _turn = asking.lock().await;
        let before = {
            let (now, inner) = (self.clock.now(), self.inner());
            inner.before(principal, now)?
        };
        match before {
            Before::Known(principal) => Ok(*principal),
            Before::Ask(backends, vouched) => {
                let outcome = backends.recheck(&principal.by, &vouched).await;
                let (now, mut inner) = (self.clock.now(), self.inner());
                if !Arc::ptr_eq(&backends, &inner.backends) {
                    let message = "the settings changed meanwhile; try again";
                    return Err(CommandError::new(Code::Unavailable, message));
                }
                inner.heed(principal, outcome, now, effects)
            }
        }
    }

    /// Looks after what nobody asks for: whether directories that were away are back, and then
    /// ends what was let in only because they were away. To be called every few seconds; takes a
    /// few seconds itself where somebody is away.
    pub async fn look_after(&self) -> Effects {
        let (backends, broken) = {
            let inner = self.inner();
            let broken = inner.table.iter().any(|held| held.login.by == BREAK_GLASS);
            (Arc::clone(&inner.backends), broken)
        };
        if !broken {
            backends.look_after_the_absent().await;
            return Effects::default();
        }
        if !backends.any_answers(true).await {
            return Effects::default();
        }
        let mut inner = self.inner();
        inner.end(
            |held| held.login.by == BREAK_GLASS,
            "directory-back",
            "pointsman",
        )
    }
}

impl Inner {
    /// The login of `principal`; `None` for a part of the program, which has none.
    fn held(&self, principal: &Principal, now: Moment) -> Result<Option<&Held>, CommandError> {
        let ended = || CommandError::denied("the login has ended");
        match &principal.login {
            Some(id) => {
                let held = self.table.by_id(id, now).ok_or_else(ended)?;
                let login = &held.login;
                let same = (&login.user, &login.by) == (&principal.user, &principal.by);
                same.then_some(Some(held)).ok_or_else(ended)
            }
            None if self.backends.find(&principal.by).is_none() => Ok(None),
            None => Err(ended()),
        }
    }

    /// For how long the last answer about this login counts.
    fn lately(&self, held: &Held) -> Duration {
        match held.login.by.as_str() {
            BREAK_GLASS => Duration::ZERO,
            by if self.backends.says_it_once(by) => self.options.trust,
            _ => self.options.recheck,
        }
    }

    fn before(&self, principal: &Principal, now: Moment) -> Result<Before, CommandError> {
        let Some(held) = self.held(principal, now)? else {
            return Ok(Before::Known(Box::new(principal.clone())));
        };
        if held.answered_within(self.lately(held), now) {
            let known = held.login.principal(principal.door, &principal.from);
            return Ok(Before::Known(Box::new(known)));
        }
        if self.backends.says_it_once(&held.login.by) {
            let message = format!(
                "{} vouched for {} too long ago for a change; log in again",
                held.login.by, held.login.user
            );
            return Err(CommandError::denied(message));
        }
        Ok(Before::Ask(Arc::clone(&self.backends), held.vouched()))
    }

    /// Takes in what was answered.
    fn heed(
        &mut self,
        principal: &Principal,
        outcome: Outcome,
        now: Moment,
        effects: &mut Effects,
    ) -> Result<Principal, CommandError> {
        let accepted = match outcome {
            Outcome::Accepted(accepted) => accepted,
            Outcome::Unavailable(reason) => {
                let message = format!(
                    "nobody can tell now whether {} still has these rights: {reason}",
                    principal.user
                );
                return Err(CommandError::new(Code::Unavailable, message));
            }
            Outcome::Rejected(because) => return Err(self.lost(principal, &because, effects)),
            Outcome::Challenge(_) => {
                return Err(self.lost(principal, "it asks for more", effects));
            }
        };
        self.judge_anew(principal, &accepted, now, effects)
    }

    fn judge_anew(
        &mut self,
        principal: &Principal,
        accepted: &Accepted,
        now: Moment,
        effects: &mut Effects,
    ) -> Result<Principal, CommandError> {
        let judgement = rules::judge(&self.options.rules, accepted);
        let Some(rights) = judgement.rights else {
            return Err(self.lost(principal, &judgement.because, effects));
        };
        let id = principal.login.as_deref().unwrap_or_default();
        let Some(held) = self.table.by_id_mut(id) else {
            return Err(CommandError::denied("the login has ended"));
        };
        held.answered = Some(now.at);
        held.groups.clone_from(&accepted.groups);
        if let Some(event) = held.take_rights(rights, &judgement.because) {
            effects.events.push(event);
            let record = Record::of(held);
            effects.records.push((id.to_owned(), Some(record)));
        }
        Ok(held.login.principal(principal.door, &principal.from))
    }

    /// They have no rights any more: the login ends.
    fn lost(
        &mut self,
        principal: &Principal,
        because: &str,
        effects: &mut Effects,
    ) -> CommandError {
        let id = principal.login.as_ref();
        let mut ended = self.end(|held| Some(&held.login.id) == id, "lost", &principal.by);
        for event in &mut ended.events {
            event.data["because"] = json!(because);
        }
        effects.events.extend(ended.events);
        effects.records.extend(ended.records);
        let user = &principal.user;
        CommandError::denied(format!("{user} may nothing here any more; log in again"))
    }
}
