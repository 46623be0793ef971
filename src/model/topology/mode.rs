//! Who may open a file: permissions as `chmod` takes them, in octal digits.
//! It must not change any file's.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};

use crate::model::text;

/// The permissions of the file of a Unix socket: `"0000"` to `"0777"`. Whoever may write may connect.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct UnixMode(u32);

/// A text that is no [`UnixMode`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} are no permissions; write them in octal digits, like \"0660\"")]
pub struct UnixModeError(String);

impl UnixMode {
    /// As the system takes it.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for UnixMode {
    /// The owner and the group.
    fn default() -> Self {
        Self(0o660)
    }
}

impl FromStr for UnixMode {
    type Err = UnixModeError;

    fn from_str(text: &str) -> Result<Self, UnixModeError> {
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let mode = u32::from_str_radix(text, 8).ok();
        mode.filter(|mode| octal && *mode <= 0o777)
            .map(Self)
            .ok_or_else(|| UnixModeError(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for UnixMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "permissions in quotes, like \"0660\"")
    }
}

impl fmt::Display for UnixMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for UnixMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<UnixMode> for String {
    fn from(mode: UnixMode) -> Self {
        mode.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_octal_and_only_permissions() {
        assert_eq!("660".parse::<UnixMode>().unwrap(), UnixMode::default());
        assert_eq!(UnixMode::default().to_string(), "0660");
        for text in ["", "0", "0888", "1777", "00660", "+660", "rw-rw----"] {
            assert!(text.parse::<UnixMode>().is_err(), "{text}");
        }
    }
}
