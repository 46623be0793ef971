//! What differs between two topologies: as lines for people, and as events.
//! It must not judge the difference.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::{
    command::fields,
    event::Event,
    name::{GroupPath, HostPath, Name},
    topology::{Admin, Group, Host, Service, Topology},
};

/// What differs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// `+ web/blue/w4`, `- web/green`, `~ web/blue/w1 weight: 5 → 2`.
    pub lines: Vec<String>,
    /// An event for each thing that was added, removed or changed.
    pub events: Vec<Event>,
}

/// What has to be done to `old` to make it `new`.
pub fn compare(old: &Topology, new: &Topology) -> Difference {
    let mut difference = Difference::default();
    for pair in pairs(&old.services, &new.services, |service| &service.name) {
        difference.service(pair);
    }
    difference.order("services", &old.services, &new.services, |service| {
        &service.name
    });
    difference
}

type Pair<'a, T> = (Option<&'a T>, Option<&'a T>);

/// Each thing of `old` with its namesake of `new`, and then those that are only in `new`. Those
/// that are alike are left out: of thousands, mostly one differs.
fn pairs<'a, T: PartialEq>(
    old: &'a [T],
    new: &'a [T],
    name: impl Fn(&T) -> &Name,
) -> Vec<Pair<'a, T>> {
    let by_name =
        |list: &'a [T]| -> HashMap<&'a Name, &'a T> { list.iter().map(|i| (name(i), i)).collect() };
    let (in_old, in_new) = (by_name(old), by_name(new));
    let before = old
        .iter()
        .map(|item| (Some(item), in_new.get(name(item)).copied()));
    let added = new.iter().filter(|item| !in_old.contains_key(name(item)));
    before
        .chain(added.map(|item| (None, Some(item))))
        .filter(|(old, new)| old != new)
        .collect()
}

impl Difference {
    fn service(&mut self, (old, new): Pair<'_, Service>) {
        let Some(service) = new.or(old) else { return };
        let path = service.name.to_string();
        let shown =
            |service: &Service| shown(&bare(service), &["name", "group"], service_defaults());
        self.object("service", &path, old.map(shown), new.map(shown));
        let (old_groups, new_groups) = (groups(old), groups(new));
        for pair in pairs(old_groups, new_groups, |group| &group.name) {
            self.group(&service.name, pair);
        }
        if let (Some(old), Some(new)) = (old, new) {
            self.activation(old, new);
            let what = format!("{path} groups");
            self.order(&what, &old.groups, &new.groups, |group| &group.name);
        }
    }

    fn activation(&mut self, old: &Service, new: &Service) {
        let name = |service: &Service| service.active_group().map(|group| group.name.clone());
        if let (before, Some(group)) = (name(old), name(new))
            && before.as_ref() != Some(&group)
        {
            let path = GroupPath {
                service: new.name.clone(),
                group,
            };
            let from = before.map(|name| name.to_string());
            self.events.push(Event::new(
                "group.activated",
                path,
                json!({"by": "command", "from": from}),
            ));
        }
    }

    fn group(&mut self, service: &Name, (old, new): Pair<'_, Group>) {
        let Some(group) = new.or(old) else { return };
        let path = GroupPath {
            service: service.clone(),
            group: group.name.clone(),
        };
        let shown = |group: &Group| shown(&bare_group(group), &["name", "host"], group_defaults());
        self.object("group", &path.to_string(), old.map(shown), new.map(shown));
        let (old_hosts, new_hosts) = (hosts(old), hosts(new));
        for pair in pairs(old_hosts, new_hosts, |host| &host.name) {
            self.host(&path, pair);
        }
        if let (Some(old), Some(new)) = (old, new) {
            let what = format!("{path} hosts");
            self.order(&what, &old.hosts, &new.hosts, |host| &host.name);
        }
    }

    fn host(&mut self, group: &GroupPath, (old, new): Pair<'_, Host>) {
        let Some(host) = new.or(old) else { return };
        let path = group.host(&host.name);
        let shown = |host: &Host| shown(host, &["name"], host_defaults());
        self.object("host", &path.to_string(), old.map(shown), new.map(shown));
        if let (Some(old), Some(new)) = (old, new)
            && old.admin != new.admin
        {
            self.admin(&path, new.admin);
        }
    }

    fn admin(&mut self, path: &HostPath, admin: Admin) {
        let kind = match admin {
            Admin::Enabled => "host.enabled",
            Admin::Draining => "host.draining",
            Admin::Disabled => "host.disabled",
        };
        self.events.push(Event::bare(kind, path));
    }

