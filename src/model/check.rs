//! What must hold between the values of a topology, whoever made it: file, command or program.
//! It must not judge single values; those cannot be made wrong.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv4Addr},
};

use super::{
    address::{Endpoint, HostAddress},
    name::Name,
    problem::{Place, Problem},
    topology::{Group, Service, Topology},
};

mod names;
mod probe;

pub use names::{Names, check_names};

/// The most hosts that one group may have.
pub const MAX_HOSTS: usize = 10_000;

/// The most rules or networks that one list may have.
pub const MAX_RULES: usize = 10_000;

/// Everything that is wrong with `topology`; empty when it can be run.
pub fn check(topology: &Topology) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut listeners = HashMap::new();
    let root = Place::root().key("service");
    let names = topology.services.iter().map(|service| &service.name);
    unique(names, &root, "service", &mut problems);
    for (index, service) in topology.services.iter().enumerate() {
        let place = root.named(index, &service.name);
        check_service(service, &place, &mut problems);
        check_listeners(service, &place, &mut listeners, &mut problems);
    }
    problems
}

fn check_service(service: &Service, place: &Place, problems: &mut Vec<Problem>) {
    if service.listen.is_empty() {
        problems.push(Problem::new(
            place.key("listen"),
            "a service needs an address to listen on",
        ));
    }
    let announcers = service.proxy_protocol.as_ref();
    for (key, number) in [
        ("access", service.access.len()),
        (
            "proxy_protocol",
            announcers.map_or(0, |protocol| protocol.accept_from.len()),
        ),
    ] {
        if number > MAX_RULES {
            let message = format!("{number} networks are more than {MAX_RULES}");
            problems.push(Problem::new(place.key(key), message));
        }
    }
    if service.groups.is_empty() {
        problems.push(Problem::new(
            place.clone(),
            "a service needs at least one group",
        ));
    }
    if let Some(active) = &service.active
        && service.group(active).is_none()
        && !service.groups.is_empty()
    {
        let message = format!("no group {active} in service {}", service.name);
        problems.push(Problem::new(place.key("active"), message));
    }
    if let Some(backup) = &service.backup
        && service.group(&backup.group).is_none()
    {
        let message = format!("no group {} in service {}", backup.group, service.name);
        problems.push(Problem::new(place.key("backup").key("group"), message));
    }
    let root = place.key("group");
    unique(
        service.groups.iter().map(|group| &group.name),
        &root,
        "group",
        problems,
    );
    for (index, group) in service.groups.iter().enumerate() {
        check_group(
            group,
            &service.listen,
            &root.named(index, &group.name),
            problems,
        );
    }
}

/// What is wrong with what is done about hosts that fail and recover.
fn check_health(group: &Group, place: &Place, problems: &mut Vec<Problem>) {
    if let Some(outlier) = &group.outlier {
        let place = place.key("outlier");
        for (key, period) in [("window", outlier.window), ("eject", outlier.eject)] {
            if period.limit().is_none() {
                let message = "no time at all; without `outlier` no host is ejected";
                problems.push(Problem::new(place.key(key), message));
            }
        }
        if outlier.max_eject < outlier.eject {
            let message = format!(
                "a host is ejected for {} the first time, which is longer",
                outlier.eject
            );
            problems.push(Problem::new(place.key("max_eject"), message));
        }
    }
    if group
        .slow_start
        .is_some_and(|slow_start| slow_start.window.limit().is_none())
    {
        let message = "no time at all; without `slow_start` there is none";
        problems.push(Problem::new(place.key("slow_start"), message));
    }
}

