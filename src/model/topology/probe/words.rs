//! The texts that a probe is told, each with its bounds: one that is out of bounds cannot be read.
//! It must not know where they are sent.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! bounded_text {
    ($(#[$doc:meta])* $name:ident, 1..=$most:literal bytes, $fits:expr, $else:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let fits: fn(&str) -> bool = $fits;
                if text.is_empty() || text.len() > $most {
                    return Err(format!("this has {} bytes, not 1 to {}", text.len(), $most));
                }
                if !fits(&text) {
                    return Err($else.to_owned());
                }
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

bounded_text! {
    /// What an HTTP probe asks for: a path with an optional query (RFC 9112, section 3.2.1).
    HttpPath, 1..=1024 bytes, |text| text.starts_with('/') && is_visible(text),
    "a path begins with `/` and has only visible ASCII characters, no spaces"
}
bounded_text! {
    /// What stands in the header `Host`: a name or an address, with or without a port.
    HttpTarget, 1..=255 bytes, is_visible,
    "a host has only visible ASCII characters, no spaces"
}
bounded_text! {
    /// The name that a certificate must be for: a DNS name, or an IP address.
    ServerName, 1..=253 bytes,
    |text| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte)),
    "a server's name is a DNS name or an IP address"
}
bounded_text! {
    /// A text that must occur in an answer.
    Wanted, 1..=1024 bytes, |_| true, ""
}
bounded_text! {
    /// A text that is sent as it is.
    Sent, 1..=1024 bytes, |_| true, ""
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Default for HttpPath {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

/// How an HTTP probe asks (RFC 9110, section 9.3): methods without a body of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// For the head and the body.
    #[default]
    Get,
    /// For the head alone.
    Head,
    /// For what is allowed there.
    Options,
}

impl HttpMethod {
    /// The method, as it is sent.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
        }
    }
}
