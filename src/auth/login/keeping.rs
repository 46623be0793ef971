//! What becomes of logins: listed, ended, kept over a restart, and judged by new settings.
//! It must not keep a token, nor bring back a login that would not be given today.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Accepted,
        rules::{Judgement, Rights},
        table::Held,
    },
    Arc, Backends, CommandError, Duration, Effects, Event, Inner, Login, Logins, Moment, Options,
    Principal, Questions, Role, Rule, json, live, rules,
};

/// A login as it is kept over a restart: whoever reads it cannot log in with it.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Record {
    /// The login.
    pub login: Login,
    /// SHA-256 of its token, base64url.
    digest: String,
    /// What its backend recognises it by.
    voucher: String,
    /// The groups in which its backend last saw them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    /// What its backend handed out for the rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<String>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// New settings that can be taken in.
#[derive(Debug)]
pub struct NewSettings {
    pub(super) options: Options,
    pub(super) backends: Arc<Backends>,
}

impl Record {
    pub(super) fn of(held: &Held) -> Self {
        Self {
            login: held.login.clone(),
            digest: BASE64_URL_SAFE_NO_PAD.encode(held.digest),
            voucher: held.voucher.clone(),
            groups: held.groups.clone(),
            values: held.values.clone(),
        }
    }

    #[cfg(test)]
    pub(super) fn held_for_test(self, now: Moment) -> Held {
        self.held(Duration::MAX, now).unwrap()
    }

    /// The login, cut to what a login may last today; `None` if it is over or no such record.
    fn held(self, lasts: Duration, now: Moment) -> Option<Held> {
        let digest = BASE64_URL_SAFE_NO_PAD.decode(&self.digest).ok()?;
        let left = Duration::from_millis(self.login.expires.saturating_sub(now.unix_ms));
        // That it was answered later than at the log-in is not kept.
        let age = Duration::from_millis(now.unix_ms.saturating_sub(self.login.since));
        let held = Held {
            login: self.login,
            digest: digest.try_into().ok()?,
            voucher: self.voucher,
            groups: self.groups,
            values: self.values,
            answered: now.at.checked_sub(age),
            asking: Arc::default(),
            ends: now.at + left.min(lasts),
        };
        (!held.expired(now)).then_some(held)
    }
}

impl Effects {
    /// A login is no more.
    pub(super) fn ended(&mut self, login: &Login, reason: &str, ended_by: &str) {
        self.records.push((login.id.clone(), None));
        let data = json!({
            "login": login.id,
            "by": login.by,
            "door": login.door,
            "from": login.from,
            "reason": reason,
            "ended_by": ended_by,
        });
        let event = Event::new("admin.logout", &login.user, data);
        self.events.push(event);
    }
}

impl Held {
    /// What these rules make of what was last said of them.
    fn judged(&self, rules: &[Rule]) -> Judgement {
        let known = Accepted {
            groups: self.groups.clone(),
            values: self.values.clone(),
            ..Accepted::named(&self.login.user)
        };
        rules::judge(rules, &known)
    }

    /// Gives them other rights; what there is to be told, if those are others.
    pub(super) fn take_rights(&mut self, rights: Rights, because: &str) -> Option<Event> {
        let login = &mut self.login;
        if (login.role, &login.services) == (rights.role, &rights.services) {
            return None;
        }
        login.role = rights.role;
        login.services = rights.services;
        let data = json!({
            "login": login.id,
            "role": login.role,
            "services": login.services,
            "by": login.by,
            "because": because,
        });
        Some(Event::new("admin.rights-changed", &login.user, data))
    }
}

impl Inner {
    pub(super) fn end(
        &mut self,
        which: impl Fn(&Held) -> bool,
        reason: &str,
        ended_by: &str,
    ) -> Effects {
        let mut effects = Effects::default();
        for held in self.table.remove(which) {
            effects.ended(&held.login, reason, ended_by);
        }
        effects
    }

    /// Whether this login would still be given, as far as the settings alone tell.
    fn stands(&self, held: &Held) -> bool {
        let Some(backend) = self.backends.find(&held.login.by) else {
            return false;
        };
        let ruled = || held.judged(&self.options.rules).rights.is_some();
        let entitled = backend.own_rights(&held.login.user).is_some() || ruled();
        entitled && backend.stands(&held.vouched())
    }

    /// Has the rules of these settings count for what was last said of `held`; whose rights are
    /// their own keeps them.
    fn judge_by_rules(&self, held: &mut Held) -> Option<Event> {
        let backend = self.backends.find(&held.login.by)?;
        if backend.own_rights(&held.login.user).is_some() {
            return None;
        }
        let Judgement { rights, because } = held.judged(&self.options.rules);
        held.take_rights(rights?, &because)
    }