fn check_group(group: &Group, listen: &[Endpoint], place: &Place, problems: &mut Vec<Problem>) {
    if let Some(sticky) = &group.sticky
        && sticky.ttl.limit().is_none()
    {
        let message = "no client can be remembered for no time; without `sticky` none is";
        problems.push(Problem::new(place.key("sticky").key("ttl"), message));
    }
    if let Some(probe) = &group.probe {
        probe::check_probe(probe, &place.key("probe"), problems);
    }
    if let Some(message) = probes_itself(group, listen) {
        problems.push(Problem::new(place.key("probe").key("port"), message));
    }
    check_health(group, place, problems);
    let root = place.key("host");
    if group.hosts.len() > MAX_HOSTS {
        let message = format!("{} hosts are more than {MAX_HOSTS}", group.hosts.len());
        problems.push(Problem::new(root.clone(), message));
    }
    unique(
        group.hosts.iter().map(|host| &host.name),
        &root,
        "host",
        problems,
    );
    for (index, host) in group.hosts.iter().enumerate() {
        if let Some(message) = unreachable(&host.address, listen) {
            let place = root.named(index, &host.name).key("address");
            problems.push(Problem::new(place, message));
        }
        let is_unix = matches!(host.address, HostAddress::At(Endpoint::Unix(_)));
        if is_unix
            && group
                .probe
                .as_ref()
                .is_some_and(|probe| probe.port.is_some())
        {
            let place = root.named(index, &host.name).key("address");
            let message = "a host on a Unix socket has no port that `probe.port` could mean";
            problems.push(Problem::new(place, message));
        }
    }
}

/// Why there can be no host at `address` in a service that listens on `listen`.
fn unreachable(address: &HostAddress, listen: &[Endpoint]) -> Option<String> {
    let address = match address {
        HostAddress::At(Endpoint::Ip(address)) => *address,
        HostAddress::At(unix @ Endpoint::Unix(_)) => {
            return listen.contains(unix).then(|| itself(unix));
        }
        // Where it leads is not known here.
        HostAddress::Named(name) => {
            return (name.port() == 0).then(|| NO_PORT.to_owned());
        }
    };
    let (ip, port) = (address.ip(), address.port());
    if port == 0 {
        return Some(NO_PORT.to_owned());
    }
    let plain = ip.to_canonical();
    if plain.is_unspecified() || plain == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Some(format!("a host cannot be reached at {ip}"));
    }
    listener_at(ip, port, listen).map(itself)
}

const NO_PORT: &str = "a host cannot be reached at port 0";

fn itself(listener: &Endpoint) -> String {
    format!("the service would call itself: it listens on {listener}")
}

/// Which of `listen` is there.
pub(crate) fn listener_at(ip: IpAddr, port: u16, listen: &[Endpoint]) -> Option<&Endpoint> {
    listen.iter().find(|listener| {
        let Some(listener) = listener.ip() else {
            return false;
        };
        // What listens on every address does so on loopback; of the others we do not know.
        let on_all = listener.ip().is_unspecified() && listener.is_ipv4() == ip.is_ipv4();
        listener.port() == port && (listener.ip() == ip || on_all && ip.is_loopback())
    })
}

/// Why the hosts of `group` cannot be probed at the port that is given for all: it would be the
/// balancer that answers, whatever becomes of them.
fn probes_itself(group: &Group, listen: &[Endpoint]) -> Option<String> {
    let port = group.probe.as_ref()?.port?.get();
    let found = group.hosts.iter().find_map(|host| {
        // Where a name leads is not known here.
        let HostAddress::At(Endpoint::Ip(address)) = &host.address else {
            return None;
        };
        Some((&host.name, listener_at(address.ip(), port, listen)?))
    });
    let (host, listener) = found?;
    Some(format!(
        "host {host} would not be asked but the service itself: it listens on {listener}"
    ))
}

fn check_listeners<'a>(
    service: &'a Service,
    place: &Place,
    seen: &mut HashMap<&'a Endpoint, &'a Name>,
    problems: &mut Vec<Problem>,
) {
    for (index, address) in service.listen.iter().enumerate() {
        if address.is_chosen() {
            continue;
        }
        if let Some(other) = seen.insert(address, &service.name) {
            let message = format!("{address} is already listened on by service {other}");
            problems.push(Problem::new(place.key("listen").item(index), message));
        }
    }
}

fn unique<'a>(
    names: impl Iterator<Item = &'a Name>,
    root: &Place,
    what: &str,
    problems: &mut Vec<Problem>,
) {
    let mut seen = HashSet::new();
    for (index, name) in names.enumerate() {
        if !seen.insert(name) {
            let place = root.named(index, name).key("name");
            problems.push(Problem::new(
                place,
                format!("there are two {what}s called {name}"),
            ));
        }
    }
}
