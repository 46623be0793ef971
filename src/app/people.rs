//! People: ties those who keep logins to the doors, which ask about them, and to the pipeline.
//! It must not check a password, nor judge a right.

use std::sync::{Arc, OnceLock};

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::{
    auth::{
        backends::{Backend, Fallback},
        clock::Clock,
        local::User,
        login::{self, Effects, Entered, Logins, Options, Record, Refused, Source},
        rules::{Matcher, Rights, Rule},
    },
    config::{self, Settings},
    control::{
        Control,
        outside::{Access, Told},
        record::Entry,
    },
    doors::authority::{Accepted, Attempt, Authority, Beside, Later, Login, LoginReply, Proof},
    model::{
        command::Command,
        error::{Code, CommandError},
        principal::{Door, Principal, Role},
    },
};

/// Under which keys the journal keeps logins.
pub(super) const KEPT: &str = "login/";

/// Those who keep logins, and who is told when one changes.
#[derive(Debug)]
pub(super) struct People {
    logins: Option<Logins>,
    control: OnceLock<Control>,
}

impl People {
    /// As the settings have it; without `[auth]` nobody logs in.
    pub(super) fn new(settings: &Settings) -> Result<Self, CommandError> {
        let logins = match &settings.auth {
            Some(auth) => Some(Logins::new(options(auth), Clock::system())?),
            None => None,
        };
        Ok(Self {
            logins,
            control: OnceLock::new(),
        })
    }

    /// Takes in logins that outlived a restart.
    pub(super) fn restore(&self, kept: Vec<(String, Value)>) -> Told {
        let Some(logins) = &self.logins else {
            return Told::default();
        };
        let records = kept
            .into_iter()
            .filter_map(|(_, value)| serde_json::from_value(value).ok());
        told(Value::Null, logins.restore(records.collect()))
    }

    /// From now on, changes of logins are told to `control`.
    pub(super) fn tell(&self, control: Control) {
        // Told once, at the start.
        let _ = self.control.set(control);
    }

    /// Takes in settings that were changed.
    pub(super) fn heed(&self, settings: &Settings) {
        match (&self.logins, &settings.auth) {
            (Some(logins), Some(auth)) => match logins.reconfigure(options(auth)) {
                Ok(effects) => self.record_later(effects),
                Err(error) => tracing::error!(%error, "the new users cannot be taken in"),
            },
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => {
                tracing::warn!("[auth] comes or goes only with a restart");
            }
        }
    }

    /// Failed log-ins that were counted up, now that it is time to tell.
    pub(super) async fn tell_what_is_due(&self) {
        if let (Some(logins), Some(control)) = (&self.logins, self.control.get()) {
            let events = logins.due();
            if !events.is_empty()
                && let Err(error) = control.record(events).await
            {
                tracing::warn!(%error, "failed log-ins cannot be recorded");
            }
        }
    }

    fn record_later(&self, effects: Effects) {
        let Some(control) = self.control.get().cloned() else {
            return;
        };
        let told = told(Value::Null, effects);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { record(&control, told).await });
        } else {
            tracing::debug!("logins changed outside the runtime; they are recorded as they end");
        }
    }

    /// What comes of `attempt`, recorded together with what `beside` makes of it.
    async fn log_in(
        &self,
        attempt: Attempt,
        beside: impl FnOnce(&LoginReply) -> Entry,
    ) -> Result<LoginReply, CommandError> {
        let (reply, told) = self.judge(attempt).await;
        let mut entry = beside(&reply);
        entry.events.extend(told.events);
        entry.keep.extend(told.keep);
        if let Some(control) = self.control.get() {
            control.record_entry(entry).await?;
        }
        Ok(reply)
    }

    async fn judge(&self, attempt: Attempt) -> (LoginReply, Told) {
        let Some(logins) = &self.logins else {
            let why = "nobody can log in here: there is no [auth]".to_owned();
            return (LoginReply::Unavailable(why), Told::default());
        };
        let Proof::Password(password) = attempt.proof else {
            return (LoginReply::Rejected, Told::default());
        };
        let source = source(&attempt.from);
        let asked = login::Attempt::with_password(&attempt.user, password, attempt.door, source);
        let (entered, effects) = logins.log_in(&asked).await;
        (reply(entered), told(Value::Null, effects))
    }
}

/// What the delays tell callers apart by: what the door says of where they are.
fn source(from: &str) -> Source {
    if let Ok(address) = from.parse() {
        return Source::Address(address);
    }
    let uid = from.strip_prefix("uid ").and_then(|uid| uid.parse().ok());
    uid.map_or_else(|| Source::Named(from.to_owned()), Source::Uid)
}

fn reply(entered: Result<Entered, Refused>) -> LoginReply {
    match entered {
        Ok(Entered::LoggedIn { login, token }) => {
            let login = shown(login);
            LoginReply::Accepted(Box::new(Accepted { token, login }))
        }
        // No backend asks one yet.
        Ok(Entered::Challenged(_)) => LoginReply::Rejected,
        Err(Refused {
            retry_after: Some(retry_after),
            ..
        }) => LoginReply::SlowDown { retry_after },
        Err(Refused {
            error,
            retry_after: None,
        }) if error.code == Code::Unavailable => LoginReply::Unavailable(error.message),
        Err(_) => LoginReply::Rejected,
    }
}

