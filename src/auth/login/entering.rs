//! Logging in: the delay, the guard, the backends, the rules and the place in the table.
//! It must not tell the person at the door more than that they are not in.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{
    super::{
        Accepted, Steps,
        backends::Verdict,
        noise::Failure,
        rules::Rights,
        table::Held,
        tally::NOBODY,
        throttle::{Ticket, Try},
    },
    Arc, Attempt, Backends, Code, CommandError, Credentials, Door, Duration, Effects, Entered,
    Event, Inner, Login, Logins, Moment, Outcome, Proof, Record, Refused, SecretString, json,
    rules,
};

/// An attempt that is under way. When the caller goes away before its end, it was a failure:
/// hanging up must not make guessing free.
struct UnderWay<'a> {
    logins: &'a Logins,
    attempt: &'a Attempt,
    ticket: Option<Ticket>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let now = self.logins.clock.now();
        let mut inner = self.logins.inner();
        inner.throttle.failed(&ticket, now.at);
        inner.tally.count(NOBODY, "abandoned");
        inner.tell(self.attempt, "abandoned", "hung up before the answer", now);
    }
}

/// Why somebody is not in: the code and the reason of the audit trail, and what the door says.
struct Failed {
    code: &'static str,
    because: String,
    refused: Refused,
}

impl Failed {
    /// Whatever was wrong, the person at the door hears the same.
    fn denied(code: &'static str, because: impl Into<String>) -> Self {
        let error = CommandError::denied("the user name or the password is wrong");
        Self {
            code,
            because: because.into(),
            refused: Refused::because(error),
        }
    }

    fn unavailable(because: String) -> Self {
        let message = format!("nobody can log in now: {because}");
        Self {
            code: "unavailable",
            because,
            refused: Refused::because(CommandError::new(Code::Unavailable, message)),
        }
    }

    fn slowed(wait: Duration) -> Self {
        let message = "too many log-ins failed; try again later";
        Self {
            code: "slowed",
            because: "too soon after others that failed".to_owned(),
            refused: Refused {
                error: CommandError::denied(message),
                retry_after: Some(wait),
            },
        }
    }
}

impl Logins {
    /// Logs somebody in, or refuses.
    pub async fn log_in(&self, attempt: &Attempt) -> (Result<Entered, Refused>, Effects) {
        let mut effects = Effects::default();
        let entered = self.enter(attempt, &mut effects).await;
        let now = self.clock.now();
        let mut inner = self.inner();
        let answer = entered.map_err(|failed| {
            inner.tell(attempt, failed.code, &failed.because, now);
            failed.refused
        });
        effects.events.extend(inner.noise.take(now.at));
        (answer, effects)
    }

    async fn enter(&self, attempt: &Attempt, effects: &mut Effects) -> Result<Entered, Failed> {
        let (ticket, backends) = {
            let (now, mut inner) = (self.clock.now(), self.inner());
            let source = attempt.source.counted();
            let tried = Try {
                user: &attempt.credentials.user,
                source: &source,
                socket: attempt.door == Door::Socket,
            };
            let admitted = inner.throttle.admit(tried, now.at);
            if admitted.is_err() {
                inner.tally.count(NOBODY, "slowed");
            }
            let ticket = admitted.map_err(Failed::slowed)?;
            (ticket, Arc::clone(&inner.backends))
        };
        let mut under_way = UnderWay {
            logins: self,
            attempt,
            ticket: Some(ticket),
        };
        let verdict = match attempt.credentials.check() {
            Ok(()) => self.put(attempt, &backends).await,
            Err(what) => Verdict::of("pointsman", Outcome::Rejected(what.to_owned())),
        };
        let ticket = under_way.ticket.take();
        let mut inner = self.inner();
        let now = self.clock.now();
        let by = verdict.by;
        let entered = inner.settle(attempt, verdict, &backends, now, effects);
        inner.tally.count(by, result(entered.as_ref()));
        if let Some(ticket) = ticket {
            inner.count(&ticket, entered.as_ref(), now);
        }
        entered
    }

    /// Puts a password to the backends, and the answer to a question to the one who asked it.
    async fn put(&self, attempt: &Attempt, backends: &Backends) -> Verdict {
        let (shown, steps) = (&attempt.credentials, Steps::unheard());
        let Proof::Answer { state, otp } = &shown.proof else {
            return backends.authenticate(shown, attempt.door, &steps).await;
        };
        let now = self.clock.now();
        let asked = self.inner().questions.take(state, attempt, now.at);
        let Some(asked) = asked else {
            let because = "that was not asked of them, or not lately".to_owned();
            return Verdict::of("pointsman", Outcome::Rejected(because));
        };
        let credentials = Credentials {
            user: shown.user.clone(),
            proof: Proof::Answer {
                state: asked.state,
                otp: otp.clone(),
            },
        };
        backends.answer(asked.by, &credentials, &steps).await
    }
}

