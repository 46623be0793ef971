//! Addresses as people write them: `10.0.0.1:80`, `[::1]:80`, `app.example.org:80`, `unix:/run/a`.
//! It must not resolve anything.

use std::{
    fmt,
    net::SocketAddr,
    path::{Component, Path},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize};

use super::text;

/// An IP address and a port, where nothing else will do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct Address(SocketAddr);

/// Where a socket is: what is listened on, and what can be connected to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub enum Endpoint {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix socket in the file system.
    Unix(UnixPath),
}

/// Where a host is to be reached.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub enum HostAddress {
    /// There.
    At(Endpoint),
    /// Where a name leads.
    Named(HostName),
}

/// A name that leads to addresses, and the port there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName {
    name: Arc<str>,
    port: u16,
}

/// The path of a Unix socket: absolute, without `.` or `..`, 1 to 107 bytes (unix(7)).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixPath(Arc<str>);

/// A text that is no address of the kind that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No [`Address`].
    #[error(
        "{0:?} is not an IP address with a port; write it like 10.0.0.1:80 or [2001:db8::1]:80"
    )]
    NotIp(String),
    /// No [`Endpoint`].
    #[error(
        "{0:?} is not an IP address with a port; write it like 10.0.0.1:80, [2001:db8::1]:80 or \
         unix:/run/web.sock"
    )]
    NoEndpoint(String),
    /// No [`HostAddress`].
    #[error(
        "{0:?} is not an address with a port; write it like 10.0.0.1:80, [2001:db8::1]:80, \
         app.example.org:80 or unix:/run/app.sock"
    )]
    NoHost(String),
    /// No [`UnixPath`].
    #[error("{0:?} is not an absolute path of at most {longest} bytes", longest = UnixPath::LONGEST)]
    NoPath(String),
}

/// What the text of a Unix socket begins with.
const UNIX: &str = "unix:";

impl Address {
    /// As the system takes it.
    pub const fn socket(self) -> SocketAddr {
        self.0
    }
}

impl Endpoint {
    /// The IP address and port; `None` for a Unix socket.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Whether the system is to choose the port.
    pub fn is_chosen(&self) -> bool {
        self.ip().is_some_and(|address| address.port() == 0)
    }
}

impl HostAddress {
    /// The name, where it is one.
    pub fn name(&self) -> Option<&HostName> {
        match self {
            Self::Named(name) => Some(name),
            Self::At(_) => None,
        }
    }
}

impl HostName {
    /// The name without the port, as it was written.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same name with another port.
    pub fn with_port(&self, port: u16) -> Self {
        Self {
            name: Arc::clone(&self.name),
            port,
        }
    }
}

impl UnixPath {
    /// The longest path that fits into a socket address, in bytes.
    pub const LONGEST: usize = 107;

    /// As the system takes it.
    pub fn path(&self) -> &Path {
        Path::new(&*self.0)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self(address)
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl From<SocketAddr> for HostAddress {
    fn from(address: SocketAddr) -> Self {
        Self::At(address.into())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let address = text.parse().map(Self);
        address.map_err(|_| AddressError::NotIp(text.to_owned()))
    }
}

impl FromStr for Endpoint {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix(UNIX) {
            return path.parse().map(Self::Unix);
        }
        let address = text.parse().map(Self::Ip);
        address.map_err(|_| AddressError::NoEndpoint(text.to_owned()))
    }
}

impl FromStr for HostAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.parse::<Endpoint>() {
            Ok(endpoint) => Ok(Self::At(endpoint)),
            Err(error @ AddressError::NoPath(_)) => Err(error),
            Err(_) => host_name(text)
                .map(Self::Named)
                .ok_or_else(|| AddressError::NoHost(text.to_owned())),
        }
    }
}

