//! Local users: names with argon2id hashes, from the settings.
//! It must not tell by its answer, nor by the time it takes, whether a user exists.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use argon2::{
    Argon2, Params,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::{
    Accepted, Answering, Authenticator, Credentials, Outcome, Presence, Proof, Rights, Steps,
    Vouched,
};

/// Hashes at once: each takes a core and its memory, and a balancer has better uses for both.
const AT_ONCE: usize = 2;
/// Who may wait for a turn; more are told that it cannot be decided now.
const WAITING: usize = 64;
/// The costliest hash that is taken, so that a log-in cannot exhaust the machine.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
const MOST_PASSES: u32 = 20;
const MOST_LANES: u32 = 16;
/// What is verified when there is no user at all: the hash of nothing, at the cost of [`hash`].
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LW5vYm9keQ\
                      $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A local user as the settings have it.
#[derive(Clone)]
pub struct User {
    /// The name.
    pub name: String,
    /// What [`hash`] made of the password.
    pub password_hash: SecretString,
    /// What they may do; `None`: what the rules say.
    pub rights: Option<Rights>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("rights", &self.rights)
            .finish_non_exhaustive()
    }
}

/// What goes into `password_hash` for this password. Takes tens of milliseconds and blocks.
///
/// # Errors
/// When the password would never be let in, or the system has no randomness.
pub fn hash(password: &SecretString) -> Result<String, String> {
    super::plausible(password.expose_secret(), super::MAX_INPUT)?;
    hash_at(password, Params::default())
}

fn hash_at(password: &SecretString, cost: Params) -> Result<String, String> {
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cost);
    let hash: Result<PasswordHash, _> = argon2.hash_password(password.expose_secret().as_bytes());
    match hash {
        Ok(hash) => Ok(hash.to_string()),
        Err(error) => Err(format!("cannot hash: {error}")),
    }
}

/// Whether `hash` is one that [`hash`] could have made, give or take its cost.
///
/// # Errors
/// What is wrong with it, without the hash itself.
pub fn check_hash(hash: &SecretString) -> Result<(), String> {
    parse(hash).map(drop)
}

fn parse(hash: &SecretString) -> Result<PasswordHash, String> {
    let not = "is not a hash that `pointsman passwd` made".to_owned();
    let parsed = PasswordHash::new(hash.expose_secret()).map_err(|_| not.clone())?;
    let params = Params::try_from(&parsed).map_err(|_| not.clone())?;
    let complete = parsed.salt.is_some() && parsed.hash.is_some();
    if parsed.algorithm.as_str() != "argon2id" || parsed.version != Some(19) || !complete {
        return Err(not);
    }
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    if memory > MOST_MEMORY_KIB || passes > MOST_PASSES || lanes > MOST_LANES {
        let most = format!("m={MOST_MEMORY_KIB}, t={MOST_PASSES}, p={MOST_LANES}");
        return Err(format!("is a hash that costs more than {most}"));
    }
    Ok(parsed)
}

struct Entry {
    name: String,
    hash: Arc<PasswordHash>,
    rights: Option<Rights>,
    voucher: String,
}

/// The local users.
pub(super) struct Local {
    users: Vec<Entry>,
    nobody: Arc<PasswordHash>,
    key: RandomState,
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.users.iter().map(|user| user.name.as_str()).collect();
        f.debug_struct("Local")
            .field("users", &names)
            .finish_non_exhaustive()
    }
}

