//! The settings of who may do what: local users, and the rules that give roles.
//! It must not check a password, and must not show a hash in a message or a log.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Ldap, Radius};
use crate::model::{
    dn::Dn,
    period::Period,
    principal::{Role, Scope},
};

/// Who may do what.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Who is asked about a password, in this order.
    pub backends: Vec<Backend>,
    /// What happens when one of them cannot tell.
    pub fallback: Fallback,
    /// The doors on which local users are let in while every directory is away.
    pub break_glass_doors: Vec<LoginDoor>,
    /// How long a login is good for.
    pub login_ttl: Period,
    /// How old the answer of a directory may be when a change is applied.
    pub recheck: Period,
    /// The LDAP directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ldap: Option<Ldap>,
    /// The RADIUS servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radius: Option<Radius>,
    /// Those whom this file knows itself.
    #[serde(rename = "user", skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<User>,
    /// What gives a role; the first that matches counts.
    #[serde(rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            backends: vec![Backend::Local],
            fallback: Fallback::None,
            break_glass_doors: vec![LoginDoor::Socket],
            login_ttl: Period::from_secs(900),
            recheck: Period::from_secs(30),
            ldap: None,
            radius: None,
            users: Vec::new(),
            rules: Vec::new(),
        }
    }
}

/// Who can be asked about a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// The directory of `[auth.ldap]`.
    Ldap,
    /// The servers of `[auth.radius]`.
    Radius,
    /// The users of this file.
    Local,
}

/// What happens when somebody who is asked cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fallback {
    /// Nobody can log in meanwhile.
    None,
    /// The next of `backends` is asked.
    Next,
    /// The next directory is asked; while all are away, the users of this file are let in.
    LocalBreakGlass,
}

/// A door on which people log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginDoor {
    /// The Unix socket.
    Socket,
    /// The HTTP API over TCP.
    Http,
}

/// Somebody whom this file knows itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name to log in with, unique among the users.
    pub name: UserName,
    /// What `pointsman passwd` made of the password.
    pub password_hash: PasswordHash,
    /// What they may do; absent: what a rule gives them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// On which services; absent: on all.
    #[serde(default = "Scope::all", skip_serializing_if = "Scope::is_all")]
    pub services: Scope,
}

/// What gives a role.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The user whom it is about. One of `user`, `group` and `radius` stands in a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// The group whose members it is about, by its distinguished name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Dn>,
    /// It is about everybody for whom RADIUS hands out this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius: Option<RadiusValue>,
    /// What they may do.
    pub role: Role,
    /// On which services; absent: on all.
    #[serde(default = "Scope::all", skip_serializing_if = "Scope::is_all")]
    pub services: Scope,
}

/// The longest user name, in bytes.
const MAX_USER_NAME: usize = 256;

/// The name of a person, as they log in with it: 1 to 256 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

impl UserName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() || text.len() > MAX_USER_NAME {
            return Err("a user name has 1 to 256 bytes");
        }
        if text.chars().any(char::is_control) {
            return Err("a user name has no control characters");
        }
        Ok(Self(text))
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> Self {
        name.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A value of a RADIUS attribute, compared byte for byte: 1 to 253 bytes (RFC 2865 section 5).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RadiusValue(String);

impl RadiusValue {
    /// The value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RadiusValue {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if (1..=253).contains(&text.len()) {
            Ok(Self(text))
        } else {
            Err("the value of a RADIUS attribute has 1 to 253 bytes")
        }
    }
}

impl From<RadiusValue> for String {
    fn from(value: RadiusValue) -> Self {
        value.0
    }
}

/// An argon2id hash as `pointsman passwd` prints it: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The hash in its textual form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PasswordHash {
    type Error = &'static str;

    /// The message must not repeat the text: it may be a password.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_argon2id(&text) {
            Ok(Self(text))
        } else {
            Err("this is no argon2id hash; `pointsman passwd` makes one of a password")
        }
    }
}

fn is_argon2id(text: &str) -> bool {
    let parts: Vec<_> = text.split('$').collect();
    let ["", "argon2id", "v=19", costs, salt, hash] = parts[..] else {
        return false;
    };
    let base64 = |part: &str, least| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        part.len() >= least && part.bytes().all(fits)
    };
    let costs: Vec<_> = costs.split(',').collect();
    let names = ["m=", "t=", "p="];
    let is_number = |(cost, name): (&&str, &str)| {
        let number = cost.strip_prefix(name);
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    costs.len() == names.len()
        && costs.iter().zip(names).all(is_number)
        && base64(salt, 11)
        && base64(hash, 22)
}

impl From<PasswordHash> for String {
    fn from(hash: PasswordHash) -> Self {
        hash.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    #[test]
    fn only_what_looks_like_an_argon2id_hash_is_taken_for_one() {
        let hash = PasswordHash::try_from(HASH.to_owned()).unwrap();
        assert!(!format!("{hash:?}").contains("argon2id"));
        for wrong in [
            "",
            "secret",
            "$2b$12$abcdefghijklmnopqrstuv",
            &HASH.replace("argon2id", "argon2i"),
            &HASH.replace("m=19456", "m=x"),
            &HASH[..60],
        ] {
            let error = PasswordHash::try_from(wrong.to_owned()).unwrap_err();
            assert!(!error.contains("secret"), "{wrong}");
        }
    }

    #[test]
    fn a_user_name_has_a_length_and_nothing_that_a_terminal_obeys() {
        assert!(UserName::try_from("ada@example.org".to_owned()).is_ok());
        for wrong in ["", "a\nb", &"x".repeat(257)] {
            assert!(UserName::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
        }
    }
}