impl FromStr for UnixPath {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let is_plain =
            |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        let path = Path::new(text);
        let fits = text.len() <= Self::LONGEST && !text.contains('\0') && !text.ends_with('/');
        if fits && path.is_absolute() && path.components().all(is_plain) {
            Ok(Self(text.into()))
        } else {
            Err(AddressError::NoPath(text.to_owned()))
        }
    }
}

/// A host name (RFC 1123, section 2.1, and underscores) with a port. One that ends in a number is
/// none: it is an address with a slip in it.
fn host_name(text: &str) -> Option<HostName> {
    let (name, port) = text.rsplit_once(':')?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| digits)?;
    let plain = name.strip_suffix('.').unwrap_or(name);
    let last = plain.rsplit('.').next()?;
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = plain.len() <= 253 && plain.split('.').all(is_label) && !is_number;
    is_name.then(|| HostName {
        name: name.into(),
        port,
    })
}

fn is_label(label: &str) -> bool {
    let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(of_a_name)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => f.pad(&address.to_string()),
            Self::Unix(path) => f.pad(&format!("{UNIX}{}", path.0)),
        }
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(endpoint) => endpoint.fmt(f),
            Self::Named(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}:{}", self.name, self.port))
    }
}

impl fmt::Display for UnixPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Shown for debugging as written; kept as text where it is kept; read with what would have done.
macro_rules! address_text {
    ($($address:ty: $wanted:literal),+) => {$(
        impl fmt::Debug for $address {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl From<$address> for String {
            fn from(address: $address) -> Self {
                address.to_string()
            }
        }
        impl<'de> Deserialize<'de> for $address {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text::deserialize(deserializer, $wanted)
            }
        }
    )+};
}
address_text!(
    Address: "an address with a port in quotes, like \"10.0.0.1:80\"",
    Endpoint: "an address with a port in quotes, like \"10.0.0.1:80\", or \"unix:/run/web.sock\"",
    HostAddress: "an address with a port in quotes, like \"10.0.0.1:80\" or \"app.example.org:80\""
);

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for UnixPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in [
            "10.0.0.1:80",
            "[2001:db8::1]:80",
            "app.example.org:80",
            "app.example.org.:80",
            "db_1:5432",
            "localhost:1",
            "4u.example:80",
            "unix:/run/app.sock",
        ] {
            assert_eq!(text.parse::<HostAddress>().unwrap().to_string(), text);
        }
        for text in ["0.0.0.0:0", "[::]:80", "unix:/run/web.sock"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_slip_in_an_address_is_no_name() {
        let long = format!("{}.example:80", "x".repeat(64));
        for text in [
            "10.0.0.300:80",
            "10.0.0.1",
            "10.0.0:80",
            "2001:db8::1:80",
            "[2001:db8::1]",
            "app.example.org",
            "app.example.org:",
            "app.example.org:http",
            "app.example.org:+80",
            "app.example.org:65536",
            "app..example:80",
            ".example:80",
            "-app.example:80",
            "app example:80",
            "é.example:80",
            ":80",
            "",
            long.as_str(),
        ] {
            let error = text.parse::<HostAddress>().unwrap_err();
            assert_eq!(error, AddressError::NoHost(text.to_owned()));
        }
        let error = "app.example.org:80".parse::<Endpoint>().unwrap_err();
        assert!(matches!(error, AddressError::NoEndpoint(_)));
    }

    #[test]
    fn the_path_of_a_unix_socket_is_absolute_and_fits() {
        let longest = format!("/{}", "x".repeat(106));
        assert!(longest.parse::<UnixPath>().is_ok());
        for path in [
            "",
            "run/a",
            "/",
            "/run/",
            "/run/../a",
            "/run/./../a",
            "/a\0b",
        ] {
            assert!(path.parse::<UnixPath>().is_err(), "{path:?}");
        }
        let error = format!("unix:{longest}x").parse::<HostAddress>();
        assert!(
            error
                .unwrap_err()
                .to_string()
                .ends_with("at most 107 bytes")
        );
    }
}
