//! What doors ask about people: the contract of whoever keeps logins.
//! It must not know how passwords are checked or where logins are kept.

use std::{fmt, pin::Pin, time::Duration};

use secrecy::SecretString;
use serde::Serialize;

use crate::{
    control::record::Entry,
    model::{
        error::CommandError,
        principal::{Door, Principal, Role, Scope},
    },
};

/// What is ready later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Knows who people are.
///
/// Everything may be called at any time from any number of connections at once; a future that is
/// dropped because its caller went away must leave nothing half done.
pub trait Authority: fmt::Debug + Send + Sync {
    /// Whether people log in here: whether there is any `[auth]`. Where not, the owner of the
    /// process and root are admins at the Unix socket.
    fn required(&self) -> bool;

    /// Checks what somebody says about themselves.
    fn login(&self, attempt: Attempt) -> Later<'_, LoginReply>;

    /// As [`Self::login`]. What `beside` makes of the reply is recorded with it, all or nothing,
    /// before the reply is given.
    ///
    /// # Errors
    /// `unavailable` when it could not be recorded.
    fn login_with<'a>(
        &'a self,
        attempt: Attempt,
        beside: Beside<'a>,
    ) -> Later<'a, Result<LoginReply, CommandError>>;

    /// Whose the login with this id is, as long as it lasts. For a door that has other proof than
    /// a token.
    fn principal_of<'a>(
        &'a self,
        login: &'a str,
        door: Door,
        from: &'a str,
    ) -> Later<'a, Option<Principal>>;

    /// Whose login `token` is, as long as it lasts.
    fn principal<'a>(
        &'a self,
        token: &'a SecretString,
        door: Door,
        from: &'a str,
    ) -> Later<'a, Option<Principal>>;

    /// Ends the login of `token`; `false` when there is none.
    ///
    /// # Errors
    /// `unavailable` when its end cannot be recorded.
    fn logout<'a>(&'a self, token: &'a SecretString) -> Later<'a, Result<bool, CommandError>>;
}

/// What is to be recorded with a log-in that came to this.
pub type Beside<'a> = Box<dyn FnOnce(&LoginReply) -> Entry + Send + 'a>;

/// Somebody who says who they are.
pub struct Attempt {
    /// The name they give.
    pub user: String,
    /// What is to prove it.
    pub proof: Proof,
    /// The way they came in.
    pub door: Door,
    /// Where from, without what changes from one connection to the next: `10.0.0.7`, `uid 1000`.
    pub from: String,
    /// The key that they are to be known by, where they bring one: the answer to a challenge has
    /// to come with the same.
    pub key: Option<[u8; 32]>,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("door", &self.door)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// What is to prove who somebody is.
#[derive(Debug)]
pub enum Proof {
    /// A password.
    Password(SecretString),
    /// A one-time code, after a challenge.
    Code {
        /// The handle that came with the challenge.
        state: SecretString,
        /// The code.
        otp: SecretString,
    },
}

/// What comes of an [`Attempt`].
#[derive(Debug)]
pub enum LoginReply {
    /// They are who they say.
    Accepted(Box<Accepted>),
    /// They are asked for more.
    Challenge {
        /// What to show them.
        challenge: String,
        /// The handle to send back with the code.
        state: String,
    },
    /// They are not, or may nothing here; they are not told which.
    Rejected,
    /// Too many attempts; nobody was asked.
    SlowDown {
        /// When the next attempt is looked at.
        retry_after: Duration,
    },
    /// It cannot be decided now.
    Unavailable(String),
}

/// A new login.
#[derive(Debug)]
pub struct Accepted {
    /// What proves it from now on; it is shown once.
    pub token: SecretString,
    /// What is told about it beside the token.
    pub login: Login,
}

/// What is told about a login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Login {
    /// Its id, which is no secret.
    pub login: String,
    /// Whose it is.
    pub user: String,
    /// What they may do.
    pub role: Role,
    /// On which services.
    pub services: Scope,
    /// Who vouched for them.
    pub by: String,
    /// When it ends: RFC 3339.
    pub expires: String,
}
