//! Networks and access rules as people write them: `10.0.0.0/8`, `deny 2001:db8::/32`, `allow all`.
//! It must not decide about a client: that is [`crate::balance`].

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};

use super::text;

/// A network in CIDR notation (RFC 4632, RFC 4291 section 2.3); an address alone is a network of one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text that is no [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It cannot be read.
    #[error("{0:?} is not a network; write it like 10.0.0.0/8 or 2001:db8::/32")]
    Unreadable(String),
    /// More bits than an address has.
    #[error("{text:?} has more than {most} bits")]
    TooLong {
        /// What was written.
        text: String,
        /// How many an address of that family has.
        most: u8,
    },
    /// The address has bits outside of the network: one of the two is a slip.
    #[error("{text:?} has address bits after the {bits} of the network; did you mean {meant}?")]
    HostBits {
        /// What was written.
        text: String,
        /// The length of its network.
        bits: u8,
        /// The network that the address is in.
        meant: Network,
    },
}

impl Network {
    /// The first and the last address of the network, as numbers: of 32 bits for IPv4, of 128 for
    /// IPv6.
    pub fn range(&self) -> (u128, u128) {
        let first = number(self.address);
        let hosts = width(self.address) - self.bits;
        let last = first
            | 1u128
                .checked_shl(hosts.into())
                .map_or(u128::MAX, |size| size - 1);
        (first, last)
    }

    /// Whether it is a network of IPv4 addresses.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether `address` is in it. An IPv4 address inside IPv6 counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let (first, last) = self.range();
        address.is_ipv4() == self.is_ipv4() && (first..=last).contains(&number(address))
    }
}

/// `address` as a number.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// `address` with all but its first `bits` bits zero.
fn masked(address: IpAddr, bits: u8) -> IpAddr {
    let hosts = u32::from(width(address) - bits);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(hosts).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(hosts).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let unreadable = || NetworkError::Unreadable(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| unreadable())?;
        let most = width(address);
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| unreadable())?
            }
            Some(_) => return Err(unreadable()),
        };
        let text = text.to_owned();
        if bits > most {
            return Err(NetworkError::TooLong { text, most });
        }
        let network = masked(address, bits);
        if network != address {
            let meant = Self {
                address: network,
                bits,
            };
            return Err(NetworkError::HostBits { text, bits, meant });
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == width(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.bits)
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "a network in quotes, like \"10.0.0.0/8\"")
    }
}

/// What an access rule says of the clients that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// They are served.
    Allow,
    /// They are reset.
    Deny,
}

/// A rule: `allow` or `deny`, and a network, or `all`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct AccessRule {
    /// What it says.
    pub access: Access,
    /// Of whom; `None` is everybody.
    pub network: Option<Network>,
}

/// A text that is no [`AccessRule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessRuleError {
    /// It does not begin with a verdict.
    #[error("{0:?} is not an access rule; write it like \"allow 10.0.0.0/8\" or \"deny all\"")]
    Unreadable(String),
    /// What it is about is wrong.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl FromStr for AccessRule {
    type Err = AccessRuleError;

    fn from_str(text: &str) -> Result<Self, AccessRuleError> {
        let unreadable = || AccessRuleError::Unreadable(text.to_owned());
        let mut words = text.split_ascii_whitespace();
        let access = match words.next() {
            Some("allow") => Access::Allow,
            Some("deny") => Access::Deny,
            Some(_) | None => return Err(unreadable()),
        };
        let network = match words.next().ok_or_else(unreadable)? {
            "all" => None,
            network => Some(network.parse()?),
        };
        match words.next() {
            None => Ok(Self { access, network }),
            Some(_) => Err(unreadable()),
        }
    }
}

impl fmt::Display for AccessRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match self.access {
            Access::Allow => "allow",
            Access::Deny => "deny",
        };
        match self.network {
            Some(network) => write!(f, "{access} {network}"),
            None => write!(f, "{access} all"),
        }
    }
}

impl fmt::Debug for AccessRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<AccessRule> for String {
    fn from(rule: AccessRule) -> Self {
        rule.to_string()
    }
}

impl<'de> Deserialize<'de> for AccessRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(
            deserializer,
            "an access rule in quotes, like \"allow 10.0.0.0/8\"",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<Network>().unwrap_err().to_string()
    }

    #[test]
    fn networks_are_read_and_written_alike() {
        for text in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "127.0.0.1",
            "2001:db8::/32",
            "::/0",
            "::1",
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert_eq!(
            "10.0.0.1/32".parse::<Network>().unwrap().to_string(),
            "10.0.0.1"
        );
    }

    #[test]
    fn a_slip_in_a_network_is_said() {
        assert!(refusal("10.0.0.1/8").ends_with("did you mean 10.0.0.0/8?"));
        assert!(refusal("10.0.0.0/33").ends_with("more than 32 bits"));
        for text in [
            "",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "all",
            "10.0.0.0/8/8",
            "fe80::%1/64",
        ] {
            assert!(refusal(text).contains("is not a network"), "{text}");
        }
    }

    #[test]
    fn an_address_is_in_its_network_also_inside_ipv6() {
        let network: Network = "10.0.0.0/8".parse().unwrap();
        for (address, inside) in [
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("9.255.255.255", false),
            ("::ffff:10.1.2.3", true),
            ("::10.1.2.3", false),
        ] {
            assert_eq!(
                network.contains(address.parse().unwrap()),
                inside,
                "{address}"
            );
        }
        let all: Network = "::/0".parse().unwrap();
        assert!(
            all.contains("ffff::1".parse().unwrap()) && !all.contains("1.2.3.4".parse().unwrap())
        );
    }

    #[test]
    fn rules_are_read_and_written_alike() {
        for text in ["allow 10.0.0.0/8", "deny all", "deny ::1"] {
            assert_eq!(text.parse::<AccessRule>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "allow",
            "permit all",
            "allow all all",
            "deny 10.0.0.1/8",
        ] {
            assert!(text.parse::<AccessRule>().is_err(), "{text}");
        }
    }
}