    /// Has the rules of new settings count for everybody who is logged in. Backends that can be
    /// asked again are asked again before the next change.
    fn judge_all_anew(&mut self, effects: &mut Effects) {
        let mut table = std::mem::take(&mut self.table);
        table.each(|held| {
            if !self.backends.says_it_once(&held.login.by) {
                held.answered = None;
            }
            if let Some(event) = self.judge_by_rules(held) {
                let record = Record::of(held);
                effects.events.push(event);
                effects.records.push((held.login.id.clone(), Some(record)));
            }
        });
        self.table = table;
    }
}

impl Logins {
    /// Ends the principal's own login.
    ///
    /// # Errors
    /// `not-found` when they have none.
    pub fn logout(&self, principal: &Principal) -> Result<Effects, CommandError> {
        let none = || CommandError::not_found("login of", &principal.user);
        let id = principal.login.as_deref().ok_or_else(none)?;
        let now = self.clock.now();
        let mut inner = self.inner();
        inner.table.by_id(id, now).ok_or_else(none)?;
        Ok(inner.end(|held| held.login.id == id, "logout", &principal.user))
    }

    /// Ends a login: one's own, or as an admin of all services anybody's.
    ///
    /// # Errors
    /// `denied` for other people's logins, whether there is one or not; `not-found` for admins.
    pub fn end(&self, principal: &Principal, id: &str) -> Result<Effects, CommandError> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let found = inner.table.by_id(id, now).map(|held| &held.login);
        match found {
            Some(login) if sees(principal, login) => {
                Ok(inner.end(|held| held.login.id == id, "ended", &principal.user))
            }
            None if sees_all(principal) => Err(CommandError::not_found("login", id)),
            Some(_) | None => {
                let message = "only an admin of all services ends other people's logins";
                Err(CommandError::denied(message))
            }
        }
    }

    /// Who is logged in, oldest first: everybody for an admin of all services, else oneself.
    pub fn list(&self, principal: &Principal) -> Vec<Login> {
        let now = self.clock.now();
        let inner = self.inner();
        let seen = live(&inner.table, now).filter(|login| sees(principal, login));
        seen.cloned().collect()
    }

    /// Every login as it is to be kept.
    pub fn records(&self) -> Vec<Record> {
        let now = self.clock.now();
        let inner = self.inner();
        let held = inner.table.iter().filter(|held| !held.expired(now));
        held.map(Record::of).collect()
    }

    /// Takes in what was kept before a restart, and says what is to be forgotten of it: logins
    /// that are over, of users who are gone or have other rights now, and what is no record.
    pub fn restore(&self, mut records: Vec<Record>) -> Effects {
        let now = self.clock.now();
        let mut inner = self.inner();
        let mut effects = Effects::default();
        records.sort_by_key(|record| record.login.since);
        for record in records {
            let login = record.login.clone();
            let held = record.held(inner.options.login_ttl, now);
            let Some(mut held) = held else {
                effects.ended(&login, "expired", "pointsman");
                continue;
            };
            if inner.table.by_id(&login.id, now).is_some() {
                continue;
            }
            effects.events.extend(inner.judge_by_rules(&mut held));
            if !inner.stands(&held) {
                effects.ended(&login, "settings", "pointsman");
                continue;
            }
            let gone = inner.table.insert(held, now).unwrap_or_else(|gone| {
                effects.ended(&login, "displaced", "pointsman");
                gone
            });
            for held in gone {
                effects.ended(&held.login, "displaced", "pointsman");
            }
        }
        effects
    }

    /// Gets ready for new settings.
    ///
    /// # Errors
    /// `invalid`: what is wrong with the users.
    pub fn prepare(options: Options) -> Result<NewSettings, CommandError> {
        let backends = Arc::new(super::new_backends(&options)?);
        Ok(NewSettings { options, backends })
    }

    /// Takes in new settings. Logins that they would not give any more end at once; the others
    /// stay, at most as long as a login lasts by the new settings.
    pub fn take_in(&self, settings: NewSettings) -> Effects {
        let NewSettings { options, backends } = settings;
        let now = self.clock.now();
        let mut inner = self.inner();
        inner.options = options;
        inner.backends = backends;
        inner.questions = Questions::default();
        let lasts = inner.options.login_ttl;
        inner.table.shorten(now, lasts);
        let mut effects = Effects::default();
        inner.judge_all_anew(&mut effects);
        let gone: Vec<String> = {
            let fallen = inner.table.iter().filter(|held| !inner.stands(held));
            fallen.map(|held| held.login.id.clone()).collect()
        };
        let fallen = |held: &Held| gone.contains(&held.login.id);
        let ended = inner.end(fallen, "settings", "pointsman");
        effects.events.extend(ended.events);
        effects.records.extend(ended.records);
        effects
    }
}

fn sees_all(principal: &Principal) -> bool {
    principal.role == Role::Admin && principal.services.is_all()
}

fn sees(principal: &Principal, login: &Login) -> bool {
    let own =
        principal.login.is_some() && (&principal.user, &principal.by) == (&login.user, &login.by);
    own || sees_all(principal)
}
