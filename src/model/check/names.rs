//! What services name and the settings must have: programs, and certificates.
//! It must not know what stands behind a name.

use std::collections::BTreeSet;

use crate::model::{
    name::Name,
    problem::{Place, Problem},
    topology::{Probe, Topology},
};

/// The names that the settings give, and services may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Those of programs: `[programs.NAME]`.
    pub programs: BTreeSet<Name>,
    /// Those of certificates: `[certificates.NAME]`.
    pub certificates: BTreeSet<Name>,
}

/// Every name in `topology` that is not among `names`.
pub fn check_names(topology: &Topology, names: &Names) -> Vec<Problem> {
    let mut problems = Vec::new();
    let root = Place::root().key("service");
    for (index, service) in topology.services.iter().enumerate() {
        let groups = root.named(index, &service.name).key("group");
        for (index, group) in service.groups.iter().enumerate() {
            if let Some(probe) = &group.probe {
                let place = groups.named(index, &group.name).key("probe");
                check_probe(probe, names, &place, &mut problems);
            }
        }
    }
    problems
}

fn check_probe(probe: &Probe, names: &Names, place: &Place, problems: &mut Vec<Problem>) {
    let used = [
        ("program", "programs", probe.program(), &names.programs),
        ("ca", "certificates", probe.ca(), &names.certificates),
    ];
    for (key, table, name, known) in used {
        if let Some(name) = name.filter(|name| !known.contains(name)) {
            let message = format!("there is no [{table}.{name}]");
            problems.push(Problem::new(place.key(key), message));
        }
    }
}
