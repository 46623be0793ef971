//! What happens to a group's hosts, for events.
//! It must not know how an event is written. Pure.

use super::brake::Fallen;
use crate::model::name::Name;

/// Something that happened to a group, for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A host's health flipped.
    Host {
        /// Which one.
        host: Name,
        /// What it is now.
        what: Flip,
        /// Which signal said so.
        by: Signal,
        /// Why.
        reason: String,
    },
    /// Too many hosts went down at once: how many, and all there are.
    Panic(Fallen),
    /// The probes are believed again.
    PanicEnded(Fallen),
}

/// How a host's health flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flip {
    /// The probes pass.
    Up,
    /// The probes fail.
    Down,
    /// Its sessions fail.
    Ejected,
    /// It may try again.
    Readmitted,
}

/// Where a verdict comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Its probes.
    Probe,
    /// Its sessions.
    Outlier,
}
