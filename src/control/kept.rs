//! What is kept of a service's health over a restart, and for how long it is believed.
//! It must not judge the health of a host.

use std::collections::HashMap;

use crate::{
    health::memory::{BELIEVED, Remembered},
    model::name::Name,
};

/// What is kept of a service's health over a restart.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
pub(super) struct Kept {
    /// When: milliseconds since 1970.
    pub(super) time: u64,
    /// Whether the backup group served.
    pub(super) over: bool,
    /// Whether it was told that no host can take a connection.
    #[serde(default)]
    pub(super) exhausted: bool,
    pub(super) groups: HashMap<Name, Remembered>,
}

impl Kept {
    /// Whether it is young enough. What comes from the future was written by another clock, and
    /// says nothing about how old it is, nor until when a host is to be ejected.
    pub(super) fn is_believed(&self, now: u64) -> bool {
        now.abs_diff(self.time) < BELIEVED
    }
}