impl Local {
    /// These users.
    ///
    /// # Errors
    /// The names that occur twice and the hashes that are none.
    pub(super) fn new(users: &[User]) -> Result<Self, Vec<String>> {
        let (mut entries, mut problems) = (Vec::<Entry>::new(), Vec::new());
        for user in users {
            if entries.iter().any(|entry| entry.name == user.name) {
                problems.push(format!("the user {} occurs twice", user.name));
            }
            match parse(&user.password_hash) {
                Ok(hash) => entries.push(Entry {
                    name: user.name.clone(),
                    hash: Arc::new(hash),
                    rights: user.rights.clone(),
                    voucher: voucher(&user.password_hash),
                }),
                Err(what) => problems.push(format!("password_hash of {} {what}", user.name)),
            }
        }
        let nobody = parse(&NOBODY.into()).map_err(|error| vec![error]);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            users: entries,
            nobody: Arc::new(nobody?),
            key: RandomState::new(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING)),
        })
    }

    fn find(&self, user: &str) -> Option<&Entry> {
        self.users.iter().find(|entry| entry.name == user)
    }

    /// The hash to verify against. An unknown name gets that of some user, always the same one
    /// for the same name, so that it takes as long as if it were a user's, even where users'
    /// hashes differ in cost.
    fn hash_for(&self, user: &str) -> Arc<PasswordHash> {
        let index = self.key.hash_one(user) % (self.users.len().max(1) as u64);
        let stand_in = usize::try_from(index)
            .ok()
            .and_then(|index| self.users.get(index));
        let entry = self.find(user).or(stand_in);
        Arc::clone(entry.map_or(&self.nobody, |entry| &entry.hash))
    }

    async fn verify(&self, user: &str, password: &SecretString) -> Outcome {
        let busy = || Outcome::Unavailable("too many log-ins at once".to_owned());
        let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return busy();
        };
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else {
            return busy();
        };
        let (hash, password) = (self.hash_for(user), password.clone());
        // The turn goes along: a caller that gives up does not stop the hash.
        let verified = tokio::task::spawn_blocking(move || {
            let (_place, _turn) = (place, turn);
            let password = password.expose_secret().as_bytes();
            Argon2::default()
                .verify_password(password, hash.as_ref())
                .is_ok()
        });
        let Ok(right) = verified.await else {
            return Outcome::Unavailable("the password could not be verified".to_owned());
        };
        match self.find(user) {
            Some(entry) if right => Outcome::Accepted(entry.accepted()),
            Some(_) => Outcome::Rejected("the password is wrong".to_owned()),
            None => Outcome::Rejected("there is no such user".to_owned()),
        }
    }
}

impl Entry {
    fn accepted(&self) -> Accepted {
        Accepted {
            rights: self.rights.clone(),
            voucher: self.voucher.clone(),
            ..Accepted::named(&self.name)
        }
    }
}

/// What a login remembers of the hash: enough to see that it is another one now.
fn voucher(hash: &SecretString) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(super::digest(hash.expose_secret()))
}

impl Authenticator for Local {
    fn kind(&self) -> &'static str {
        "local"
    }

    fn authenticate<'a>(&'a self, credentials: &'a Credentials, _: &'a Steps) -> Answering<'a> {
        Box::pin(async move {
            match &credentials.proof {
                Proof::Password(password) => self.verify(&credentials.user, password).await,
                Proof::Answer { .. } => Outcome::Rejected("nothing was asked".to_owned()),
            }
        })
    }

    fn recheck<'a>(&'a self, vouched: &'a Vouched, _: &'a Steps) -> Answering<'a> {
        let entry = self.find(&vouched.user);
        let outcome = match entry.filter(|entry| entry.voucher == vouched.voucher) {
            Some(entry) => Outcome::Accepted(entry.accepted()),
            None => Outcome::Rejected("the user is gone or has another password".to_owned()),
        };
        Box::pin(std::future::ready(outcome))
    }

    fn stands(&self, vouched: &Vouched) -> bool {
        let entry = self.find(&vouched.user);
        entry.is_some_and(|entry| {
            let own = entry.rights.as_ref();
            entry.voucher == vouched.voucher && own.is_none_or(|own| *own == vouched.rights)
        })
    }

    fn knows(&self, user: &str) -> bool {
        self.find(user).is_some()
    }

    fn own_rights(&self, user: &str) -> Option<Rights> {
        self.find(user)?.rights.clone()
    }

    fn look_up<'a>(&'a self, user: &'a str, _: &'a Steps) -> Answering<'a> {
        let outcome = match self.find(user) {
            Some(entry) => Outcome::Accepted(entry.accepted()),
            None => Outcome::Rejected("there is no such user".to_owned()),
        };
        Box::pin(std::future::ready(outcome))
    }

    fn answers(&self) -> Presence<'_> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
pub(super) mod tests;
