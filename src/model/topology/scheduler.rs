//! The algorithm that picks a host: its kinds, and how they are written.
//! It must not pick: that is [`crate::balance`].

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

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
