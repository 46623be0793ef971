//! The figures of services and hosts, from a status of the balancer.
//! It must not hold a name that comes from a client: labels are names of the configuration.

use std::time::Duration;

use super::text::{Kind, Page};
use crate::{
    control::status::{GroupStatus, HostStatus, NodeStatus, ServiceStatus},
    health::report::Health,
    model::topology::Admin,
};

/// What a figure is called, what it is, what it means, and where it is found.
type Row<T> = (&'static str, Kind, &'static str, fn(&T) -> f64);

const OF_SERVICES: [Row<ServiceStatus>; 5] = [
    (
        "pointsman_service_sessions_active",
        Kind::Gauge,
        "Sessions that are open, those still looking for a host included.",
        |service| service.sessions.active.into(),
    ),
    (
        "pointsman_service_sessions_total",
        Kind::Counter,
        "Sessions that got a connection to a host.",
        |service| service.sessions.total as f64,
    ),
    (
        "pointsman_service_connections_total",
        Kind::Counter,
        "Connections that were accepted, refused ones included.",
        |service| service.accepted as f64,
    ),
    (
        "pointsman_service_retries_total",
        Kind::Counter,
        "Further hosts that were tried after a failed connect.",
        |service| service.retries as f64,
    ),
    (
        "pointsman_service_queue_sessions",
        Kind::Gauge,
        "Sessions that wait in the queue because every host is full.",
        |service| service.queued.into(),
    ),
];

const OF_HOSTS: [Row<HostStatus>; 6] = [
    (
        "pointsman_host_sessions_active",
        Kind::Gauge,
        "Sessions on the host, those connecting to it included.",
        |host| host.sessions.active.into(),
    ),
    (
        "pointsman_host_sessions_total",
        Kind::Counter,
        "Sessions that got a connection to the host.",
        |host| host.sessions.total as f64,
    ),
    (
        "pointsman_host_connect_failures_total",
        Kind::Counter,
        "Connections to the host that failed or timed out.",
        |host| host.connect_failures as f64,
    ),
    (
        "pointsman_host_early_resets_total",
        Kind::Counter,
        "Sessions that the host reset before it had sent a byte.",
        |host| host.early_resets as f64,
    ),
    (
        "pointsman_host_full_total",
        Kind::Counter,
        "Times the host was picked and had as many sessions as it may.",
        |host| host.full as f64,
    ),
    (
        "pointsman_host_weight",
        Kind::Gauge,
        "The host's share of new sessions.",
        |host| host.weight.into(),
    ),
];

/// Powers of four from a millisecond to five hours.
const LONG: [Duration; 13] = powers::<13>(10, 2);
/// Powers of two from a quarter of a millisecond to four seconds.
const SHORT: [Duration; 15] = powers::<15>(8, 1);

/// Bounds that a histogram knows exactly: powers of two, in microseconds.
const fn powers<const COUNT: usize>(first: u32, step: u32) -> [Duration; COUNT] {
    let mut bounds = [Duration::ZERO; COUNT];
    let mut index = 0;
    while index < COUNT {
        bounds[index] = Duration::from_micros(1 << (first + step * index as u32));
        index += 1;
    }
    bounds
}

const HEALTH: [&str; 4] = [
    Health::Up.word(),
    Health::Down.word(),
    Health::Ejected.word(),
    Health::Unknown.word(),
];
const ADMIN: [&str; 3] = ["enabled", "draining", "disabled"];

const fn admin(admin: Admin) -> &'static str {
    match admin {
        Admin::Enabled => "enabled",
        Admin::Draining => "draining",
        Admin::Disabled => "disabled",
    }
}

/// Writes what is known of services and hosts.
pub(super) fn write(page: &mut Page, status: &NodeStatus) {
    for (name, kind, help, value) in OF_SERVICES {
        let mut family = page.family(name, kind, help);
        for service in &status.services {
            family.value(&[("service", service.name.as_str())], value(service));
        }
    }
    write_services(page, &status.services);
    for (name, kind, help, value) in OF_HOSTS {
        let mut family = page.family(name, kind, help);
        for host in hosts(status) {
            family.value(&host.labels(), value(host.status));
        }
    }
    write_hosts(page, status);
}

