//! The address of a broker: `stomp://mq1:61613` or `stomp+ssl://mq1:61614`.
//! It must not look anything up.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The registered port of STOMP, and the one that ActiveMQ takes for STOMP over TLS.
const PORTS: [u16; 2] = [61613, 61614];

/// Where a broker is, and whether it is spoken to over TLS.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Broker {
    /// Its name or address, an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether over TLS.
    pub tls: bool,
}

/// Why a text is no address of a broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a broker is \"stomp://HOST:PORT\" or \"stomp+ssl://HOST:PORT\", not {0:?}")]
pub struct BrokerError(String);

impl FromStr for Broker {
    type Err = BrokerError;

    /// A port that is left out is 61613, or 61614 over TLS.
    fn from_str(text: &str) -> Result<Self, BrokerError> {
        parse(text).ok_or_else(|| BrokerError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Broker> {
    let (scheme, rest) = text.split_once("://")?;
    let tls = match scheme {
        "stomp" => false,
        "stomp+ssl" => true,
        _ => return None,
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                if port.is_empty() {
                    None
                } else {
                    Some(port.strip_prefix(':')?)
                },
            )
        }
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let port = match port {
        // Not `+61613`, which `parse` would take.
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
        Some(_) => return None,
        None => PORTS[usize::from(tls)],
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_name) && port != 0).then(|| Broker {
        host: host.to_owned(),
        port,
        tls,
    })
}

impl TryFrom<String> for Broker {
    type Error = BrokerError;

    fn try_from(text: String) -> Result<Self, BrokerError> {
        text.parse()
    }
}

impl From<Broker> for String {
    fn from(broker: Broker) -> Self {
        broker.to_string()
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, tls } = self;
        let scheme = if *tls { "stomp+ssl" } else { "stomp" };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_read_and_written_the_same() {
        for (text, full) in [
            ("stomp://mq1:61613", "stomp://mq1:61613"),
            (
                "stomp+ssl://mq1.example.org",
                "stomp+ssl://mq1.example.org:61614",
            ),
            ("stomp://127.0.0.1", "stomp://127.0.0.1:61613"),
            ("stomp://[::1]:1", "stomp://[::1]:1"),
            ("stomp+ssl://[::1]", "stomp+ssl://[::1]:61614"),
        ] {
            let broker: Broker = text.parse().unwrap();
            assert_eq!(broker.to_string(), full);
            assert_eq!(full.parse(), Ok(broker));
        }
    }

    #[test]
    fn what_is_no_broker_is_refused() {
        for text in [
            "",
            "mq1:61613",
            "tcp://mq1:1",
            "stomp://",
            "stomp://:1",
            "stomp://mq1:0",
            "stomp://mq1:x",
            "stomp://mq1:+1",
            "stomp://mq1:65536",
            "stomp://::1",
            "stomp://[::1",
            "stomp://[mq]:1",
            "stomp://mq 1",
            "stomp://a\nb",
            "stomp://mq1/x",
            "stomp://me@mq1",
            "STOMP://mq1",
            "stomp://[::1]1",
        ] {
            assert!(text.parse::<Broker>().is_err(), "{text}");
        }
    }
}