    /// Compares the keys of one object, which `kind` and `path` name.
    fn object(&mut self, kind: &str, path: &str, old: Option<Changes>, new: Option<Changes>) {
        match (old, new) {
            (None, Some(mut new)) => {
                self.lines.push(format!("+ {path}{}", listed(&new)));
                new.retain(|_, value| !value.is_null());
                self.events.push(Event::new(
                    &format!("{kind}.added"),
                    path,
                    Value::Object(new),
                ));
            }
            (Some(_), None) => {
                self.lines.push(format!("- {path}"));
                self.events
                    .push(Event::bare(&format!("{kind}.removed"), path));
            }
            (Some(old), Some(new)) => {
                let changed: Vec<_> = new
                    .iter()
                    .filter(|(key, value)| old.get(*key) != Some(*value))
                    .collect();
                if changed.is_empty() {
                    return;
                }
                let mut data = Map::new();
                for (key, value) in changed {
                    let before = old.get(key).unwrap_or(&Value::Null);
                    self.lines.push(format!(
                        "~ {path} {key}: {} → {}",
                        plain(before),
                        plain(value)
                    ));
                    data.insert(key.clone(), json!({"from": before, "to": value}));
                }
                self.events.push(Event::new(
                    &format!("{kind}.changed"),
                    path,
                    Value::Object(data),
                ));
            }
            (None, None) => {}
        }
    }

    /// The order matters where the first one is the default; only that of what stayed is compared.
    fn order<'a, T>(&mut self, what: &str, old: &'a [T], new: &'a [T], name: impl Fn(&T) -> &Name) {
        let names = |list: &'a [T]| -> HashSet<&'a Name> { list.iter().map(&name).collect() };
        let (in_old, in_new) = (names(old), names(new));
        let before = old.iter().map(&name).filter(|name| in_new.contains(name));
        let after = new.iter().map(&name).filter(|name| in_old.contains(name));
        if before.ne(after) {
            let names: Vec<&str> = new.iter().map(|item| name(item).as_str()).collect();
            self.lines
                .push(format!("~ {what}: order is now {}", names.join(", ")));
        }
    }
}

type Changes = Map<String, Value>;

fn groups(service: Option<&Service>) -> &[Group] {
    service.map_or(&[], |service| &service.groups)
}

fn hosts(group: Option<&Group>) -> &[Host] {
    group.map_or(&[], |group| &group.hosts)
}

/// A service without its groups, which can be long.
pub(crate) fn bare(service: &Service) -> Service {
    Service {
        name: service.name.clone(),
        listen: service.listen.clone(),
        active: service.active.clone(),
        timeouts: service.timeouts,
        limits: service.limits,
        retries: service.retries,
        backup: service.backup.clone(),
        rebalance: service.rebalance,
        queue: service.queue,
        access: service.access.clone(),
        proxy_protocol: service.proxy_protocol.clone(),
        tcp: service.tcp,
        unix_mode: service.unix_mode,
        groups: Vec::new(),
    }
}

/// A group without its hosts.
pub(crate) fn bare_group(group: &Group) -> Group {
    Group {
        name: group.name.clone(),
        scheduler: group.scheduler,
        sticky: group.sticky,
        probe: group.probe.clone(),
        outlier: group.outlier,
        slow_start: group.slow_start,
        panic: group.panic,
        when_all_down: group.when_all_down,
        send_proxy: group.send_proxy,
        source: group.source,
        hosts: Vec::new(),
    }
}

/// Every key of `object` but those `without`, defaults included, nested tables flattened.
fn shown(object: &impl serde::Serialize, without: &[&str], defaults: Value) -> Changes {
    let mut all = Map::new();
    if let Value::Object(defaults) = defaults {
        all = defaults;
    }
    for (key, value) in fields(object) {
        if without.contains(&key.as_str()) {
            continue;
        }
        match value.as_object() {
            Some(nested) if NESTED.contains(&key.as_str()) => {
                let inner = nested.iter();
                all.extend(inner.map(|(inner, value)| (format!("{key}.{inner}"), value.clone())));
            }
            Some(_) | None => {
                all.insert(key, value);
            }
        }
    }
    all
}

/// Tables whose keys are shown by themselves.
const NESTED: [&str; 4] = ["timeouts", "limits", "queue", "tcp"];

fn service_defaults() -> Value {
    json!({"active": null, "timeouts.connect": "3s", "timeouts.idle": "10m",
           "timeouts.half_closed": "30s", "timeouts.lifetime": "0s", "retries": 2,
           "limits.sessions": null, "limits.per_client": null, "limits.rate": null,
           "limits.rate_per_client": null, "queue.length": 0, "queue.timeout": "5s",
           "access": null, "proxy_protocol": null, "tcp.keepalive": "0s",
           "tcp.user_timeout": "0s", "tcp.defer_accept": "0s", "tcp.backlog": 65535,
           "tcp.v6only": true, "unix_mode": "0660", "backup": null, "rebalance": null})
}

fn group_defaults() -> Value {
    json!({"scheduler": "round-robin", "sticky": null, "probe": null, "outlier": null,
           "slow_start": null, "panic": null, "when_all_down": "refuse", "send_proxy": null,
           "source": null})
}

fn host_defaults() -> Value {
    json!({"weight": 1, "max_sessions": null, "admin": "enabled"})
}

fn listed(object: &Changes) -> String {
    let set = object.iter().filter(|(_, value)| !value.is_null());
    set.map(|(key, value)| format!(" {key}={}", plain(value)))
        .collect()
}

/// A value as people read it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(object) => {
            let pairs = object
                .iter()
                .map(|(key, value)| format!("{key} {}", plain(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
