//! The settings of RADIUS servers that are asked about passwords.
//! It must not ask them, nor fetch a secret.

use std::{fmt, net::Ipv6Addr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::Secret;
use crate::model::{
    period::Period,
    problem::{Place, Problem},
};

/// The longest that one transmission may wait for its answer.
const LONGEST: Duration = Duration::from_secs(60);
/// Most servers; more than one log-in has time for.
const MOST_SERVERS: usize = 16;

/// RADIUS servers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Radius {
    /// The servers, asked in this order.
    pub servers: Vec<RadiusServer>,
    /// What both sides know; over TLS it may be absent, and is `radsec` then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// RADIUS over TLS (RFC 6614); absent: over UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<RadiusTls>,
    /// How a password is shown.
    pub method: RadiusMethod,
    /// How long one transmission waits for its answer.
    pub timeout: Period,
    /// How often it is repeated.
    pub retries: Retries,
    /// Whether an answer without a Message-Authenticator counts for nothing; absent: over UDP it
    /// does, over TLS it need not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_message_authenticator: Option<bool>,
    /// The attribute of an Access-Accept that the rules are about.
    pub role_attribute: RoleAttribute,
    /// How long an Access-Accept covers changes.
    pub trust: Period,
    /// Who is asked again about somebody for whom RADIUS vouched.
    pub recheck_with: RecheckWith,
}

impl Default for Radius {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            secret: None,
            tls: None,
            method: RadiusMethod::Pap,
            timeout: Period::from_secs(2),
            retries: Retries(3),
            require_message_authenticator: None,
            role_attribute: RoleAttribute::FilterId,
            trust: Period::from_secs(300),
            recheck_with: RecheckWith::None,
        }
    }
}

/// What RADIUS over TLS trusts and shows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RadiusTls {
    /// The authorities that vouch for the servers, as PEM.
    pub ca_file: PathBuf,
    /// The certificate that this node shows, as PEM; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// Its private key, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

/// How a password is shown to a RADIUS server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RadiusMethod {
    /// Hidden by the secret.
    Pap,
    /// As a digest, for which the server must know the password itself.
    Chap,
}

/// An attribute of an Access-Accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleAttribute {
    /// Filter-Id.
    FilterId,
    /// Class.
    Class,
    /// Cisco-AVPair.
    CiscoAvpair,
}

/// Who is asked again before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecheckWith {
    /// Nobody: an Access-Accept counts for `trust`.
    None,
    /// The LDAP directory.
    Ldap,
}

/// A number of repetitions: 0 to 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Retries(u8);

impl Retries {
    /// The number.
    pub const fn get(self) -> u32 {
        self.0 as u32
    }
}

impl TryFrom<i64> for Retries {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        match u8::try_from(number) {
            Ok(retries) if retries <= 10 => Ok(Self(retries)),
            _ => Err(format!("{number} is not between 0 and 10")),
        }
    }
}

impl From<Retries> for i64 {
    fn from(retries: Retries) -> Self {
        retries.0.into()
    }
}

/// `HOST:PORT`, with a name or an address; IPv6 addresses stand in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RadiusServer {
    text: String,
    host: String,
    port: u16,
}

impl RadiusServer {
    /// The name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl TryFrom<String> for RadiusServer {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const NOT: &str = "this is no server with a port, like \"10.0.0.9:1812\"";
        let (host, port) = text.rsplit_once(':').ok_or(NOT)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(NOT)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let host = match host.strip_prefix('[') {
            Some(rest) => {
                let host = rest.strip_suffix(']').ok_or(NOT)?;
                host.parse::<Ipv6Addr>().map_err(|_| NOT)?;
                host
            }
            None if !host.is_empty() && host.len() <= 253 && host.chars().all(fits) => host,
            None => return Err(NOT),
        };
        let host = host.to_owned();
        Ok(Self { text, host, port })
    }
}

impl From<RadiusServer> for String {
    fn from(server: RadiusServer) -> Self {
        server.text
    }
}

