//! The configuration of the services: what a revision is, what the file says, what commands change.
//! It must not hold anything that changes by itself (health, counters, addresses that were bound).
//!
//! The same types are the `[[service]]` tables of the file and the objects in commands: a value
//! that would be out of range cannot be read. What spans several values is in [`super::check`].

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{
    address::Address,
    name::{GroupPath, HostPath, Name},
    period::Period,
};

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
    /// The addresses it accepts on; port 0 lets the system choose one.
    pub listen: Vec<Address>,
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

/// How much is too much for a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Sessions at a time; absent: what the file descriptors allow. More are reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<Count>,
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
    /// Where it listens.
    pub address: Address,
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

/// The algorithm that picks a host for a new session.
///
/// Written as its kind alone, or, where it has an option, as a table:
/// `{ kind = "source-hash", load_factor = 1.25 }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "SchedulerText", into = "SchedulerText")]
pub enum Scheduler {
    /// Any host, all alike.
    Random,
    /// One after the other, all alike.
    #[default]
    RoundRobin,
    /// In proportion to weight, as evenly spread as can be.
    WeightedRoundRobin,
    /// Any host, in proportion to weight.
    WeightedRandom,
    /// The fewest sessions for its weight; ties go to the least recently used.
    LeastConnections,
    /// The less loaded of two drawn by weight.
    PowerOfTwo,
    /// The lower of two by connect time and load.
    LeastLatency,
    /// Always the same host for the same client address.
    SourceHash {
        /// How far above its fair share of the sessions a host may be loaded before clients
        /// move on to the next: 1.0 to 10.0; absent: no bound.
        load_factor: Option<f64>,
    },
    /// The first host in the file that is not full.
    FirstAvailable,
}

/// How [`Scheduler`] is written.
#[derive(Serialize)]
#[serde(untagged)]
enum SchedulerText {
    Kind(String),
    Table(SchedulerTable),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SchedulerTable {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    load_factor: Option<f64>,
}

/// By hand, because an untagged enum would not say which key of the table is wrong.
impl<'de> Deserialize<'de> for SchedulerText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SchedulerVisitor)
    }
}

struct SchedulerVisitor;

impl<'de> Visitor<'de> for SchedulerVisitor {
    type Value = SchedulerText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the kind of a scheduler in quotes, or a table with `kind`")
    }

    fn visit_str<E: de::Error>(self, kind: &str) -> Result<SchedulerText, E> {
        Ok(SchedulerText::Kind(kind.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<SchedulerText, A::Error> {
        SchedulerTable::deserialize(MapAccessDeserializer::new(table)).map(SchedulerText::Table)
    }
}

impl Scheduler {
    /// Every kind, with its options left out, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Random,
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::WeightedRandom,
        Self::LeastConnections,
        Self::PowerOfTwo,
        Self::LeastLatency,
        Self::SourceHash { load_factor: None },
        Self::FirstAvailable,
    ];

    /// The name of its kind, as it is written.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::RoundRobin => "round-robin",
            Self::WeightedRoundRobin => "weighted-round-robin",
            Self::WeightedRandom => "weighted-random",
            Self::LeastConnections => "least-connections",
            Self::PowerOfTwo => "power-of-two",
            Self::LeastLatency => "least-latency",
            Self::SourceHash { .. } => "source-hash",
            Self::FirstAvailable => "first-available",
        }
    }

    fn of_kind(kind: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|known| known.kind() == kind)
            .ok_or_else(|| {
                let known = Self::ALL.map(|known| known.kind()).join(", ");
                format!("no scheduler is called {kind:?}; there are {known}")
            })
    }
}

impl TryFrom<SchedulerText> for Scheduler {
    type Error = String;

    fn try_from(text: SchedulerText) -> Result<Self, String> {
        let (kind, factor) = match text {
            SchedulerText::Kind(kind) => (kind, None),
            SchedulerText::Table(table) => (table.kind, table.load_factor),
        };
        match (Self::of_kind(&kind)?, factor) {
            (Self::SourceHash { .. }, Some(factor)) if !(1.0..=10.0).contains(&factor) => Err(
                format!("a load_factor of {factor} is not between 1.0 and 10.0"),
            ),
            (Self::SourceHash { .. }, load_factor) => Ok(Self::SourceHash { load_factor }),
            (_, Some(_)) => Err(format!("{kind} has no load_factor; only source-hash has")),
            (scheduler, None) => Ok(scheduler),
        }
    }
}

impl From<Scheduler> for SchedulerText {
    fn from(scheduler: Scheduler) -> Self {
        let kind = scheduler.kind().to_owned();
        match scheduler {
            Scheduler::SourceHash {
                load_factor: Some(factor),
            } => Self::Table(SchedulerTable {
                kind,
                load_factor: Some(factor),
            }),
            Scheduler::SourceHash { load_factor: None }
            | Scheduler::Random
            | Scheduler::RoundRobin
            | Scheduler::WeightedRoundRobin
            | Scheduler::WeightedRandom
            | Scheduler::LeastConnections
            | Scheduler::PowerOfTwo
            | Scheduler::LeastLatency
            | Scheduler::FirstAvailable => Self::Kind(kind),
        }
    }
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

macro_rules! bounded_number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $least:literal ..= $most:literal, default $default:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name($inner);

        impl $name {
            /// The number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        }

        impl TryFrom<i64> for $name {
            type Error = String;

            fn try_from(number: i64) -> Result<Self, String> {
                match <$inner>::try_from(number) {
                    Ok(inner) if ($least..=$most).contains(&inner) => Ok(Self(inner)),
                    _ => Err(format!("{number} is not between {} and {}", $least, $most)),
                }
            }
        }

        impl From<$name> for i64 {
            fn from(number: $name) -> Self {
                Self::from(number.0)
            }
        }
    };
}

bounded_number! {
    /// A host's share of new sessions: 0 (none) to 256.
    Weight(u16), 0..=256, default 1
}
bounded_number! {
    /// A limit on a number of things: 1 to a thousand million.
    Count(u32), 1..=1_000_000_000, default 1
}
bounded_number! {
    /// How many further hosts are tried when a connect fails: 0 to 16.
    Retries(u8), 0..=16, default 2
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

impl Service {
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
