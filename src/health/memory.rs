//! What is kept of a group's health over a restart.
//! It must not keep it itself, nor believe what is too old. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    group::{Group, Host},
    history::{History, Said},
    outlier::{Ejection, Outlier},
};
use crate::model::{
    address::HostAddress,
    name::Name,
    topology::{self, Probe},
};

/// For how long what is kept is believed, in milliseconds: five minutes. A host that was down
/// before that has had time to change its mind.
pub const BELIEVED: u64 = 300_000;

/// What is kept of a group.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Remembered {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probe: Option<Probe>,
    hosts: BTreeMap<Name, Kept>,
}

/// What is kept of a host. Times are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Kept {
    address: HostAddress,
    said: Said,
    since: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ejected: Option<Ejection>,
}

impl Remembered {
    /// The host called `name`, as it is known or as one of which nothing is.
    pub(super) fn host(&self, name: &Name, address: &HostAddress, group: &topology::Group) -> Host {
        let kept = self.hosts.get(name).filter(|kept| kept.address == *address);
        let Some(kept) = kept else {
            return Host::new(address.clone(), History::default(), Outlier::default());
        };
        let history = if asks_the_same(self.probe.as_ref(), group.probe.as_ref()) {
            History::remembered(kept.said, kept.since)
        } else {
            History::default()
        };
        let outlier = kept.ejected.clone().map(Outlier::remembered);
        Host::new(address.clone(), history, outlier.unwrap_or_default())
    }
}

impl Group {
    /// What is to be kept of it.
    pub fn remember(&self) -> Remembered {
        let known = |(name, host): (&Name, &Host)| {
            let kept = Kept {
                address: host.address.clone(),
                said: host.history.said(),
                since: host.history.since(),
                ejected: host.outlier.ejected().cloned(),
            };
            let unknown = kept.said == Said::Unknown && kept.ejected.is_none();
            (!unknown).then(|| (name.clone(), kept))
        };
        Remembered {
            probe: self.wanted.probe.clone(),
            hosts: self.hosts.iter().filter_map(known).collect(),
        }
    }
}

/// Whether two probes ask a host the same, however often.
pub(super) fn asks_the_same(one: Option<&Probe>, other: Option<&Probe>) -> bool {
    let asked = |probe: &Probe| (probe.kind.clone(), probe.port);
    one.map(asked) == other.map(asked)
}
