//! Any topology that a file may have, for tests.
//! It must not make one that the model's check refuses.

use edge::{edge, towards_hosts};
use proptest::{option, prelude::*};
use serde_json::json;

use crate::model::{
    address::{Endpoint, HostAddress},
    check::check,
    name::Name,
    period::Period,
    topology::{
        Admin, Backup, Count, Group, Host, Limits, Outlier, Probe, Queue, Rebalance, Retries,
        Scheduler, Service, Share, SlowStart, Sticky, Tcp, Timeouts, Topology, UnixMode, Weight,
        WhenAllDown,
    },
};

mod edge;

fn address() -> impl Strategy<Value = Endpoint> {
    let ip = any::<std::net::IpAddr>()
        .prop_flat_map(|ip| (Just(ip), 1..=u16::MAX))
        .prop_map(|parts| Endpoint::from(std::net::SocketAddr::from(parts)));
    let unix = "unix:/run/[a-z.]{1,20}".prop_filter_map("no path", |text| text.parse().ok());
    prop_oneof![4 => ip, 1 => unix]
}

fn host_address() -> impl Strategy<Value = HostAddress> {
    let at = address().prop_filter("nothing is to be reached there", |address| {
        let ip = address.ip().map(|address| address.ip().to_canonical());
        ip.is_none_or(|ip| !ip.is_unspecified() && ip != std::net::Ipv4Addr::BROADCAST)
    });
    let named =
        "[a-z]{1,9}(\\.[a-z]{1,9}){0,2}:[1-9][0-9]{0,3}".prop_map(|text| text.parse().unwrap());
    prop_oneof![4 => at.prop_map(HostAddress::At), 1 => named]
}

fn period() -> impl Strategy<Value = Period> {
    (0..300_000_000_000_u64).prop_map(Period::from_millis)
}

fn count() -> impl Strategy<Value = Count> {
    (1..=1_000_000_000_i64).prop_map(|n| Count::try_from(n).unwrap())
}

fn scheduler() -> impl Strategy<Value = Scheduler> {
    let bounded = |factor| Scheduler::SourceHash {
        load_factor: Some(factor),
    };
    prop_oneof![
        proptest::sample::select(&Scheduler::ALL[..]),
        (1.0..=10.0).prop_map(bounded)
    ]
}

fn host(name: Name) -> impl Strategy<Value = Host> {
    let admin = prop_oneof![
        Just(Admin::Enabled),
        Just(Admin::Draining),
        Just(Admin::Disabled)
    ];
    (host_address(), 0..=256_i64, option::of(count()), admin).prop_map(
        move |(address, weight, max_sessions, admin)| Host {
            name: name.clone(),
            address,
            weight: Weight::try_from(weight).unwrap(),
            max_sessions,
            admin,
        },
    )
}

/// Up to `most` names, no two alike.
fn names(least: usize, most: usize) -> impl Strategy<Value = Vec<Name>> {
    proptest::collection::btree_set("[A-Za-z0-9._-]{1,64}", least..=most)
        .prop_map(|names| names.iter().map(|name| name.parse().unwrap()).collect())
        .prop_shuffle()
}

fn group(name: Name) -> impl Strategy<Value = Group> {
    let sticky = (1..300_000_000_000_u64, count()).prop_map(|(ttl, entries)| {
        let ttl = Period::from_millis(ttl);
        Sticky { ttl, entries }
    });
    let hosts = names(0, 4).prop_flat_map(|names| names.into_iter().map(host).collect::<Vec<_>>());
    let checks = (option::of(probe()), health(), towards_hosts());
    (scheduler(), option::of(sticky), checks, hosts).prop_map(
        move |(
            scheduler,
            sticky,
            (probe, (outlier, slow_start, panic), (send_proxy, source)),
            hosts,
        )| Group {
            name: name.clone(),
            scheduler,
            sticky,
            probe,
            outlier,
            slow_start,
            panic,
            when_all_down: if panic.is_some() {
                WhenAllDown::UseAll
            } else {
                WhenAllDown::Refuse
            },
            send_proxy,
            source,
            hosts,
        },
    )
}

