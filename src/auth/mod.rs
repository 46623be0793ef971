//! Who somebody is: checks a name and a password, and remembers who is logged in.
//! It must not decide what they may change; the policy does.

use std::{fmt, future::Future, pin::Pin};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

pub mod backends;
pub mod clock;
pub mod ldap;
pub mod local;
pub mod login;
pub mod noise;
mod presence;
mod questions;
pub mod radius;
pub mod rules;
mod steps;
mod table;
pub mod tally;
mod throttle;
pub mod tls;
mod trial;

pub use login::{Attempt, Effects, Entered, Login, Logins, Options, Record, Refused, Source};
pub use rules::{Matcher, Rights, Rule};
pub use steps::Steps;
pub use trial::{Trial, Tried};

/// The longest user name or password, in bytes.
pub const MAX_INPUT: usize = 256;
/// The longest state that a challenge hands out and gets back.
const MAX_STATE: usize = 1024;

/// What a backend answers with, in time.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// Whether a backend is there: nothing, or why it seems to be away.
pub type Presence<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Something that knows people: local users, a directory.
pub trait Authenticator: Send + Sync + fmt::Debug {
    /// Its name in `auth.backends`, and in `by` of those for whom it vouches.
    fn kind(&self) -> &'static str;

    /// Whether they are who they say, told to `steps` as it goes. Only ever asked what passed
    /// [`Credentials::check`].
    fn authenticate<'a>(&'a self, credentials: &'a Credentials, steps: &'a Steps) -> Answering<'a>;

    /// Whether it still vouches for somebody who is logged in, and what it knows of them now.
    fn recheck<'a>(&'a self, vouched: &'a Vouched, steps: &'a Steps) -> Answering<'a>;

    /// Whether somebody who is logged in still stands in the settings, as far as that can be
    /// told without asking anybody.
    fn stands(&self, _vouched: &Vouched) -> bool {
        true
    }

    /// Whether the settings name `user` among those for whom it vouches.
    fn knows(&self, _user: &str) -> bool {
        false
    }

    /// What the settings themselves let `user` do, where no rule is asked.
    fn own_rights(&self, _user: &str) -> Option<Rights> {
        None
    }

    /// What it knows of `user` without a password: whether they are there and not locked, their
    /// groups. One that cannot be asked that is unavailable.
    fn look_up<'a>(&'a self, _user: &'a str, _steps: &'a Steps) -> Answering<'a> {
        let reason = format!("{} tells nothing without a password", self.kind());
        Box::pin(std::future::ready(Outcome::Unavailable(reason)))
    }

    /// Whether any of its servers is there, asked without any person's name or password: so
    /// nobody who logs in decides what comes of it. Should be known within a second; it is
    /// given up after two. Local users are let in (`local-break-glass`) only while this fails.
    fn answers(&self) -> Presence<'_>;
}

/// Three answers, and a question. A rejection is final: no other backend is asked then, and
/// one that cannot tell never looks like it.
#[derive(Debug)]
pub enum Outcome {
    /// They are who they say.
    Accepted(Accepted),
    /// They are not, for this reason: for the audit trail, never for the person at the door.
    Rejected(String),
    /// Nobody can tell now, for this reason.
    Unavailable(String),
    /// One more question first.
    Challenge(Challenge),
}

impl Outcome {
    /// `rejected: the password is wrong`; for the audit trail.
    pub fn sentence(&self) -> String {
        match self {
            Self::Accepted(accepted) => format!("accepted as {}", accepted.user),
            Self::Rejected(because) => format!("rejected: {because}"),
            Self::Unavailable(because) => format!("unavailable: {because}"),
            Self::Challenge(challenge) => format!("asks: {}", challenge.message),
        }
    }
}

/// What a backend knows of somebody whom it accepted.
#[derive(Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Their name, as the backend spells it.
    pub user: String,
    /// The groups that they are in.
    pub groups: Vec<String>,
    /// Values that the backend handed out for the rules.
    pub values: Vec<String>,
    /// What they may do, where the backend itself says so; no rule is asked then.
    pub rights: Option<Rights>,
    /// What [`Authenticator::recheck`] recognises them by. No secret.
    pub voucher: String,
}

impl Accepted {
    /// Somebody of whom nothing but the name is known.
    pub fn named(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            groups: Vec::new(),
            values: Vec::new(),
            rights: None,
            voucher: String::new(),
        }
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("user", &self.user)
            .field("groups", &self.groups)
            .field("values", &self.values)
            .field("rights", &self.rights)
            .finish_non_exhaustive()
    }
}

/// A question in return: a one-time code.
#[derive(Clone)]
pub struct Challenge {
    /// The question, for the person.
    pub message: String,
    /// What comes back with the answer.
    pub state: SecretString,
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = &self.message;
        f.debug_struct("Challenge")
            .field("message", message)
            .finish_non_exhaustive()
    }
}

/// Somebody who is logged in, as the backend that vouched for them needs to know them.
#[derive(Clone)]
pub struct Vouched {
    /// Their name.
    pub user: String,
    /// What they may do by their login.
    pub rights: Rights,
    /// What the backend gave in [`Accepted::values`].
    pub values: Vec<String>,
    /// What the backend gave in [`Accepted::voucher`].
    pub voucher: String,
}

impl fmt::Debug for Vouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vouched")
            .field("user", &self.user)
            .field("rights", &self.rights)
            .finish_non_exhaustive()
    }
}

/// What somebody shows.
#[derive(Clone)]
pub struct Credentials {
    /// Who they say they are.
    pub user: String,
    /// What proves it.
    pub proof: Proof,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // People type passwords where the name belongs.
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// What proves who somebody is.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A password.
    Password(SecretString),
    /// The answer to a challenge.
    Answer {
        /// What came with the challenge.
        state: SecretString,
        /// The one-time code.
        otp: SecretString,
    },
}

impl Credentials {
    /// Whether a backend may be asked at all. Directories take an empty password for a log-in
    /// without a name, and cut a name at its first NUL.
    ///
    /// # Errors
    /// What is wrong, without the input itself.
    pub fn check(&self) -> Result<(), &'static str> {
        plausible(&self.user, MAX_INPUT)?;
        match &self.proof {
            Proof::Password(password) => plausible(password.expose_secret(), MAX_INPUT),
            Proof::Answer { state, otp } => {
                plausible(state.expose_secret(), MAX_STATE)?;
                plausible(otp.expose_secret(), MAX_INPUT)
            }
        }
    }
}

fn plausible(input: &str, longest: usize) -> Result<(), &'static str> {
    if input.trim().is_empty() {
        return Err("an empty or blank name or password");
    }
    if input.contains('\0') {
        return Err("a NUL in the name or password");
    }
    if input.len() > longest {
        return Err("a name or password that is too long");
    }
    Ok(())
}

/// SHA-256, of what must be recognised and not be kept.
fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests;
