//! Who is asking: a person or a part of the program, with the rights it has here.
//! It must not know how anybody proved who they are.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::Name;

/// What somebody may do; each role may do what the one before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// See.
    Viewer,
    /// Operate hosts and groups.
    Operator,
    /// Everything.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        })
    }
}

/// The way by which a command came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Door {
    /// The configuration file, at start or reload.
    File,
    /// The Unix socket.
    Socket,
    /// The HTTP API over TCP.
    Http,
    /// The bus: messages of a STOMP broker.
    Stomp,
    /// A timer of ours: a roll-back or a drain's deadline.
    Timer,
    /// The program that we are embedded in.
    Library,
}

impl Door {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::File,
        Self::Socket,
        Self::Http,
        Self::Stomp,
        Self::Timer,
        Self::Library,
    ];
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::File => "file",
            Self::Socket => "socket",
            Self::Http => "http",
            Self::Stomp => "stomp",
            Self::Timer => "timer",
            Self::Library => "library",
        })
    }
}

/// Services by glob: `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Scope(Vec<String>);

impl Scope {
    /// Those that match any of `globs`.
    pub fn new(globs: Vec<String>) -> Self {
        Self(globs)
    }

    /// Every service there is or will be.
    pub fn all() -> Self {
        Self(vec!["*".to_owned()])
    }

    /// Whether it is every service.
    pub fn is_all(&self) -> bool {
        self.0.iter().any(|glob| glob == "*")
    }

    /// Whether `service` is among them.
    pub fn covers(&self, service: &Name) -> bool {
        self.0
            .iter()
            .any(|glob| matches(glob.as_bytes(), service.as_str().as_bytes()))
    }

    /// The globs.
    pub fn globs(&self) -> &[String] {
        &self.0
    }
}

/// Linear in `text` for each star, without recursion.
fn matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if glob.get(g) == Some(&b'*') {
            star = Some((g, t));
            g += 1;
        } else if glob.get(g) == Some(&text[t]) {
            g += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            g = at + 1;
            t = from + 1;
            star = Some((at, from + 1));
        } else {
            return false;
        }
    }
    glob[g..].iter().all(|byte| *byte == b'*')
}

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Principal {
    /// The name under which they are known.
    pub user: String,
    /// What they may do.
    pub role: Role,
    /// On which services.
    pub services: Scope,
    /// Who vouched for them: `ldap`, `radius`, `local`, `socket`; `pointsman` for its own parts.
    pub by: String,
    /// The way they came in.
    pub door: Door,
    /// Where from, as far as the door knows: an address, a process.
    pub from: String,
    /// The id of their login, where they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
}

impl Principal {
    /// A part of the program, which may do everything.
    pub fn part(user: &str, door: Door) -> Self {
        Self {
            user: user.to_owned(),
            role: Role::Admin,
            services: Scope::all(),
            by: "pointsman".to_owned(),
            door,
            from: "pointsman".to_owned(),
            login: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        let scope = |glob: &str| Scope::new(vec![glob.to_owned()]);
        for (glob, name, covered) in [
            ("*", "web", true),
            ("web-*", "web-shop", true),
            ("web-*", "web", false),
            ("*-db", "a-b-db", true),
            ("w*b*p", "web-shop", true),
            ("web", "web2", false),
            ("", "web", false),
        ] {
            assert_eq!(
                scope(glob).covers(&name.parse().unwrap()),
                covered,
                "{glob} {name}"
            );
        }
    }
}
