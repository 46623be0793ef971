//! The settings: what people write about the node itself, as opposed to its services.
//! It must not hold anything that a command may change.

use std::{collections::BTreeMap, env, ffi::OsStr, num::NonZero, path::PathBuf, thread};

use serde::{Deserialize, Serialize};

use crate::model::{
    check::Names,
    name::{MAX_NAME, Name},
    period::Period,
    topology::Count,
};

mod bus;
pub(super) mod check;
mod doors;
mod ldap;
mod people;
mod programs;
mod radius;
mod secret;

pub use bus::{Bus, Prefix};
pub use doors::{AdminDoor, Certificate, HttpDoor, Metrics};
pub use ldap::{DnTemplate, Ldap, LdapFilter, LdapUrl, Nested};
pub use people::{
    Auth, Backend, Fallback, LoginDoor, PasswordHash, RadiusValue, Rule, User, UserName,
};
pub use programs::{CommandLine, Program};
pub use radius::{
    Radius, RadiusMethod, RadiusServer, RadiusTls, RecheckWith, Retries, RoleAttribute,
};
pub use secret::{Secret, SecretError};

/// Everything in the file but the services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The file that has the services, relative to the one that has this; absent: the same one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services_file: Option<PathBuf>,
    /// This process on this machine.
    pub node: Node,
    /// Who may do what; absent: root and the owner of the process, at the local socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// The message bus; absent: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bus: Option<Bus>,
    /// The ways in for administrators.
    pub admin: AdminDoor,
    /// Where figures can be read; absent: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Certificates by the names under which doors and services refer to them.
    pub certificates: BTreeMap<Name, Certificate>,
    /// The programs that may be run, by the names under which services refer to them.
    pub programs: BTreeMap<Name, Program>,
}

impl Settings {
    /// The names that services may use.
    pub fn names(&self) -> Names {
        Names {
            programs: self.programs.keys().cloned().collect(),
            certificates: self.certificates.keys().cloned().collect(),
        }
    }

    /// Where the local socket of administrators is.
    pub fn admin_socket(&self) -> PathBuf {
        match (&self.admin.socket, directory("RUNTIME_DIRECTORY")) {
            (Some(socket), _) => socket.clone(),
            (None, Some(directory)) => directory.join("admin.sock"),
            (None, None) => self.node.state_dir.join("admin.sock"),
        }
    }
}

/// This process on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// What it is called among others like it; absent: the host name.
    pub name: Name,
    /// Where it keeps what must outlive it; absent: `$STATE_DIRECTORY`, else `pointsman-state`
    /// in the working directory.
    pub state_dir: PathBuf,
    /// How many threads carry sessions; absent: one per core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<Threads>,
    /// How long sessions may go on after the node was told to stop; `"0s"` cuts them at once.
    pub drain_timeout: Period,
    /// Whether every session that ends is logged.
    pub access_log: bool,
    /// How many events the journal keeps.
    pub events_kept: Count,
    /// How many revisions the journal keeps.
    pub revisions_kept: Count,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: host_name(),
            state_dir: directory("STATE_DIRECTORY")
                .unwrap_or_else(|| PathBuf::from("pointsman-state")),
            threads: None,
            drain_timeout: Period::from_secs(30),
            access_log: false,
            events_kept: count(100_000),
            revisions_kept: count(1000),
        }
    }
}

fn count(number: i64) -> Count {
    Count::try_from(number).unwrap_or_default()
}

/// The directory that the service manager made for us, the first one if there are several.
fn directory(variable: &str) -> Option<PathBuf> {
    first_directory(&env::var_os(variable)?)
}

fn first_directory(list: &OsStr) -> Option<PathBuf> {
    let first = env::split_paths(list).next()?;
    (!first.as_os_str().is_empty()).then_some(first)
}

impl Node {
    /// How many threads carry sessions: as set, else one per core that this process may use.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            Some(threads) => threads.get().into(),
            None => thread::available_parallelism().map_or(1, NonZero::get),
        }
    }
}

/// A number of threads: 1 to 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Threads(u16);

impl Threads {
    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<i64> for Threads {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        match u16::try_from(number) {
            Ok(threads) if (1..=1024).contains(&threads) => Ok(Self(threads)),
            _ => Err(format!("{number} is not between 1 and 1024")),
        }
    }
}

impl From<Threads> for i64 {
    fn from(threads: Threads) -> Self {
        threads.0.into()
    }
}

fn host_name() -> Name {
    name_from(&rustix::system::uname().nodename().to_string_lossy())
}

/// A kernel takes any bytes as host name; what cannot stand in a name becomes `-`.
fn name_from(text: &str) -> Name {
    let fitting: String = text
        .chars()
        .map(|c| match c {
            '.' | '_' | '-' => c,
            c if c.is_ascii_alphanumeric() => c,
            _ => '-',
        })
        .take(MAX_NAME)
        .collect();
    fitting.parse().unwrap_or_else(|_| name_from("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_host_name_becomes_a_name() {
        assert_eq!(name_from("lb1.example.org").as_str(), "lb1.example.org");
        assert_eq!(name_from("büro 1").as_str(), "b-ro-1");
        assert_eq!(name_from("").as_str(), "localhost");
        assert_eq!(name_from(&"x".repeat(300)).as_str().len(), MAX_NAME);
    }

    #[test]
    fn the_first_directory_of_the_service_manager_is_taken() {
        let first = |list: &str| first_directory(OsStr::new(list));
        assert_eq!(first("/run/a:/run/b"), Some(PathBuf::from("/run/a")));
        assert_eq!(first(""), None);
    }

    #[test]
    fn the_socket_is_where_it_is_set_to_be_else_in_a_directory_of_ours() {
        let mut settings = Settings::default();
        assert_eq!(
            settings.admin_socket().file_name(),
            Some(OsStr::new("admin.sock"))
        );
        settings.admin.socket = Some(PathBuf::from("/run/pm.sock"));
        assert_eq!(settings.admin_socket(), PathBuf::from("/run/pm.sock"));
    }

    #[test]
    fn there_is_always_a_thread() {
        assert!(Node::default().thread_count() >= 1);
        let threads = Threads::try_from(3).ok();
        let node = Node {
            threads,
            ..Node::default()
        };
        assert_eq!(node.thread_count(), 3);
        assert!(Threads::try_from(0).is_err() && Threads::try_from(1025).is_err());
    }
}
