//! How a group's hosts are checked: the kinds of probes, and what each of them can be told.
//! It must not probe: that is [`crate::health`].
//!
//! What spans several values is in [`crate::model::check`].

use serde::{Deserialize, Serialize};

use super::{Days, Port, Times};
use crate::model::{name::Name, period::Period};

mod status;
mod table;
mod words;

pub use status::StatusRange;
pub use words::{HttpMethod, HttpPath, HttpTarget, Sent, ServerName, Wanted};

/// How the hosts of a group are checked.
///
/// Written as one table: `{ kind = "http", path = "/ready", interval = "2s" }`. A key that belongs
/// to another kind cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "table::ProbeTable", into = "table::ProbeTable")]
pub struct Probe {
    /// What is asked.
    pub kind: ProbeKind,
    /// From the start of one probe of a host to the start of the next.
    pub interval: Period,
    /// The same while results contradict the health that the host has; absent: `interval`.
    pub fast_interval: Option<Period>,
    /// For one probe as a whole.
    pub timeout: Period,
    /// How many failed probes in a row take a host down.
    pub fall: Times,
    /// How many passed probes in a row bring it up again.
    pub rise: Times,
    /// The port that is asked; absent: the one where the host takes sessions.
    pub port: Option<Port>,
}

/// What a probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// Whether a connection stands.
    Tcp,
    /// Whether a TLS handshake is done, and for how long the certificate is good.
    Tls(TlsProbe),
    /// Whether an HTTP request is answered as it should be.
    Http(HttpProbe),
    /// A program of the settings.
    Exec {
        /// Its name there: `[programs.NAME]`.
        program: Name,
    },
    /// The host's own word, in the line protocol of HAProxy's agent-check.
    Agent {
        /// What is sent before the answer is read; absent: nothing.
        send: Option<Sent>,
    },
}

/// Whom a probe over TLS trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The name that the certificate must be for; absent: the address that is asked.
    pub server_name: Option<ServerName>,
    /// The certificates that vouch for it: `[certificates.NAME]`; absent: those of the system.
    pub ca: Option<Name>,
}

/// What a `tls` probe looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsProbe {
    /// Whom it trusts.
    pub trust: Trust,
    /// It fails when the certificate is good for fewer whole days.
    pub min_days: Days,
    /// It warns when the certificate is good for fewer whole days.
    pub warn_days: Days,
}

/// What an `http` probe asks, and what must come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    /// What is asked for.
    pub path: HttpPath,
    /// The header `Host`; absent: the address that is asked.
    pub host: Option<HttpTarget>,
    /// How it is asked.
    pub method: HttpMethod,
    /// The status codes with which it passes.
    pub status: Vec<StatusRange>,
    /// A text that must occur in the body; absent: the body is not looked at.
    pub body: Option<Wanted>,
    /// Whom it trusts; absent: no TLS.
    pub tls: Option<Trust>,
}

impl Probe {
    /// A probe of `kind`, with the defaults for all else.
    pub fn of(kind: ProbeKind) -> Self {
        Self {
            kind,
            interval: table::INTERVAL,
            fast_interval: None,
            timeout: table::TIMEOUT,
            fall: table::FALL,
            rise: table::RISE,
            port: None,
        }
    }

    /// The program of the settings that it runs.
    pub fn program(&self) -> Option<&Name> {
        match &self.kind {
            ProbeKind::Exec { program } => Some(program),
            ProbeKind::Tcp | ProbeKind::Tls(_) | ProbeKind::Http(_) | ProbeKind::Agent { .. } => {
                None
            }
        }
    }

    /// The certificates of the settings that it trusts.
    pub fn ca(&self) -> Option<&Name> {
        let trust = match &self.kind {
            ProbeKind::Tls(tls) => Some(&tls.trust),
            ProbeKind::Http(http) => http.tls.as_ref(),
            ProbeKind::Tcp | ProbeKind::Exec { .. } | ProbeKind::Agent { .. } => None,
        };
        trust?.ca.as_ref()
    }
}

impl ProbeKind {
    /// The name of the kind, as it is written.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls(_) => "tls",
            Self::Http(_) => "http",
            Self::Exec { .. } => "exec",
            Self::Agent { .. } => "agent",
        }
    }
}

impl Default for TlsProbe {
    fn default() -> Self {
        Self {
            trust: Trust::default(),
            min_days: table::MIN_DAYS,
            warn_days: Days::default(),
        }
    }
}

impl Default for HttpProbe {
    fn default() -> Self {
        Self {
            path: HttpPath::default(),
            host: None,
            method: HttpMethod::default(),
            status: vec![StatusRange::default()],
            body: None,
            tls: None,
        }
    }
}

#[cfg(test)]
mod tests;
