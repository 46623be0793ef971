//! The settings of the message bus: brokers, credentials, and what is let in.
//! It must not connect to anything, nor fetch a secret.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::Secret;
use crate::{model::period::Period, stomp::Broker};

/// The message bus.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Bus {
    /// The brokers, tried in this order.
    pub brokers: Vec<Broker>,
    /// The broker's user that this node is; absent: it wants none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// That user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passcode: Option<Secret>,
    /// The authorities that vouch for brokers; absent: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The certificate that is shown to brokers, with `key_file`; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// The key of `cert_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// What every destination begins with.
    #[serde(default)]
    pub prefix: Prefix,
    /// How often each side is to hear from the other; `"0s"`: a dead broker is not noticed.
    #[serde(default = "heart_beat")]
    pub heart_beat: Period,
    /// Whether log-ins are taken that only the connection to the broker protects.
    #[serde(default)]
    pub allow_plain_login: bool,
    /// Users of the broker whose messages are taken; absent: those of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_senders: Option<Vec<String>>,
}

const fn heart_beat() -> Period {
    Period::from_secs(10)
}

/// What every destination begins with: letters, digits, `-` and `_`, in parts with dots between
/// them, up to 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix(String);

impl Prefix {
    /// The prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("pointsman".to_owned())
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(fits);
        if text.len() <= 64 && text.split('.').all(is_part) {
            Ok(Self(text))
        } else {
            Err(format!(
                "{text:?} is no prefix; it has letters, digits, - and _, with dots between parts, and up to 64 of all"
            ))
        }
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_part_of_a_destination_and_no_pattern_of_several() {
        for right in ["pointsman", "site-1.lb_2"] {
            assert!(Prefix::try_from(right.to_owned()).is_ok(), "{right}");
        }
        for wrong in [
            "",
            ".",
            "a.",
            "a..b",
            "a.>",
            "*",
            "a/b",
            "a b",
            &"x".repeat(65),
        ] {
            assert!(Prefix::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
