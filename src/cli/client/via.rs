//! The way to a node: a Unix socket, HTTP, or a broker.
//! It must not be plaintext HTTP to another machine.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use hyper::Uri;

use crate::{
    model::name::Name,
    stomp::{Broker, BrokerError},
};

/// The way to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Via {
    /// A Unix socket on this machine.
    Unix(PathBuf),
    /// HTTP over TLS.
    Https(Place),
    /// HTTP, on loopback only.
    Http(Place),
    /// Messages by a broker.
    Bus(BusPlace),
}

/// A broker, and a node that listens there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct BusPlace {
    pub(super) broker: Broker,
    pub(super) node: String,
    /// What destinations begin with.
    pub(super) prefix: String,
}

/// What destinations begin with when nobody says otherwise.
const PREFIX: &str = "pointsman";

/// A machine and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Place {
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Via {
    /// Where a node on this machine is looked for when nobody says where it is.
    pub(super) fn defaults() -> [Self; 2] {
        ["/run/pointsman/admin.sock", "pointsman-state/admin.sock"]
            .map(|path| Self::unix(Path::new(path)))
    }

    fn unix(path: &Path) -> Self {
        Self::Unix(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
    }

    /// What stands in the header `Host`.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Unix(_) | Self::Bus(_) => "localhost".to_owned(),
            Self::Https(place) | Self::Http(place) => place.to_string(),
        }
    }
}

impl FromStr for Via {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err("unix: needs the path of a socket".to_owned()),
                path => Ok(Self::unix(Path::new(path))),
            };
        }
        if text.starts_with("stomp") {
            return text.parse().map(Self::Bus);
        }
        let shape = || "write it like unix:PATH or https://HOST:PORT".to_owned();
        let uri: Uri = text.parse().map_err(|_| shape())?;
        let authority = uri.authority().ok_or_else(shape)?;
        let port = authority.port_u16();
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let (Some(port), true, false) = (port, bare, authority.as_str().contains('@')) else {
            return Err(shape());
        };
        let host = authority.host().trim_start_matches('[');
        let host = host.trim_end_matches(']').to_owned();
        let place = Place { host, port };
        match uri.scheme_str() {
            Some("https") => Ok(Self::Https(place)),
            Some("http") if place.is_loopback() => Ok(Self::Http(place)),
            Some("http") => Err("http:// is for loopback only; elsewhere it is https://".into()),
            _ => Err(shape()),
        }
    }
}

impl FromStr for BusPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || "write it like 'stomp+ssl://BROKER?node=NAME'".to_owned();
        let (broker, query) = text.split_once('?').ok_or_else(shape)?;
        let (mut node, mut prefix) = (None, PREFIX.to_owned());
        for pair in query.split('&') {
            // In a destination these would mean more than a name.
            let (key, value) = pair.split_once('=').ok_or_else(shape)?;
            let name: Name = value.parse().map_err(|error| format!("{key}: {error}"))?;
            match key {
                "node" => node = Some(name.to_string()),
                "prefix" => prefix = name.to_string(),
                _ => return Err(shape()),
            }
        }
        Ok(Self {
            broker: broker
                .parse()
                .map_err(|error: BrokerError| error.to_string())?,
            node: node.ok_or_else(shape)?,
            prefix,
        })
    }
}

impl fmt::Display for BusPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            broker,
            node,
            prefix,
        } = self;
        write!(f, "{broker}?node={node}")?;
        match prefix == PREFIX {
            true => Ok(()),
            false => write!(f, "&prefix={prefix}"),
        }
    }
}

impl Place {
    fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host == "localhost",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Https(place) => write!(f, "https://{place}"),
            Self::Http(place) => write!(f, "http://{place}"),
            Self::Bus(place) => place.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_reads_as_it_is_written() {
        for text in [
            "unix:/run/pointsman/admin.sock",
            "https://lb1.example.org:7000",
            "https://[2001:db8::1]:7000",
            "http://127.0.0.1:7000",
            "http://[::1]:7000",
            "http://localhost:7000",
            "stomp+ssl://mq1:61614?node=lb1",
            "stomp://127.0.0.1:61613?node=lb1&prefix=edge",
        ] {
            assert_eq!(text.parse::<Via>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn plaintext_goes_to_loopback_only_and_what_is_no_way_is_refused() {
        for text in [
            "",
            "unix:",
            "/run/pointsman/admin.sock",
            "https://lb1",
            "https://lb1:7000/path",
            "https://ada@lb1:7000",
            "http://10.0.0.1:7000",
            "http://localhost.example.org:7000",
            "stomp://mq1:61613",
            "stomp://mq1:61613?node=",
            "stomp://mq1:61613?node=lb1.>",
            "stomp://mq1:61613?node=lb1&node",
            "stomp://mq1:61613?name=lb1",
            "stomps://mq1:61613?node=lb1",
        ] {
            assert!(text.parse::<Via>().is_err(), "{text}");
        }
    }
}
