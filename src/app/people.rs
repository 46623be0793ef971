//! People: ties those who keep logins to the doors, which ask about them, and to the pipeline.
//! It must not check a password, nor judge a right.

use std::{
    collections::BTreeMap,
    sync::{
        OnceLock,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::{
    auth::{
        self, Credentials,
        clock::Clock,
        login::{self, Effects, Entered, Logins, NewSettings, Record, Refused, Source},
        tally,
    },
    config::Settings,
    control::{Control, outside::Told, record::Entry},
    doors::authority::{Accepted, Attempt, Authority, Beside, Later, Login, LoginReply, Proof},
    model::{
        error::{Code, CommandError},
        principal::{Door, Principal},
    },
};

mod access;
mod directories;
mod options;

pub(crate) use options::{check, trial};

/// Under which keys the journal keeps logins.
pub(super) const KEPT: &str = "login/";

/// Those who keep logins, and who is told when one changes.
#[derive(Debug)]
pub(super) struct People {
    logins: Logins,
    /// Whether there is an `[auth]`; without one nobody is logged in, nor can be.
    asked: AtomicBool,
    control: OnceLock<Control>,
}

/// Settings that can be taken in.
#[derive(Debug)]
pub(super) struct Ready {
    settings: NewSettings,
    asked: bool,
}

impl People {
    /// As the settings have it; without `[auth]` nobody logs in.
    pub(super) fn new(settings: &Settings) -> Result<Self, CommandError> {
        let logins = Logins::new(options::complete(settings)?, Clock::system())?;
        Ok(Self {
            logins,
            asked: AtomicBool::new(settings.auth.is_some()),
            control: OnceLock::new(),
        })
    }

    /// Those who keep logins, where anybody can log in.
    fn logins(&self) -> Option<&Logins> {
        self.asked.load(Acquire).then_some(&self.logins)
    }

    /// How many log-ins there were; nothing where nobody can log in.
    pub(super) fn tally(&self) -> BTreeMap<tally::Which, u64> {
        self.logins().map(Logins::tally).unwrap_or_default()
    }

    /// Takes in logins that outlived a restart.
    pub(super) fn restore(&self, kept: Vec<(String, Value)>) -> Told {
        let records = kept
            .into_iter()
            .filter_map(|(_, value)| serde_json::from_value(value).ok());
        told(Value::Null, self.logins.restore(records.collect()))
    }

    /// From now on, changes of logins are told to `control`.
    pub(super) fn tell(&self, control: Control) {
        // Told once, at the start.
        let _ = self.control.set(control);
    }

    /// Gets ready for settings that were changed: fetches secrets and reads certificates.
    pub(super) fn prepare(settings: &Settings) -> Result<Ready, CommandError> {
        let options = options::complete(settings)?;
        Ok(Ready {
            settings: Logins::prepare(options)?,
            asked: settings.auth.is_some(),
        })
    }

    /// Takes in what was got ready.
    pub(super) fn take_in(&self, ready: Ready) {
        let effects = self.logins.take_in(ready.settings);
        self.asked.store(ready.asked, Release);
        self.record_later(effects);
    }

    /// Failed log-ins that were counted up, and logins that expired, now that it is time to tell.
    pub(super) async fn tell_what_is_due(&self) {
        if let (Some(logins), Some(control)) = (self.logins(), self.control.get()) {
            let due = logins.due();
            if let Err(error) = record(control, told(Value::Null, due)).await {
                tracing::warn!(%error, "failed log-ins and logins that expired cannot be recorded");
            }
        }
    }

    /// Sees whether directories are back that were away, and ends what was let in only meanwhile.
    pub(super) async fn look_after(&self) {
        if let (Some(logins), Some(control)) = (self.logins(), self.control.get()) {
            let effects = logins.look_after().await;
            if let Err(error) = record(control, told(Value::Null, effects)).await {
                tracing::warn!(%error, "ended logins cannot be recorded");
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
        let Some(logins) = self.logins() else {
            let why = "nobody can log in here: there is no [auth]".to_owned();
            return (LoginReply::Unavailable(why), Told::default());
        };
        let source = source(&attempt.from);
        let proof = match attempt.proof {
            Proof::Password(password) => auth::Proof::Password(password),
            Proof::Code { state, otp } => auth::Proof::Answer { state, otp },
        };
        let asked = login::Attempt {
            credentials: Credentials {
                user: attempt.user,
                proof,
            },
            door: attempt.door,
            source,
            key: attempt.key,
        };
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
        Ok(Entered::Challenged(question)) => LoginReply::Challenge {
            challenge: question.message,
            state: question.state.expose_secret().to_owned(),
        },
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
    if told.events.is_empty() && told.keep.is_empty() {
        return Ok(());
    }
    let entry = Entry {
        events: told.events,
        keep: told.keep,
        ..Entry::default()
    };
    control.record_entry(entry).await
}

impl Authority for People {
    fn required(&self) -> bool {
        self.logins().is_some()
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
        Box::pin(async move { self.logins()?.principal_of(login, door, from) })
    }

    fn principal<'a>(
        &'a self,
        token: &'a SecretString,
        door: Door,
        from: &'a str,
    ) -> Later<'a, Option<Principal>> {
        Box::pin(async move { self.logins()?.principal(token, door, from) })
    }

    fn logout<'a>(&'a self, token: &'a SecretString) -> Later<'a, Result<bool, CommandError>> {
        Box::pin(async move {
            let (Some(logins), Some(control)) = (self.logins(), self.control.get()) else {
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
