//! The one place where people log in and out, and where it is known who is logged in.
//! It must not record anything: it hands its events and records to the caller.

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{
    Authenticator, Challenge, Credentials, Outcome, Proof,
    backends::{Backend, Backends, Fallback, Manner},
    clock::{Clock, Moment},
    local::User,
    noise::Noise,
    questions::Questions,
    rules::{self, Rule},
    table::Table,
    tally::{Tally, Which},
    throttle::Throttle,
};
use crate::model::{
    error::{Code, CommandError},
    event::Event,
    principal::{Door, Principal, Role, Scope},
};

mod entering;
mod explaining;
mod keeping;
mod rechecking;

pub use keeping::{NewSettings, Record};

/// The length of a token: 256 bits in base64url.
const TOKEN_LENGTH: usize = 43;

/// What the settings say about log-ins.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who is asked, in this order.
    pub backends: Vec<Backend>,
    /// The directories among them.
    pub directories: Vec<Arc<dyn Authenticator>>,
    /// The directory that is asked again about those for whom RADIUS vouched; `None`: nobody.
    pub ask_again: Option<Arc<dyn Authenticator>>,
    /// What happens when one cannot tell.
    pub fallback: Fallback,
    /// The doors on which local users are let in while every directory is away.
    pub break_glass_doors: Vec<Door>,
    /// How old the answer of a backend may be when a change is applied.
    pub recheck: Duration,
    /// How long it counts for changes what a backend says that can be asked only once: RADIUS.
    pub trust: Duration,
    /// How long a login lasts.
    pub login_ttl: Duration,
    /// How long a log-in may take, over all backends.
    pub deadline: Duration,
    /// The local users.
    pub users: Vec<User>,
    /// Who gets which role.
    pub rules: Vec<Rule>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backends: vec![Backend::Local],
            directories: Vec::new(),
            ask_again: None,
            fallback: Fallback::None,
            break_glass_doors: vec![Door::Socket],
            recheck: Duration::from_secs(30),
            trust: Duration::from_secs(5 * 60),
            login_ttl: Duration::from_secs(15 * 60),
            deadline: Duration::from_secs(15),
            users: Vec::new(),
            rules: Vec::new(),
        }
    }
}

/// Where somebody comes from, as far as the delays tell sources apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A network address, without the port. Of IPv6, a /64 counts as one: that is what one
    /// machine gets.
    Address(IpAddr),
    /// A user of this machine.
    Uid(u32),
    /// Another name, which the caller cannot choose: a sender's key.
    Named(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.to_canonical().fmt(f),
            Self::Uid(uid) => write!(f, "uid {uid}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl Source {
    /// What the delays are counted under.
    fn counted(&self) -> String {
        match self {
            Self::Address(address) => match address.to_canonical() {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => {
                    let [a, b, c, d, ..] = address.segments();
                    format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
                }
            },
            Self::Uid(_) | Self::Named(_) => self.to_string(),
        }
    }
}

/// Somebody at a door.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What they show.
    pub credentials: Credentials,
    /// The door.
    pub door: Door,
    /// Where from.
    pub source: Source,
    /// The key that they are to be known by, where they bring one.
    pub key: Option<[u8; 32]>,
}

impl Attempt {
    /// Somebody with a password.
    pub fn with_password(user: &str, password: SecretString, door: Door, source: Source) -> Self {
        let credentials = Credentials {
            user: user.to_owned(),
            proof: Proof::Password(password),
        };
        Self {
            credentials,
            door,
            source,
            key: None,
        }
    }
}

/// Somebody who is logged in.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Login {
    /// Its name, which is no secret.
    pub id: String,
    /// Who.
    pub user: String,
    /// What they may do.
    pub role: Role,
    /// On which services.
    pub services: Scope,
    /// The backend that vouched for them.
    pub by: String,
    /// The door by which they logged in.
    pub door: Door,
    /// Where from.
    pub from: String,
    /// Since when: milliseconds since 1970.
    pub since: u64,
    /// Until when: milliseconds since 1970.
    pub expires: u64,
}

impl Login {
    /// Them, with a command that came by this door from there.
    fn principal(&self, door: Door, from: &str) -> Principal {
        Principal {
            user: self.user.clone(),
            role: self.role,
            services: self.services.clone(),
            by: self.by.clone(),
            door,
            from: from.to_owned(),
            login: Some(self.id.clone()),
        }
    }
}