impl fmt::Display for RadiusServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Everything that is wrong between the keys of `radius`, which is at `place`.
pub(super) fn check(radius: &Radius, place: &Place, problems: &mut Vec<Problem>) {
    let mut report = |key: &str, message: &str| {
        problems.push(Problem::new(place.key(key), message));
    };
    match radius.servers.len() {
        0 => report("servers", "there is no server to ask"),
        1..=MOST_SERVERS => {}
        _ => report("servers", "these are more than 16"),
    }
    for (index, server) in radius.servers.iter().enumerate() {
        let before = radius.servers.iter().take(index);
        if before.filter(|other| *other == server).count() == 1 {
            report("servers", "one of them stands here twice");
        }
    }
    if radius.secret.is_none() && radius.tls.is_none() {
        report(
            "secret",
            "over UDP a secret is all that proves an answer: set one",
        );
    }
    let timeout = radius.timeout.duration();
    if timeout.is_zero() || timeout > LONGEST {
        report("timeout", "this is not between 1ms and 1m");
    }
    if let Some(tls) = &radius.tls {
        match (&tls.cert_file, &tls.key_file) {
            (Some(_), None) => report("tls", "`cert_file` needs a `key_file`"),
            (None, Some(_)) => report("tls", "`key_file` needs a `cert_file`"),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(toml: &str) -> Vec<String> {
        let radius: Radius = match toml::from_str(toml) {
            Ok(radius) => radius,
            Err(error) => return vec![error.to_string()],
        };
        let mut problems = Vec::new();
        let place = Place::root().key("auth").key("radius");
        check(&radius, &place, &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_makes_sense_passes() {
        let udp = "servers = [\"10.0.0.9:1812\", \"[::1]:1812\"]\nsecret = { env = \"X\" }";
        let tls = "servers = [\"radius.example.org:2083\"]\ntls = { ca_file = \"ca.pem\" }\n\
                   method = \"chap\"\nretries = 0\nrequire_message_authenticator = true\n\
                   role_attribute = \"cisco-avpair\"\ntrust = \"0s\"\nrecheck_with = \"ldap\"";
        for good in [udp, tls] {
            assert_eq!(problems(good), [""; 0]);
            let radius: Radius = toml::from_str(good).unwrap();
            let again: Radius = toml::from_str(&toml::to_string(&radius).unwrap()).unwrap();
            assert_eq!(again, radius);
        }
    }

    #[test]
    fn what_is_missing_or_contradicts_is_found_all_at_once() {
        let found = problems("timeout = \"61s\"");
        for key in [
            "servers: there is no",
            "secret: over UDP",
            "timeout: this is not",
        ] {
            let hits = found.iter().filter(|problem| problem.contains(key)).count();
            assert_eq!(hits, 1, "{key}: {found:#?}");
        }
        assert_eq!(found.len(), 3, "{found:#?}");
        let twice = "servers = [\"a:1\", \"a:1\"]\n\
                     tls = { ca_file = \"x\", key_file = \"k\" }";
        let found = problems(twice);
        assert!(found.len() == 2 && found[0].contains("twice"), "{found:#?}");
        assert!(found[1].contains("needs a `cert_file`"), "{found:#?}");
    }

    #[test]
    fn a_value_or_key_that_is_none_is_refused() {
        for wrong in [
            "retries = 11",
            "retries = -1",
            "method = \"mschap\"",
            "role_attribute = \"reply-message\"",
            "recheck_with = \"radius\"",
            "server = [\"a:1\"]",
            "tls = {}",
            "tls = { ca_file = \"x\", ca = \"y\" }",
        ] {
            let error = toml::from_str::<Radius>(wrong);
            assert!(error.is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_server_is_a_host_and_a_port() {
        let server = |text: &str| RadiusServer::try_from(text.to_owned());
        let parts = |text| {
            let server = server(text).unwrap();
            (server.host().to_owned(), server.port())
        };
        assert_eq!(parts("10.0.0.9:1812"), ("10.0.0.9".to_owned(), 1812));
        assert_eq!(parts("[::1]:2083"), ("::1".to_owned(), 2083));
        assert_eq!(parts("r1.example.org:1"), ("r1.example.org".to_owned(), 1));
        for wrong in [
            "", "a", "a:0", "a:x", "a:70000", ":1812", "::1:1812", "[a]:1", "[::1]", "u@a:1",
        ] {
            assert!(server(wrong).is_err(), "{wrong}");
        }
    }
}