fn shown(login: login::Login) -> Login {
    let expires = std::time::UNIX_EPOCH + std::time::Duration::from_millis(login.expires);
    Login {
        login: login.id,
        user: login.user,
        role: login.role,
        services: login.services,
        by: login.by,
        expires: humantime::format_rfc3339_seconds(expires).to_string(),
    }
}

fn told(data: Value, effects: Effects) -> Told {
    let keep = |(id, record): (String, Option<Record>)| {
        let value = record.and_then(|record| serde_json::to_value(record).ok());
        (format!("{KEPT}{id}"), value)
    };
    Told {
        data,
        events: effects.events,
        keep: effects.records.into_iter().map(keep).collect(),
    }
}

async fn record(control: &Control, told: Told) -> Result<(), CommandError> {
    let entry = Entry {
        events: told.events,
        keep: told.keep,
        ..Entry::default()
    };
    control.record_entry(entry).await
}

impl Authority for People {
    fn required(&self) -> bool {
        self.logins.is_some()
    }

    fn login(&self, attempt: Attempt) -> Later<'_, LoginReply> {
        Box::pin(async {
            let reply = self.log_in(attempt, |_| Entry::default()).await;
            reply.unwrap_or_else(|error| LoginReply::Unavailable(error.message))
        })
    }

    fn login_with<'a>(
        &'a self,
        attempt: Attempt,
        beside: Beside<'a>,
    ) -> Later<'a, Result<LoginReply, CommandError>> {
        Box::pin(self.log_in(attempt, beside))
    }

    fn principal_of<'a>(
        &'a self,
        login: &'a str,
        door: Door,
        from: &'a str,
    ) -> Later<'a, Option<Principal>> {
        Box::pin(async move { self.logins.as_ref()?.principal_of(login, door, from) })
    }

    fn principal<'a>(
        &'a self,
        token: &'a SecretString,
        door: Door,
        from: &'a str,
    ) -> Later<'a, Option<Principal>> {
        Box::pin(async move { self.logins.as_ref()?.principal(token, door, from) })
    }

    fn logout<'a>(&'a self, token: &'a SecretString) -> Later<'a, Result<bool, CommandError>> {
        Box::pin(async move {
            let (Some(logins), Some(control)) = (&self.logins, self.control.get()) else {
                return Ok(false);
            };
            let Some(principal) = logins.principal(token, Door::Http, "") else {
                return Ok(false);
            };
            let effects = logins.logout(&principal)?;
            record(control, told(Value::Null, effects))
                .await
                .map(|()| true)
        })
    }
}

/// People, as the pipeline asks about them.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) people: Arc<People>,
    pub(super) runtime: Handle,
}

impl Access for Asked {
    fn recheck(&mut self, principal: &Principal) -> Result<(), CommandError> {
        match &self.people.logins {
            Some(logins) => self.runtime.block_on(logins.still_valid(principal)),
            None => Ok(()),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others are not about people"
    )]
    fn answer(&mut self, principal: &Principal, command: &Command) -> Result<Told, CommandError> {
        let Some(logins) = &self.people.logins else {
            return Err(CommandError::invalid(
                "nobody can log in here: there is no [auth]",
            ));
        };
        match command {
            Command::Logout {} => Ok(told(json!({}), logins.logout(principal)?)),
            Command::Whoami {} => {
                let own = |login: &login::Login| Some(&login.id) == principal.login.as_ref();
                let login = logins.list(principal).into_iter().find(own);
                let ended = || CommandError::denied("the login has ended");
                Ok(told(
                    json!(shown(login.ok_or_else(ended)?)),
                    login::Effects::default(),
                ))
            }
            Command::Logins {} => {
                let logins: Vec<Value> = logins.list(principal).into_iter().map(line).collect();
                Ok(Told {
                    data: json!({"logins": logins}),
                    ..Told::default()
                })
            }
            Command::EndLogin { login } => Ok(told(json!({}), logins.end(principal, login)?)),
            Command::ExplainAccess { user } => {
                let because = logins.explain_access(user);
                let verdict = because.first().cloned().unwrap_or_default();
                Ok(Told {
                    data: json!({"verdict": verdict, "because": because}),
                    ..Told::default()
                })
            }
            other => Err(CommandError::invalid(format!(
                "{} is not about people",
                other.name()
            ))),
        }
    }
}

/// A login as `logins` shows it.
fn line(login: login::Login) -> Value {
    let from = login.from.clone();
    let mut line = json!(shown(login));
    line["from"] = json!(from);
    line
}

fn options(auth: &config::Auth) -> Options {
    let rights = |role: Role, services: &crate::model::principal::Scope| Rights {
        role,
        services: services.clone(),
    };
    let user = |user: &config::User| User {
        name: user.name.as_str().to_owned(),
        password_hash: SecretString::from(user.password_hash.as_str().to_owned()),
        rights: user.role.map(|role| rights(role, &user.services)),
    };
    let rule = |rule: &config::Rule| Rule {
        matcher: Matcher::User(rule.user.as_str().to_owned()),
        rights: rights(rule.role, &rule.services),
    };
    let backend = |backend: &config::Backend| match backend {
        config::Backend::Local => Backend::Local,
    };
    Options {
        backends: auth.backends.iter().map(backend).collect(),
        fallback: Fallback::None,
        login_ttl: auth.login_ttl.duration(),
        users: auth.users.iter().map(user).collect(),
        rules: auth.rules.iter().map(rule).collect(),
        ..Options::default()
    }
}
