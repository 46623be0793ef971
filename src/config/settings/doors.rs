//! The settings of the ways in for administrators, and the certificates that they show.
//! It must not open, read or listen on anything.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::{address::Address, name::Name};

/// The ways in for administrators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminDoor {
    /// The local socket; absent: `admin.sock` in `$RUNTIME_DIRECTORY`, else in the state directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// The group of the system whose members may connect to the socket; absent: the process's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket_group: Option<String>,
    /// The same over TCP; absent: not offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpDoor>,
}

/// The HTTP API over TCP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HttpDoor {
    /// The address that it accepts on.
    pub listen: Address,
    /// The certificate that it shows; absent: no TLS, which only a loopback address may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Name>,
    /// The names by which it may be called; absent: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

/// Where figures can be read, as Prometheus has them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// The address that `/metrics` is served on, to whoever can connect to it.
    pub listen: Address,
}

/// A certificate, with its key where it is shown; read again by doors when the files change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The certificate and those that vouch for it, as PEM.
    pub cert_file: PathBuf,
    /// Its private key, as PEM; absent: it is only trusted, not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}
