//! Where a probe asks: what it connects to, and by which name that is known.
//! It must not connect.

use std::fmt;

use crate::model::address::{Endpoint, HostAddress};

/// Where a probe asks. Shown as what is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    at: Endpoint,
    known_as: HostAddress,
}

impl Asked {
    /// The host `address`, which is reached at `at` now; on another `port`, where one is given.
    /// Unix sockets have no ports.
    pub fn new(address: &HostAddress, mut at: Endpoint, port: Option<u16>) -> Self {
        if let (Endpoint::Ip(at), Some(port)) = (&mut at, port) {
            at.set_port(port);
        }
        let known_as = match address {
            HostAddress::Named(name) => {
                HostAddress::Named(name.with_port(port.unwrap_or_else(|| name.port())))
            }
            HostAddress::At(_) => HostAddress::At(at.clone()),
        };
        Self { at, known_as }
    }

    /// What is connected to.
    pub fn at(&self) -> &Endpoint {
        &self.at
    }

    /// Name or address and port, as a URL has them; of a Unix socket, `localhost`.
    pub(super) fn authority(&self) -> String {
        match &self.known_as {
            HostAddress::At(Endpoint::Unix(_)) => LOCALHOST.to_owned(),
            HostAddress::At(Endpoint::Ip(address)) => address.to_string(),
            HostAddress::Named(name) => name.to_string(),
        }
    }

    /// Whom a certificate must be for, where nothing else is said: a name, or an IP address.
    #[cfg(feature = "server")]
    pub(super) fn server_name(&self) -> String {
        match &self.known_as {
            HostAddress::Named(name) => name.name().trim_end_matches('.').to_owned(),
            HostAddress::At(Endpoint::Ip(address)) => address.ip().to_string(),
            HostAddress::At(Endpoint::Unix(_)) => LOCALHOST.to_owned(),
        }
    }
}

/// What this machine calls itself.
const LOCALHOST: &str = "localhost";

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_host_is_asked_by_its_name_at_its_address() {
        let asked = |host: &str, at: &str, port| {
            Asked::new(&host.parse().unwrap(), at.parse().unwrap(), port)
        };
        let named = asked("app.example:80", "10.0.0.1:80", Some(8080));
        assert_eq!(named.to_string(), "10.0.0.1:8080");
        assert_eq!(named.authority(), "app.example:8080");
        let plain = asked("10.0.0.1:80", "10.0.0.1:80", None);
        assert_eq!(plain.authority(), "10.0.0.1:80");
        let unix = asked("unix:/run/a", "unix:/run/a", None);
        assert_eq!(
            (unix.to_string().as_str(), unix.authority().as_str()),
            ("unix:/run/a", "localhost")
        );
    }
}