/// What a log-in came to, in a word.
fn result(entered: Result<&Entered, &Failed>) -> &'static str {
    match entered {
        Ok(Entered::LoggedIn { .. }) => "accepted",
        Ok(Entered::Challenged(_)) => "challenged",
        Err(failed) => failed.code,
    }
}

impl Inner {
    fn tell(&mut self, attempt: &Attempt, code: &'static str, because: &str, now: Moment) {
        let source = attempt.source.to_string();
        let failure = Failure {
            kind: "admin.login-failed",
            user: &attempt.credentials.user,
            source: &source,
            door: attempt.door,
            code,
            because,
        };
        self.noise.count(failure, now.at);
    }

    fn count(&mut self, ticket: &Ticket, entered: Result<&Entered, &Failed>, now: Moment) {
        match entered {
            Ok(Entered::LoggedIn { .. }) => self.throttle.succeeded(ticket, now.at),
            // The question is part of one log-in, but asking it again and again is not.
            Ok(Entered::Challenged(_)) => {}
            Err(failed) if failed.code == "unavailable" => self.throttle.withdraw(ticket),
            Err(_) => self.throttle.failed(ticket, now.at),
        }
    }

    fn settle(
        &mut self,
        attempt: &Attempt,
        verdict: Verdict,
        asked: &Arc<Backends>,
        now: Moment,
        effects: &mut Effects,
    ) -> Result<Entered, Failed> {
        let accepted = match verdict.outcome {
            Outcome::Accepted(accepted) => accepted,
            Outcome::Rejected(because) => return Err(Failed::denied("rejected", because)),
            Outcome::Unavailable(because) => return Err(Failed::unavailable(because)),
            Outcome::Challenge(challenge) => {
                let asked = self.questions.ask(verdict.by, challenge, attempt, now.at);
                return Ok(Entered::Challenged(asked));
            }
        };
        if !Arc::ptr_eq(asked, &self.backends) {
            let because = "the settings changed meanwhile; try again".to_owned();
            return Err(Failed::unavailable(because));
        }
        let judgement = rules::judge(&self.options.rules, &accepted);
        let Some(rights) = judgement.rights else {
            return Err(Failed::denied("no-access", judgement.because));
        };
        let login = self.login(attempt, &accepted, rights, verdict.by, now);
        let mut because = judgement.because;
        if let Some(away) = verdict.away {
            because = format!("{because}; {away}");
        }
        self.hold(login, accepted, &because, now, effects)
    }

    fn login(
        &self,
        attempt: &Attempt,
        accepted: &Accepted,
        rights: Rights,
        by: &str,
        now: Moment,
    ) -> Login {
        let lasts = u64::try_from(self.options.login_ttl.as_millis()).unwrap_or(u64::MAX);
        Login {
            id: format!("{:016x}", rand::random::<u64>()),
            user: accepted.user.clone(),
            role: rights.role,
            services: rights.services,
            by: by.to_owned(),
            door: attempt.door,
            from: attempt.source.to_string(),
            since: now.unix_ms,
            expires: now.unix_ms.saturating_add(lasts),
        }
    }

    fn hold(
        &mut self,
        login: Login,
        accepted: Accepted,
        because: &str,
        now: Moment,
        effects: &mut Effects,
    ) -> Result<Entered, Failed> {
        let token = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let held = Held {
            login: login.clone(),
            digest: super::super::digest(&token),
            voucher: accepted.voucher,
            groups: accepted.groups,
            values: accepted.values,
            answered: Some(now.at),
            asking: Arc::default(),
            ends: now.at + self.options.login_ttl,
        };
        let record = Record::of(&held);
        let (gone, taken) = match self.table.insert(held, now) {
            Ok(gone) => (gone, true),
            Err(gone) => (gone, false),
        };
        for held in gone {
            let reason = if held.expired(now) {
                "expired"
            } else {
                "displaced"
            };
            effects.ended(&held.login, reason, "pointsman");
        }
        if !taken {
            let because = "too many people are logged in".to_owned();
            return Err(Failed::unavailable(because));
        }
        let data = json!({
            "login": login.id,
            "role": login.role,
            "services": login.services,
            "by": login.by,
            "door": login.door,
            "from": login.from,
            "because": because,
        });
        let event = Event::new("admin.login", &login.user, data);
        effects.events.push(event);
        effects.records.push((login.id.clone(), Some(record)));
        let token = SecretString::from(token);
        Ok(Entered::LoggedIn { login, token })
    }
}
