//! The configuration of the services: what a revision is, what the file says, what commands change.
//! It must not hold anything that changes by itself (health, counters, addresses that were bound).
//!
//! The same types are the `[[service]]` tables of the file and the objects in commands: a value
//! that would be out of range cannot be read. What spans several values is in [`super::check`].

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    address::{Endpoint, HostAddress},
    name::{GroupPath, HostPath, Name},
    network::AccessRule,
    period::Period,
};

mod edge;
mod health;
mod mode;
mod number;
pub mod probe;
mod scheduler;

pub use edge::{Limits, ProxyProtocol, Queue, Rate, SendProxy, Tcp};
pub use health::{Backup, Outlier, Rebalance, Share, SlowStart, WhenAllDown};
pub use mode::{UnixMode, UnixModeError};
pub use number::{Count, Days, Port, Retries, Times, Weight};
pub use probe::{Probe, ProbeKind};
pub use scheduler::Scheduler;

/// All services, in the order in which they stand in the file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// The services.
    #[serde(default, rename = "service")]
    pub services: Vec<Service>,
}

/// A named thing being balanced.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name, unique among the services.
    pub name: Name,
    /// Where it accepts; port 0 lets the system choose one.
    pub listen: Vec<Endpoint>,
    /// The group that takes new sessions; absent: the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<Name>,
    /// How long things may take.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeouts: Timeouts,
    /// How much is too much.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// How many further hosts are tried when a connect fails: 0 to 16.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retries: Retries,
    /// The group that takes over while the active one has too few hosts; absent: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// Spreads lasting sessions again when a host came back or was added; absent: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebalance: Option<Rebalance>,
    /// Who waits when every host is full.
    #[serde(default, skip_serializing_if = "is_default")]
    pub queue: Queue,
    /// Who is let in, by address: the first rule that is about a client decides; nobody is turned
    /// away whom no rule is about.
    #[serde(default, skip_serializing_if = "is_default")]
    pub access: Vec<AccessRule>,
    /// From whom a header is required that announces the true client; absent: from nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Options of its sockets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tcp: Tcp,
    /// Who may connect where it listens on Unix sockets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unix_mode: UnixMode,
    /// The groups of hosts.
    #[serde(rename = "group")]
    pub groups: Vec<Group>,
}

/// How long things may take in a session of a service. `"0s"` sets no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For a connection to a host to stand, for each host that is tried.
    pub connect: Period,
    /// Without a byte in either direction.
    pub idle: Period,
    /// Without a byte, after one side has finished sending.
    pub half_closed: Period,
    /// From accept to the end, whatever happens.
    pub lifetime: Period,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Period::from_secs(3),
            idle: Period::from_secs(600),
            half_closed: Period::from_secs(30),
            lifetime: Period::from_secs(0),
        }
    }
}

/// A named set of hosts with one scheduler.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name, unique in its service.
    pub name: Name,
    /// The algorithm that picks a host.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scheduler: Scheduler,
    /// Remembers which client went to which host; absent: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// How the hosts are checked; absent: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// Takes out hosts whose sessions fail; absent: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlier: Option<Outlier>,
    /// Gives a host that came back its sessions little by little; absent: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<SlowStart>,
    /// When more than this share of the hosts goes down at once, the probes are doubted, and all
    /// hosts are used; absent: they never are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic: Option<Share>,
    /// What happens to new sessions while every host is down.
    #[serde(default, skip_serializing_if = "is_default")]
    pub when_all_down: WhenAllDown,
    /// The header that tells its hosts who the client is; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_proxy: Option<SendProxy>,
    /// The address of this machine that connections to its hosts come from; absent: the one that
    /// the system chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The hosts.
    #[serde(default, rename = "host")]
    pub hosts: Vec<Host>,
}

/// One place that connections go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Its name, unique in its group.
    pub name: Name,
    /// Where it listens: an address, a name that leads to some, or a Unix socket.
    pub address: HostAddress,
    /// Its share of new sessions beside the other hosts': 0 (none) to 256.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight: Weight,
    /// Sessions at a time; absent: no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_sessions: Option<Count>,
    /// What the operator wants of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub admin: Admin,
}

/// What the operator wants of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Admin {
    /// It may take new sessions.
    #[default]
    Enabled,
    /// No new sessions; those that are open run out.
    Draining,
    /// No new sessions, and none wanted.
    Disabled,
}

/// Remembers which client went to which host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sticky {
    /// How long a client is remembered after it last came.
    pub ttl: Period,
    /// How many clients are remembered; past that the one longest away is forgotten.
    pub entries: Count,
}

impl Default for Sticky {
    fn default() -> Self {
        Self {
            ttl: Period::from_secs(1800),
            entries: Count(100_000),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Topology {
    /// The service called `name`.
    pub fn service(&self, name: &Name) -> Option<&Service> {
        self.services.iter().find(|service| service.name == *name)
    }

    /// The group at `path`.
    pub fn group(&self, path: &GroupPath) -> Option<&Group> {
        self.service(&path.service)?.group(&path.group)
    }

    /// The host at `path`.
    pub fn host(&self, path: &HostPath) -> Option<&Host> {
        let group = self.service(&path.service)?.group(&path.group)?;
        group.hosts.iter().find(|host| host.name == path.host)
    }
}

impl Host {
    /// A host at `address`, with defaults for everything else.
    pub fn new(name: Name, address: HostAddress) -> Self {
        Self {
            name,
            address,
            weight: Weight::default(),
            max_sessions: None,
            admin: Admin::default(),
        }
    }
}

impl Group {
    /// A group of `hosts`, with defaults for everything else.
    pub fn new(name: Name, hosts: Vec<Host>) -> Self {
        Self {
            name,
            scheduler: Scheduler::default(),
            sticky: None,
            probe: None,
            outlier: None,
            slow_start: None,
            panic: None,
            when_all_down: WhenAllDown::default(),
            send_proxy: None,
            source: None,
            hosts,
        }
    }
}

impl Service {
    /// A service on the addresses `listen`, with defaults for everything else.
    pub fn new(name: Name, listen: Vec<Endpoint>, groups: Vec<Group>) -> Self {
        Self {
            name,
            listen,
            active: None,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            retries: Retries::default(),
            queue: Queue::default(),
            access: Vec::new(),
            proxy_protocol: None,
            tcp: Tcp::default(),
            unix_mode: UnixMode::default(),
            backup: None,
            rebalance: None,
            groups,
        }
    }

    /// The group called `name`.
    pub fn group(&self, name: &Name) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == *name)
    }

    /// The group that takes new sessions; `None` only in a service that [`super::check`] refuses.
    pub fn active_group(&self) -> Option<&Group> {
        match &self.active {
            Some(name) => self.group(name),
            None => self.groups.first(),
        }
    }
}
