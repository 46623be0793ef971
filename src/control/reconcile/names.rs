//! What runs and the names of its hosts: which names are followed, and where each leads.
//! It must not resolve a name, nor wait for one; it is told.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use serde_json::json;
use tokio::task::AbortHandle;

use super::{Runtime, health::forget_surplus};
use crate::{
    health::report::Report,
    model::{
        address::HostName,
        check::listener_at,
        event::Event,
        name::HostPath,
        topology::{Host, Topology},
    },
};

/// Follows names; it says where they lead by [`Runtime::hear`].
pub(in crate::control) trait Follower: Send + fmt::Debug {
    /// Follows `name` from now on, until aborted. It must not call back from here.
    fn follow(&self, name: &Arc<str>) -> AbortHandle;
}

/// What was found out about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) enum Heard {
    /// It leads to these addresses.
    Leads(Vec<IpAddr>),
    /// It could not be resolved, and why. Where it led before it still leads.
    Lost(String),
    /// It can be resolved again, and leads where it did before.
    Back,
}

/// The names that are followed, in lower case.
#[derive(Debug, Default)]
pub(super) struct Names {
    follower: Option<Box<dyn Follower>>,
    followed: HashMap<Arc<str>, Followed>,
}

#[derive(Debug)]
struct Followed {
    task: AbortHandle,
    leads_to: Vec<IpAddr>,
    /// Why it could not be resolved the last time.
    lost: Option<String>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The name that `host` is reached by, as names are followed.
fn name_of(host: &Host) -> Option<Arc<str>> {
    let name = host.address.name()?;
    Some(name.name().to_ascii_lowercase().into())
}

impl Runtime {
    /// Has `follower` follow the names from now on.
    pub(in crate::control) fn set_follower(&mut self, follower: Box<dyn Follower>) {
        self.names = Names {
            follower: Some(follower),
            followed: HashMap::new(),
        };
        let topology = std::mem::take(&mut self.topology);
        self.follow(&topology);
        self.topology = topology;
    }

    /// Has the names in `next` followed, and no others. What is known of them already holds for
    /// hosts that are new.
    pub(super) fn follow(&mut self, next: &Topology) {
        let groups = next.services.iter().flat_map(|service| &service.groups);
        let wanted: HashSet<_> = groups
            .flat_map(|group| &group.hosts)
            .filter_map(name_of)
            .collect();
        self.names.followed.retain(|name, _| wanted.contains(name));
        for name in wanted {
            if let Some(known) = self.names.followed.get(&name) {
                let addresses = known.leads_to.clone();
                self.lead(next, &name, &addresses, false);
            } else if let Some(follower) = &self.names.follower {
                let followed = Followed {
                    task: follower.follow(&name),
                    leads_to: Vec::new(),
                    lost: None,
                };
                self.names.followed.insert(name, followed);
            }
        }
        self.wait_for_no_name(next);
    }

    /// Takes in what was found out about `name`, in effect when this returns. Returns whether
    /// there are events to take.
    pub(in crate::control) fn hear(&mut self, name: &str, heard: Heard) -> bool {
        let Some(followed) = self.names.followed.get_mut(name) else {
            return false;
        };
        let topology = std::mem::take(&mut self.topology);
        let before = followed.leads_to.clone();
        match heard {
            Heard::Leads(addresses) => {
                followed.lost = None;
                followed.leads_to.clone_from(&addresses);
                match before.is_empty() {
                    true => tracing::info!(name, ?addresses, "a host name is resolved"),
                    false => {
                        tracing::info!(name, ?addresses, ?before, "a host name leads elsewhere");
                    }
                }
                self.lead(&topology, name, &addresses, true);
                let data = json!({"name": name, "addresses": addresses, "before": before});
                self.tell(&topology, name, "host.resolved", &data);
            }
            Heard::Back => {
                followed.lost = None;
                tracing::info!(name, "a host name can be resolved again");
                let data = json!({"name": name, "addresses": before, "before": before});
                self.tell(&topology, name, "host.resolved", &data);
            }
            Heard::Lost(reason) => {
                tracing::warn!(name, reason, "a host name cannot be resolved");
                followed.lost = Some(reason.clone());
                let data = json!({"name": name, "addresses": before, "reason": reason});
                self.tell(&topology, name, "host.unresolved", &data);
            }
        }
        self.wait_for_no_name(&topology);
        self.topology = topology;
        forget_surplus(&mut self.happened);
        true
    }

