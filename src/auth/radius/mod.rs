//! Users whom a RADIUS server knows: asks it, and believes only what the shared secret proves.
//! It must not give a role for anything but the attributes of an Access-Accept.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};

use super::{
    Accepted, Answering, Authenticator, Credentials, Outcome, Presence, Steps, Vouched,
    clock::Clock, tls::client,
};

mod answer;
mod exchange;
mod log_in;
mod look;
mod packet;
mod tls;

pub use answer::{Answer, Granted, RoleAttribute};
pub use packet::{Discarded, Method, Request};
pub use tls::TlsFiles;

/// The secret of all, where TLS keeps the secrets (RFC 6614, section 2.3).
const RADSEC: &str = "radsec";

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// An IP address without brackets, or a name. Over TLS, its certificate is for that.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

/// What the settings say about RADIUS.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who is asked, in this order.
    pub servers: Vec<Server>,
    /// What both sides know; over TLS it may be absent.
    pub secret: Option<SecretString>,
    /// RADIUS over TLS; absent: over UDP.
    pub tls: Option<TlsFiles>,
    /// How a password is shown.
    pub method: Method,
    /// How long one transmission waits for its answer.
    pub timeout: Duration,
    /// How often it is repeated.
    pub retries: u32,
    /// Whether an answer without a Message-Authenticator counts for nothing; absent: over UDP it
    /// does, over TLS it need not.
    pub require_message_authenticator: Option<bool>,
    /// The attribute that the rules are about.
    pub role_attribute: RoleAttribute,
    /// How long an Access-Accept covers changes.
    pub trust: Duration,
    /// What this node is called, for the servers.
    pub node: String,
}

/// The servers.
pub struct Radius {
    options: Options,
    secret: SecretString,
    tls: Option<Arc<ClientConfig>>,
    clock: Clock,
    /// Until when a server is asked after all others.
    avoided: Mutex<HashMap<usize, Instant>>,
}

impl fmt::Debug for Radius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Radius")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Radius {
    /// Reads the files for TLS, and asks nobody yet.
    ///
    /// # Errors
    /// What is missing, or cannot be used.
    pub fn new(options: Options, clock: Clock) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        if options.servers.is_empty() {
            problems.push("there is no RADIUS server".to_owned());
        }
        let config = |files: &TlsFiles| client(Some(&files.ca_file), files.identity.as_ref());
        let tls = options.tls.as_ref().map(config).transpose();
        let tls = tls.unwrap_or_else(|error| {
            problems.push(error.to_string());
            None
        });
        let secret = options.secret.clone();
        let secret = secret.or_else(|| options.tls.as_ref().map(|_| RADSEC.into()));
        let secret = secret.filter(|secret| !secret.expose_secret().is_empty());
        if secret.is_none() {
            problems.push("RADIUS over UDP needs a secret".to_owned());
        }
        let Some(secret) = secret.filter(|_| problems.is_empty()) else {
            return Err(problems);
        };
        Ok(Self {
            options,
            secret,
            tls,
            clock,
            avoided: Mutex::default(),
        })
    }

    fn now(&self) -> Instant {
        self.clock.now().at
    }

    fn avoided(&self) -> MutexGuard<'_, HashMap<usize, Instant>> {
        self.avoided.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is no asking RADIUS about somebody without their password: what it once said counts
    /// for a while.
    fn still(&self, vouched: &Vouched) -> Outcome {
        let Ok(accepted) = vouched.voucher.parse::<u64>() else {
            return Outcome::Rejected("nothing is known of their log-in".to_owned());
        };
        // Also where the clock was set back: then it is not known how old it is.
        let age = self.clock.now().unix_ms.abs_diff(accepted);
        if u128::from(age) >= self.options.trust.as_millis() {
            let trust = humantime::format_duration(self.options.trust);
            let because = format!("their Access-Accept is older than {trust}");
            return Outcome::Rejected(because);
        }
        Outcome::Accepted(Accepted {
            values: vouched.values.clone(),
            voucher: vouched.voucher.clone(),
            ..Accepted::named(&vouched.user)
        })
    }
}

impl Authenticator for Radius {
    fn kind(&self) -> &'static str {
        "radius"
    }

    fn authenticate<'a>(&'a self, credentials: &'a Credentials, steps: &'a Steps) -> Answering<'a> {
        Box::pin(self.log_in(credentials, steps))
    }

    fn recheck<'a>(&'a self, vouched: &'a Vouched, steps: &'a Steps) -> Answering<'a> {
        let outcome = self.still(vouched);
        steps.tell(|| format!("radius: {}", outcome.sentence()));
        Box::pin(std::future::ready(outcome))
    }

    fn answers(&self) -> Presence<'_> {
        Box::pin(self.look())
    }
}