type Health = (Option<Outlier>, Option<SlowStart>, Option<Share>);

fn health() -> impl Strategy<Value = Health> {
    let share = || (0..=100_u8).prop_map(Share::percent);
    let positive = || (1..300_000_000_000_u64).prop_map(Period::from_millis);
    let times = (positive(), positive(), positive());
    let outlier = (count(), times, share()).prop_map(|(failures, times, max_ejected)| Outlier {
        failures,
        window: times.0,
        eject: times.1.min(times.2),
        max_eject: times.1.max(times.2),
        max_ejected,
    });
    let exponent = prop_oneof![Just(1.0), 0.1..=10.0];
    let slow_start = (positive(), exponent);
    let slow_start = slow_start.prop_map(|(window, exponent)| SlowStart { window, exponent });
    (
        option::of(outlier),
        option::of(slow_start),
        option::of(share()),
    )
}

fn rebalance() -> impl Strategy<Value = Rebalance> {
    (count(), period(), period()).prop_map(|(rate, idle, min_age)| Rebalance {
        rate,
        idle,
        min_age,
    })
}

fn probe() -> impl Strategy<Value = Probe> {
    let own_keys = proptest::sample::select(vec![
        json!({"kind": "tcp"}),
        json!({"kind": "tls", "server_name": "a.example", "warn_days": 30}),
        json!({"kind": "http", "path": "/#1", "status": ["200", "300-399"], "body": "\"ok\""}),
        json!({"kind": "http", "tls": true, "method": "HEAD", "host": "a.example"}),
        json!({"kind": "agent", "port": 9707, "send": "web"}),
    ]);
    let times = (100..3_600_000_u64, option::of(1..=100_u8), 1..=100_u8);
    (own_keys, times).prop_map(|(mut keys, (interval, rise, fall))| {
        let interval = Period::from_millis(interval);
        keys["interval"] = json!(interval);
        keys["timeout"] = json!(interval);
        keys["fall"] = json!(fall);
        if let Some(rise) = rise {
            keys["rise"] = json!(rise);
            keys["fast_interval"] = json!(interval);
        }
        serde_json::from_value(keys).unwrap()
    })
}

fn service(name: Name, listen: Vec<Endpoint>) -> impl Strategy<Value = Service> {
    let timeouts = [period(), period(), period(), period()].prop_map(|periods| {
        let [connect, idle, half_closed, lifetime] = periods;
        Timeouts {
            connect,
            idle,
            half_closed,
            lifetime,
        }
    });
    let groups =
        names(1, 3).prop_flat_map(|names| names.into_iter().map(group).collect::<Vec<_>>());
    (
        timeouts,
        edge(),
        0..=16_i64,
        groups,
        any::<[bool; 2]>(),
        option::of(rebalance()),
    )
        .prop_map(
            move |(timeouts, edge, retries, groups, [active, default_timeouts], rebalance)| {
                edge.put_on(Service {
                    name: name.clone(),
                    listen: listen.clone(),
                    active: active.then(|| groups[groups.len() - 1].name.clone()),
                    timeouts: if default_timeouts {
                        Timeouts::default()
                    } else {
                        timeouts
                    },
                    retries: Retries::try_from(retries).unwrap(),
                    backup: (!active && groups.len() > 1).then(|| Backup {
                        group: groups[1].name.clone(),
                        min_up: Count::default(),
                        hold: timeouts.idle,
                    }),
                    rebalance,
                    groups,
                    limits: Limits::default(),
                    queue: Queue::default(),
                    access: Vec::new(),
                    proxy_protocol: None,
                    tcp: Tcp::default(),
                    unix_mode: UnixMode::default(),
                })
            },
        )
}

pub(super) fn topology() -> impl Strategy<Value = Topology> {
    let listen = proptest::collection::btree_set(address(), 3);
    (names(0, 3), listen)
        .prop_flat_map(|(names, listen)| {
            names
                .into_iter()
                .zip(listen)
                .map(|(name, address)| service(name, vec![address]))
                .collect::<Vec<_>>()
        })
        .prop_map(|services| Topology { services })
        .prop_filter("a service would call itself", |topology| {
            check(topology).is_empty()
        })
}