    /// Has the hosts called `name` reached at `addresses`, those that have none yet or all.
    fn lead(&mut self, topology: &Topology, name: &str, addresses: &[IpAddr], all: bool) {
        if addresses.is_empty() {
            return;
        }
        let around = self.around();
        for service in &topology.services {
            // A service that calls itself would do so until it is full.
            let mut own = self.bound(service);
            own.extend(service.listen.iter().cloned());
            let Some(running) = self.services.get_mut(&service.name) else {
                continue;
            };
            let mut shows = false;
            for group in &service.groups {
                let Some(live) = running.groups.get_mut(&group.name) else {
                    continue;
                };
                for host in &group.hosts {
                    if name_of(host).as_deref() == Some(name) {
                        let port = host.address.name().map_or(0, HostName::port);
                        let leads_on = |ip: &&IpAddr| listener_at(**ip, port, &own).is_none();
                        let addresses: Vec<_> =
                            addresses.iter().filter(leads_on).copied().collect();
                        shows |= live.lead(&host.name, &addresses, all);
                    }
                }
            }
            if shows {
                self.happened.extend(running.tick(service, around));
            }
        }
    }

    /// Lets those services go by what they have now, all of whose names were asked for.
    fn wait_for_no_name(&mut self, topology: &Topology) {
        for service in &topology.services {
            let hosts = service.groups.iter().flat_map(|group| &group.hosts);
            let mut names = hosts.filter_map(name_of).peekable();
            let followed = &self.names.followed;
            let is_answered = |name: Arc<str>| {
                let known = followed.get(&name);
                known.is_some_and(|known| known.lost.is_some() || !known.leads_to.is_empty())
            };
            if names.peek().is_some()
                && names.all(is_answered)
                && let Some(running) = self.services.get_mut(&service.name)
            {
                running.wait_for_no_name();
            }
        }
    }

    fn tell(&mut self, topology: &Topology, name: &str, kind: &str, data: &serde_json::Value) {
        for service in &topology.services {
            for group in &service.groups {
                for host in &group.hosts {
                    if name_of(host).as_deref() == Some(name) {
                        let path = HostPath {
                            service: service.name.clone(),
                            group: group.name.clone(),
                            host: host.name.clone(),
                        };
                        self.happened
                            .push_back(Event::new(kind, path, data.clone()));
                    }
                }
            }
        }
    }

    /// Why there is nowhere to connect to for the host at `path`, whose name leads nowhere.
    pub(in crate::control) fn unreachable(&self, path: &HostPath) -> Option<String> {
        if self.host(path)?.reach().is_known() {
            return None;
        }
        let name = name_of(self.topology.host(path)?)?;
        let followed = self.names.followed.get(&name);
        if followed.is_some_and(|followed| !followed.leads_to.is_empty()) {
            return Some("its name leads to the service itself".to_owned());
        }
        let why = self
            .lost(path)
            .map_or(String::new(), |why| format!(": {why}"));
        Some(format!("its name has not been resolved yet{why}"))
    }

    /// Says in `report` what is wrong with the host's name.
    pub(super) fn remark(&self, path: &HostPath, report: &mut Report) {
        if let Some(trouble) = self.unreachable(path) {
            report.reason = trouble;
        } else if let Some(why) = self.lost(path) {
            let stays = "its name leads on to where it led when it could be resolved";
            report.outlook.push(format!("{stays}: {why}"));
        }
    }

    /// Why the name of the host at `path` could not be resolved the last time.
    fn lost(&self, path: &HostPath) -> Option<&str> {
        let name = name_of(self.topology.host(path)?)?;
        self.names.followed.get(&name)?.lost.as_deref()
    }
}