fn write_services(page: &mut Page, services: &[ServiceStatus]) {
    let mut family = page.family(
        "pointsman_service_refused_total",
        Kind::Counter,
        "Connections that were reset instead of being served.",
    );
    for service in services {
        for (reason, number) in &service.refused {
            let labels = [("service", service.name.as_str()), ("reason", reason)];
            family.value(&labels, *number as f64);
        }
    }
    let mut family = page.family(
        "pointsman_service_bytes_total",
        Kind::Counter,
        "Bytes that went through.",
    );
    for service in services {
        let of = |direction| [("service", service.name.as_str()), ("direction", direction)];
        family.value(&of("to_host"), service.bytes.to_host as f64);
        family.value(&of("to_client"), service.bytes.to_client as f64);
    }
    let mut family = page.family(
        "pointsman_service_queue_wait_seconds",
        Kind::Histogram,
        "How long those waited in the queue who then got a host.",
    );
    for service in services {
        let labels = [("service", service.name.as_str())];
        family.histogram(&labels, &service.queue_time, &LONG);
    }
    let mut family = page.family(
        "pointsman_service_active_group",
        Kind::Gauge,
        "Whether new sessions go to the group: 1 or 0.",
    );
    for service in services {
        for group in &service.groups {
            let labels = [
                ("service", service.name.as_str()),
                ("group", group.name.as_str()),
            ];
            let serves = service.active.as_ref() == Some(&group.name);
            family.value(&labels, f64::from(u8::from(serves)));
        }
    }
}

fn write_hosts(page: &mut Page, status: &NodeStatus) {
    let mut family = page.family(
        "pointsman_host_bytes_total",
        Kind::Counter,
        "Bytes that went through the host.",
    );
    for host in hosts(status) {
        let [service, group, name] = host.labels();
        let of = |direction| [service, group, name, ("direction", direction)];
        family.value(&of("to_host"), host.status.bytes.to_host as f64);
        family.value(&of("to_client"), host.status.bytes.to_client as f64);
    }
    let mut family = page.family(
        "pointsman_host_health",
        Kind::Gauge,
        "What was seen of the host: 1 for what it is, 0 for the rest.",
    );
    for host in hosts(status) {
        let health = host.status.health.health.word();
        family.state(&host.labels(), "health", &HEALTH, health);
    }
    let mut family = page.family(
        "pointsman_host_admin",
        Kind::Gauge,
        "What the operator wants of the host: 1 for what it is, 0 for the rest.",
    );
    for host in hosts(status) {
        let admin = admin(host.status.admin);
        family.state(&host.labels(), "admin", &ADMIN, admin);
    }
    let mut family = page.family(
        "pointsman_host_connect_seconds",
        Kind::Histogram,
        "How long connections to the host took to stand.",
    );
    for host in hosts(status) {
        family.histogram(&host.labels(), &host.status.connect_time, &SHORT);
    }
    let mut family = page.family(
        "pointsman_host_session_seconds",
        Kind::Histogram,
        "How long sessions with the host lasted, from accept to end.",
    );
    for host in hosts(status) {
        family.histogram(&host.labels(), &host.status.session_time, &LONG);
    }
}

/// A host, with what it is in.
struct Placed<'a> {
    service: &'a ServiceStatus,
    group: &'a GroupStatus,
    status: &'a HostStatus,
}

impl Placed<'_> {
    fn labels(&self) -> [(&str, &str); 3] {
        [
            ("service", self.service.name.as_str()),
            ("group", self.group.name.as_str()),
            ("host", self.status.name.as_str()),
        ]
    }
}

fn hosts(status: &NodeStatus) -> impl Iterator<Item = Placed<'_>> {
    status.services.iter().flat_map(|service| {
        service.groups.iter().flat_map(move |group| {
            group.hosts.iter().map(move |status| Placed {
                service,
                group,
                status,
            })
        })
    })
}
