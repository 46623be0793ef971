//! The one place where people log in and out, and where it is known who is logged in.
//! It must not record anything: it hands its events and records to the caller.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{
    Challenge, Credentials, Outcome, Proof, Steps,
    backends::{Backend, Backends, Fallback},
    clock::{Clock, Moment},
    local::User,
    noise::Noise,
    rules::{self, Rule},
    table::Table,
    throttle::Throttle,
};
use crate::model::{
    error::{Code, CommandError},
    event::Event,
    principal::{Door, Principal, Role, Scope},
};

mod entering;
mod keeping;

pub use keeping::Record;

/// The length of a token: 256 bits in base64url.
const TOKEN_LENGTH: usize = 43;

/// What the settings say about log-ins.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who is asked, in this order.
    pub backends: Vec<Backend>,
    /// What happens when one cannot tell.
    pub fallback: Fallback,
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
            fallback: Fallback::None,
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

fn backends(options: &Options) -> Result<Arc<Backends>, CommandError> {
    let Options {
        backends,
        users,
        fallback,
        deadline,
        ..
    } = options;
    match Backends::new(backends, users, *fallback, *deadline) {
        Ok(backends) => Ok(Arc::new(backends)),
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
            backends: backends(&options)?,
            options,
            table: Table::default(),
            throttle: Throttle::default(),
            noise: Noise::default(),
        };
        Ok(Self {
            clock,
            inner: Mutex::new(inner),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Whether `principal` still has the rights that they logged in with; asked before a change
    /// is applied. Who never logged in (the daemon's own parts) has nothing to lose.
    ///
    /// # Errors
    /// `denied` when they have not, `unavailable` when nobody can tell.
    pub async fn still_valid(&self, principal: &Principal) -> Result<(), CommandError> {
        let now = self.clock.now();
        let (backends, vouched) = {
            let inner = self.inner();
            let backends = Arc::clone(&inner.backends);
            let held = match &principal.login {
                Some(id) => inner.table.by_id(id, now),
                None if backends.find(&principal.by).is_none() => return Ok(()),
                None => None,
            };
            let same = held.filter(|held| {
                let login = &held.login;
                (&login.user, login.role, &login.services, &login.by)
                    == (
                        &principal.user,
                        principal.role,
                        &principal.services,
                        &principal.by,
                    )
            });
            let ended = || CommandError::denied("the login has ended");
            (backends, same.ok_or_else(ended)?.vouched())
        };
        let changed = || {
            let message = format!(
                "the rights of {} have changed; log in again",
                principal.user
            );
            CommandError::denied(message)
        };
        let backend = backends.find(&principal.by).ok_or_else(changed)?;
        match backend.recheck(&vouched, &Steps::unheard()).await {
            Outcome::Accepted(accepted) => {
                let judgement = rules::judge(&self.inner().options.rules, &accepted);
                let same = judgement.rights == Some(vouched.rights);
                if same { Ok(()) } else { Err(changed()) }
            }
            Outcome::Rejected(_) | Outcome::Challenge(_) => Err(changed()),
            Outcome::Unavailable(reason) => Err(CommandError::new(Code::Unavailable, reason)),
        }
    }

    /// The failed log-ins that were counted up and are to be told by now. To be asked every few
    /// seconds.
    pub fn due(&self) -> Vec<Event> {
        let now = self.clock.now();
        self.inner().noise.take(now.at)
    }

    /// What `user` could do and why, in sentences.
    pub fn explain_access(&self, user: &str) -> Vec<String> {
        let inner = self.inner();
        let mut sentences = Vec::new();
        let mut directories = false;
        for backend in inner.backends.iter() {
            directories |= backend.kind() != "local";
            sentences.extend(backend.explain(user));
        }
        let listed = |listed: &User| listed.name == user;
        if inner.backends.find("local").is_none() && inner.options.users.iter().any(listed) {
            sentences.push("local users may not log in: backends does not list local".to_owned());
        }
        let ruled = |listed: &User| listed.name == user && listed.rights.is_none();
        if directories || inner.options.users.iter().any(ruled) {
            sentences.push(rules::explain(&inner.options.rules, user));
        } else {
            sentences.push("rules do not count: local users carry their own rights".to_owned());
        }
        let now = self.clock.now();
        let own = |login: &&Login| login.user == user;
        for login in live(&inner.table, now).filter(own) {
            sentences.push(format!(
                "logged in as {} from {} by {}, login {}",
                login.role, login.from, login.by, login.id
            ));
        }
        sentences
    }
}

fn live(table: &Table, now: Moment) -> impl Iterator<Item = &Login> {
    let held = table.iter().filter(move |held| !held.expired(now));
    held.map(|held| &held.login)
}

#[cfg(test)]
mod tests;
