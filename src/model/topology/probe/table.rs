//! How a probe is written: one flat table, in which each key belongs to one kind or to all.
//! It must not let a key through that its kind does not have.

use serde::{Deserialize, Serialize};

use super::{
    HttpMethod, HttpPath, HttpProbe, HttpTarget, Probe, ProbeKind, Sent, ServerName, StatusRange,
    TlsProbe, Trust, Wanted,
};
use crate::model::{
    name::Name,
    period::Period,
    topology::{Days, Port, Times},
};

pub(super) const INTERVAL: Period = Period::from_secs(2);
pub(super) const TIMEOUT: Period = Period::from_secs(1);
pub(super) const FALL: Times = Times(3);
pub(super) const RISE: Times = Times(2);
pub(super) const MIN_DAYS: Days = Days(0);

/// The name of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Tcp,
    Tls,
    Http,
    Exec,
    Agent,
}

/// Every key that a probe of any kind may have. All that a probe has is written, defaults too: a
/// key that another kind does not have is then seen to go with the kind.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProbeTable {
    kind: Kind,
    #[serde(default = "interval")]
    interval: Period,
    #[serde(skip_serializing_if = "Option::is_none")]
    fast_interval: Option<Period>,
    #[serde(default = "timeout")]
    timeout: Period,
    #[serde(default = "fall")]
    fall: Times,
    #[serde(default = "rise")]
    rise: Times,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<Port>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<HttpPath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<HttpTarget>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<HttpMethod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Vec<StatusRange>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Wanted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<ServerName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_days: Option<Days>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warn_days: Option<Days>,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send: Option<Sent>,
}

const fn interval() -> Period {
    INTERVAL
}

const fn timeout() -> Period {
    TIMEOUT
}

const fn fall() -> Times {
    FALL
}

const fn rise() -> Times {
    RISE
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Exec => "exec",
            Self::Agent => "agent",
        }
    }
}

impl ProbeTable {
    /// Each key that not every kind has: whether it is there, and the kinds that have it.
    fn owned_keys(&self) -> [(&'static str, bool, &'static [Kind]); 12] {
        const HTTP: &[Kind] = &[Kind::Http];
        const TLS: &[Kind] = &[Kind::Tls];
        const TRUST: &[Kind] = &[Kind::Tls, Kind::Http];
        [
            ("path", self.path.is_some(), HTTP),
            ("host", self.host.is_some(), HTTP),
            ("method", self.method.is_some(), HTTP),
            ("status", self.status.is_some(), HTTP),
            ("body", self.body.is_some(), HTTP),
            ("tls", self.tls.is_some(), HTTP),
            ("server_name", self.server_name.is_some(), TRUST),
            ("ca", self.ca.is_some(), TRUST),
            ("min_days", self.min_days.is_some(), TLS),
            ("warn_days", self.warn_days.is_some(), TLS),
            ("program", self.program.is_some(), &[Kind::Exec]),
            ("send", self.send.is_some(), &[Kind::Agent]),
        ]
    }

    fn trust(&self) -> Trust {
        Trust {
            server_name: self.server_name.clone(),
            ca: self.ca.clone(),
        }
    }

    fn http(self) -> Result<HttpProbe, String> {
        let trust = self.trust();
        let with_tls = self.tls.unwrap_or_default();
        if !with_tls && trust != Trust::default() {
            let key = if trust.ca.is_some() {
                "ca"
            } else {
                "server_name"
            };
            return Err(format!("`{key}` means something only with `tls = true`"));
        }
        let method = self.method.unwrap_or_default();
        if method == HttpMethod::Head && self.body.is_some() {
            return Err(
                "the answer to HEAD has no body, so `body` cannot be looked for".to_owned(),
            );
        }
        let status = self.status.unwrap_or_else(|| vec![StatusRange::default()]);
        if status.is_empty() {
            return Err("`status` needs a code with which it passes, like \"200-399\"".to_owned());
        }
        Ok(HttpProbe {
            path: self.path.unwrap_or_default(),
            host: self.host,
            method,
            status,
            body: self.body,
            tls: with_tls.then_some(trust),
        })
    }
}

impl TryFrom<ProbeTable> for Probe {
    type Error = String;

    fn try_from(table: ProbeTable) -> Result<Self, String> {
        let kind = table.kind;
        for (key, is_there, owners) in table.owned_keys() {
            if is_there && !owners.contains(&kind) {
                let owners: Vec<_> = owners.iter().map(|owner| owner.word()).collect();
                let have = if owners.len() == 1 { "has" } else { "have" };
                let owners = owners.join(" and ");
                let kind = kind.word();
                return Err(format!(
                    "a probe of kind {kind} has no `{key}`; only {owners} {have}"
                ));
            }
        }
        let probe = Self {
            kind: ProbeKind::Tcp,
            interval: table.interval,
            fast_interval: table.fast_interval,
            timeout: table.timeout,
            fall: table.fall,
            rise: table.rise,
            port: table.port,
        };
        let kind = match kind {
            Kind::Tcp => ProbeKind::Tcp,
            Kind::Tls => ProbeKind::Tls(TlsProbe {
                trust: table.trust(),
                min_days: table.min_days.unwrap_or(MIN_DAYS),
                warn_days: table.warn_days.unwrap_or_default(),
            }),
            Kind::Http => ProbeKind::Http(table.http()?),
            Kind::Exec => ProbeKind::Exec {
                program: table
                    .program
                    .ok_or("a probe of kind exec needs a `program`")?,
            },
            Kind::Agent => ProbeKind::Agent { send: table.send },
        };
        Ok(Self { kind, ..probe })
    }
}

impl From<Probe> for ProbeTable {
    fn from(probe: Probe) -> Self {
        let mut table = Self {
            kind: Kind::Tcp,
            interval: probe.interval,
            fast_interval: probe.fast_interval,
            timeout: probe.timeout,
            fall: probe.fall,
            rise: probe.rise,
            port: probe.port,
            path: None,
            host: None,
            method: None,
            status: None,
            body: None,
            tls: None,
            server_name: None,
            ca: None,
            min_days: None,
            warn_days: None,
            program: None,
            send: None,
        };
        match probe.kind {
            ProbeKind::Tcp => {}
            ProbeKind::Tls(tls) => {
                table.kind = Kind::Tls;
                table.server_name = tls.trust.server_name;
                table.ca = tls.trust.ca;
                table.min_days = Some(tls.min_days);
                table.warn_days = Some(tls.warn_days);
            }
            ProbeKind::Http(http) => {
                table.kind = Kind::Http;
                table.path = Some(http.path);
                table.host = http.host;
                table.method = Some(http.method);
                table.status = Some(http.status);
                table.body = http.body;
                table.tls = Some(http.tls.is_some());
                let trust = http.tls.unwrap_or_default();
                table.server_name = trust.server_name;
                table.ca = trust.ca;
            }
            ProbeKind::Exec { program } => {
                table.kind = Kind::Exec;
                table.program = Some(program);
            }
            ProbeKind::Agent { send } => {
                table.kind = Kind::Agent;
                table.send = send;
            }
        }
        table
    }
}
