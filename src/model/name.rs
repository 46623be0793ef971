//! Names: of a service, a group, a host, and the paths made of them.
//! It must not know what stands behind a name.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const MAX_NAME: usize = 64;

/// The name of a service, a group or a host: 1 to 64 of `A-Z a-z 0-9 . _ -`.
///
/// Cheap to clone. The alphabet keeps `/` for [`HostPath`] and leaves nothing to escape in a
/// log line, a bus destination or a metric label.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, or longer than [`MAX_NAME`].
    #[error("a name has 1 to {MAX_NAME} characters, this one has {0}")]
    Length(usize),
    /// A character outside the alphabet.
    #[error("{0:?} cannot stand in a name: only letters, digits, '.', '_' and '-'")]
    Character(char),
    /// A path with too few or too many parts.
    #[error("{found:?} is not of the form {wanted}")]
    Shape {
        /// The form that was expected.
        wanted: &'static str,
        /// What was given.
        found: String,
    },
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > MAX_NAME {
            return Err(NameError::Length(text.len()));
        }
        match text
            .chars()
            .find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-'))
        {
            Some(c) => Err(NameError::Character(c)),
            None => Ok(Self(text.into())),
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

/// `service/group`: names one group everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupPath {
    /// The service that the group belongs to.
    pub service: Name,
    /// The group.
    pub group: Name,
}

/// `service/group/host`: names one host everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPath {
    /// The service that the host belongs to.
    pub service: Name,
    /// The group that it stands in.
    pub group: Name,
    /// The host.
    pub host: Name,
}

impl HostPath {
    /// The group that this host stands in.
    pub fn group_path(&self) -> GroupPath {
        GroupPath {
            service: self.service.clone(),
            group: self.group.clone(),
        }
    }
}

impl GroupPath {
    /// The path of a host of this group.
    pub fn host(&self, host: &Name) -> HostPath {
        HostPath {
            service: self.service.clone(),
            group: self.group.clone(),
            host: host.clone(),
        }
    }
}

impl FromStr for GroupPath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let [service, group] = split(text, "service/group")?;
        Ok(Self { service, group })
    }
}

impl FromStr for HostPath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let [service, group, host] = split(text, "service/group/host")?;
        Ok(Self {
            service,
            group,
            host,
        })
    }
}

fn split<const N: usize>(text: &str, wanted: &'static str) -> Result<[Name; N], NameError> {
    let parts = text
        .split('/')
        .map(str::parse)
        .collect::<Result<Vec<Name>, _>>()?;
    parts.try_into().map_err(|_| NameError::Shape {
        wanted,
        found: text.to_owned(),
    })
}

macro_rules! path_text {
    ($path:ty, $($part:ident),+) => {
        impl fmt::Display for $path {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&[$(self.$part.as_str()),+].join("/"))
            }
        }
        impl TryFrom<String> for $path {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
        impl From<$path> for String {
            fn from(path: $path) -> Self {
                path.to_string()
            }
        }
    };
}
path_text!(GroupPath, service, group);
path_text!(HostPath, service, group, host);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_it_is_written() {
        let path: HostPath = "web/blue/w1".parse().unwrap();
        assert_eq!(path.to_string(), "web/blue/w1");
        assert_eq!(path.group_path().to_string(), "web/blue");
        assert_eq!(path.group_path().host(&path.host), path);
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_reason() {
        assert_eq!("".parse::<Name>(), Err(NameError::Length(0)));
        assert_eq!("a b".parse::<Name>(), Err(NameError::Character(' ')));
        assert_eq!("é".parse::<Name>(), Err(NameError::Character('é')));
        assert_eq!("x".repeat(65).parse::<Name>(), Err(NameError::Length(65)));
        let error = "web/blue".parse::<HostPath>().unwrap_err().to_string();
        assert_eq!(error, "\"web/blue\" is not of the form service/group/host");
    }
}