/// What a log-in came to, if not to a refusal.
#[derive(Clone, Debug)]
pub enum Entered {
    /// They are in.
    LoggedIn {
        /// Who, and what they may do.
        login: Login,
        /// What they show from now on. It is nowhere else.
        token: SecretString,
    },
    /// One more question.
    Challenged(Challenge),
}

/// Why somebody is not in. It says no more than they may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// `denied` or `unavailable`.
    pub error: CommandError,
    /// When it makes sense to try again, where they were only too fast.
    pub retry_after: Option<Duration>,
}

impl Refused {
    fn because(error: CommandError) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

/// What the caller has to record.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Effects {
    /// What happened.
    pub events: Vec<Event>,
    /// The logins that changed, by their id, to be kept or forgotten.
    pub records: Vec<(String, Option<Record>)>,
}

struct Inner {
    options: Options,
    backends: Arc<Backends>,
    table: Table,
    throttle: Throttle,
    noise: Noise,
    questions: Questions,
    tally: Tally,
}

/// Who is logged in, and how to become so.
pub struct Logins {
    clock: Clock,
    inner: Mutex<Inner>,
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner();
        f.debug_struct("Logins")
            .field("options", &inner.options)
            .field("table", &inner.table)
            .finish_non_exhaustive()
    }
}

/// The backends of these settings.
pub(super) fn new_backends(options: &Options) -> Result<Backends, CommandError> {
    let manner = Manner {
        fallback: options.fallback,
        break_glass_doors: options.break_glass_doors.clone(),
        deadline: options.deadline,
    };
    let Options {
        backends,
        users,
        directories,
        ..
    } = options;
    match Backends::new(backends, users, directories, manner) {
        Ok(backends) => Ok(backends.asking_again(options.ask_again.clone())),
        Err(problems) => Err(CommandError::invalid(problems.join("; "))),
    }
}

impl Logins {
    /// Nobody is logged in yet.
    ///
    /// # Errors
    /// `invalid`: what is wrong with the users.
    pub fn new(options: Options, clock: Clock) -> Result<Self, CommandError> {
        let inner = Inner {
            backends: Arc::new(new_backends(&options)?),
            options,
            table: Table::default(),
            throttle: Throttle::default(),
            noise: Noise::default(),
            questions: Questions::default(),
            tally: Tally::default(),
        };
        Ok(Self {
            clock,
            inner: Mutex::new(inner),
        })
    }

    /// As [`Self::new`], with other backends than those of `options`.
    #[cfg(test)]
    fn asking(backends: Backends, options: Options, clock: Clock) -> Self {
        let logins = Self::new(options, clock).unwrap();
        logins.inner().backends = Arc::new(backends);
        logins
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many log-ins there were since the start.
    pub fn tally(&self) -> BTreeMap<Which, u64> {
        self.inner().tally.all()
    }

    /// Who shows this token, with a command that came by this door from there. `None` when
    /// nobody does, any more.
    pub fn principal(&self, token: &SecretString, door: Door, from: &str) -> Option<Principal> {
        let token = token.expose_secret();
        if token.len() != TOKEN_LENGTH {
            return None;
        }
        let digest = super::digest(token);
        let now = self.clock.now();
        let inner = self.inner();
        let held = inner.table.by_digest(&digest, now)?;
        Some(held.login.principal(door, from))
    }

    /// Whose the login with this id is, with a command that came by this door from there. `None`
    /// when it is over. Only for a door that has other proof than a token.
    pub fn principal_of(&self, id: &str, door: Door, from: &str) -> Option<Principal> {
        let now = self.clock.now();
        let inner = self.inner();
        let held = inner.table.by_id(id, now)?;
        Some(held.login.principal(door, from))
    }

    /// What is to be told by now without anybody's doing: the failed log-ins that were counted
    /// up, and the logins that have expired, so many at a time. To be asked every few seconds.
    pub fn due(&self) -> Effects {
        let now = self.clock.now();
        let mut inner = self.inner();
        let mut effects = Effects {
            events: inner.noise.take(now.at),
            records: Vec::new(),
        };
        for held in inner.table.expire(now) {
            effects.ended(&held.login, "expired", "pointsman");
        }
        effects
    }
}

fn live(table: &Table, now: Moment) -> impl Iterator<Item = &Login> {
    let held = table.iter().filter(move |held| !held.expired(now));
    held.map(|held| &held.login)
}

#[cfg(test)]
mod tests;
