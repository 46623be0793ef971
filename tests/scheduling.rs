//! Which host takes a session: shares, loads, who moves when a host goes, and that whatever views
//! come and go, the counters end at zero.

#![allow(clippy::unwrap_used)]

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use pointsman::{
    balance::{
        Candidate, Host, Lease, Service, View,
        host::UNLIMITED,
        scheduler::{Ask, Memory, Scheduler, build},
        service::Entry,
        view::{Terms, Timeouts},
    },
    model::{
        period::Period,
        topology::{Count, Scheduler as Kind, Sticky},
    },
};
use proptest::prelude::*;

fn host(group: &str, index: usize, memory: &Arc<Memory>) -> Arc<Host> {
    Arc::new(Host::new(
        format!("web/{group}/w{index}").parse().unwrap(),
        std::net::SocketAddr::from(([127, 0, 0, 1], 80)).into(),
        Arc::clone(memory),
    ))
}

fn hosts(weights: &[u16]) -> (Vec<Candidate>, Arc<Memory>) {
    let memory = Arc::<Memory>::default();
    let candidate = |(index, weight): (usize, &u16)| Candidate {
        host: host("blue", index, &memory),
        weight: *weight,
        max_sessions: UNLIMITED,
        portion: None,
    };
    (weights.iter().enumerate().map(candidate).collect(), memory)
}

fn settled(kind: Kind, hosts: &[Candidate], memory: &Arc<Memory>) -> Box<dyn Scheduler> {
    let scheduler = build(kind, None, hosts, memory);
    scheduler.settle(hosts);
    scheduler
}

fn client(number: u32) -> IpAddr {
    IpAddr::from((0x0a00_0000 | number).to_be_bytes())
}

fn ask(number: u64) -> Ask<'static> {
    Ask {
        client: client(number as u32),
        now: number,
        random: number,
        excluded: &[],
    }
}

fn shares(kind: Kind, hosts: &[Candidate], memory: &Arc<Memory>, picks: u64) -> Vec<u64> {
    let scheduler = settled(kind, hosts, memory);
    let mut shares = vec![0; hosts.len()];
    for number in 0..picks {
        shares[scheduler.pick(hosts, &ask(number)).unwrap()] += 1;
    }
    shares
}

/// Asserts that shares of independent draws are no further from the expected than six standard
/// deviations, and a little where so few are expected that the deviation says little.
fn assert_near(shares: &[u64], weights: impl Iterator<Item = u16>, total: u64) {
    let picks: u64 = shares.iter().sum();
    for (share, weight) in shares.iter().zip(weights) {
        let chance = f64::from(weight) / total as f64;
        let expected = picks as f64 * chance;
        let deviation = (expected * (1.0 - chance)).sqrt();
        let off = (*share as f64 - expected).abs();
        assert!(off <= 6.0 * deviation + 3.0, "{shares:?}");
    }
}

fn weights() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(1..=256_u16, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn round_robins_give_each_host_exactly_its_share_in_every_cycle(weights in weights()) {
        let (hosts, memory) = hosts(&weights);
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        for _ in 0..3 {
            let shares = shares(Kind::WeightedRoundRobin, &hosts, &memory, total);
            let expected: Vec<_> = weights.iter().map(|weight| u64::from(*weight)).collect();
            prop_assert_eq!(shares, expected);
        }
        let alike = shares(Kind::RoundRobin, &hosts, &memory, 3 * hosts.len() as u64);
        prop_assert!(alike.iter().all(|share| *share == 3));
    }

    #[test]
    fn weighted_round_robin_is_never_far_from_any_hosts_share(weights in weights()) {
        let (hosts, memory) = hosts(&weights);
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let scheduler = settled(Kind::WeightedRoundRobin, &hosts, &memory);
        let mut shares = vec![0_u64; hosts.len()];
        for number in 1..=total {
            shares[scheduler.pick(&hosts, &ask(number)).unwrap()] += 1;
            for (share, weight) in shares.iter().zip(&weights) {
                // Earliest deadline first with deadlines in the middle: off by at most about one
                // turn, and by half a turn of each other host at the worst.
                let expected = number * u64::from(*weight) / total;
                prop_assert!(share.abs_diff(expected) <= 1 + hosts.len() as u64 / 2);
            }
        }
    }

    #[test]
    fn random_shares_follow_weights(weights in weights()) {
        let (hosts, memory) = hosts(&weights);
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let by_weight = shares(Kind::WeightedRandom, &hosts, &memory, 20_000);
        assert_near(&by_weight, weights.iter().copied(), total);
        let alike = shares(Kind::Random, &hosts, &memory, 20_000);
        assert_near(&alike, weights.iter().map(|_| 1), hosts.len() as u64);
    }

    #[test]
    fn least_connections_keeps_loads_within_one_of_each_other_for_their_weight(
        weights in weights(),
        ends in prop::collection::vec(any::<prop::sample::Index>(), 0..50),
    ) {
        let (hosts, memory) = hosts(&weights);
        let scheduler = settled(Kind::LeastConnections, &hosts, &memory);
        let mut leases = Vec::new();
        let fill = |leases: &mut Vec<Lease>| {
            for number in 0..300 {
                let index = scheduler.pick(&hosts, &ask(number)).unwrap();
                leases.push(Lease::take(&hosts[index]).unwrap());
            }
        };
        fill(&mut leases);
        for end in ends {
            leases.swap_remove(end.index(leases.len()));
        }
        fill(&mut leases);
        for one in &hosts {
            for other in &hosts {
                // Nobody was given a session that another would have carried more easily.
                let load = u64::from(one.host.active()) * u64::from(other.weight);
                let others = (u64::from(other.host.active()) + 1) * u64::from(one.weight);
                prop_assert!(load <= others);
            }
        }
    }

    #[test]
    fn nothing_is_picked_that_is_not_in_the_view_or_is_excluded(
        weights in weights(),
        excluded in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        numbers in prop::collection::vec(any::<u64>(), 20),
    ) {
        let (hosts, memory) = hosts(&weights);
        let excluded: Vec<_> = excluded
            .iter()
            .map(|index| index.get(&hosts).host.serial())
            .collect();
        let left = hosts.iter().any(|host| !excluded.contains(&host.host.serial()));
        for kind in Kind::ALL {
            for sticky in [None, Some(Sticky::default())] {
                let scheduler = build(kind, sticky, &hosts, &memory);
                scheduler.settle(&hosts);
                for number in &numbers {
                    let picked = scheduler.pick(&hosts, &Ask { excluded: &excluded, ..ask(*number) });
                    prop_assert_eq!(picked.is_some(), left);
                    if let Some(index) = picked {
                        prop_assert!(!excluded.contains(&hosts[index].host.serial()));
                    }
                }
            }
        }
    }
}

#[test]
fn source_hash_moves_the_clients_of_a_host_that_goes_and_hardly_any_other() {
    const CLIENTS: u32 = 20_000;
    let kind = Kind::SourceHash { load_factor: None };
    let (hosts, memory) = hosts(&[1; 20]);
    let serials = |hosts: &[Candidate]| -> Vec<u64> {
        let scheduler = settled(kind, hosts, &memory);
        let pick = |number| scheduler.pick(hosts, &ask(number)).unwrap();
        (0..u64::from(CLIENTS))
            .map(|number| hosts[pick(number)].host.serial())
            .collect()
    };
    let before = serials(&hosts);
    for gone in [0, 7, 19] {
        let mut rest = hosts.clone();
        let gone = rest.remove(gone).host.serial();
        let (mut of_gone, mut of_others) = (0_u32, 0_u32);
        for (old, new) in before.iter().zip(serials(&rest)) {
            if *old == gone {
                of_gone += 1;
            } else if *old != new {
                of_others += 1;
            }
        }
        assert!(of_gone.abs_diff(CLIENTS / 20) < CLIENTS / 100, "{of_gone}");
        assert!(of_others < CLIENTS / 100, "{of_others}");
    }
    assert_eq!(before, serials(&hosts), "and they come back with it");
}

fn view(kind: Kind, sticky: Option<Sticky>, hosts: Vec<Candidate>, memory: &Arc<Memory>) -> View {
    let scheduler = build(kind, sticky, &hosts, memory);
    let timeouts = Timeouts {
        connect: None,
        idle: None,
        half_closed: None,
        lifetime: None,
    };
    let terms = Terms {
        sessions: 40,
        ..Terms::unlimited(timeouts, 2)
    };
    View::new("blue".parse().unwrap(), terms, hosts.into(), scheduler)
}

/// Something that happens to a service.
#[derive(Clone, Debug)]
enum Event {
    /// A view of one of two groups is shown, with the hosts whose bit is set.
    Show {
        group: usize,
        hosts: u8,
        kind: usize,
        sticky: bool,
        most: u32,
    },
    /// A session comes and looks at the view of now or at one from before.
    Come { client: u8, old_view: bool },
    /// One of the sessions ends.
    End(prop::sample::Index),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => (0..2_usize, any::<u8>(), 0..Kind::ALL.len(), any::<bool>(), 1..6_u32).prop_map(
            |(group, hosts, kind, sticky, most)| Event::Show { group, hosts, kind, sticky, most }
        ),
        6 => (any::<u8>(), any::<bool>())
            .prop_map(|(client, old_view)| Event::Come { client, old_view }),
        3 => any::<prop::sample::Index>().prop_map(Event::End),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_views_come_and_go_all_counters_end_at_zero(
        events in prop::collection::vec(event(), 1..120),
    ) {
        let memories = [Arc::<Memory>::default(), Arc::<Memory>::default()];
        let groups = [("blue", &memories[0]), ("green", &memories[1])]
            .map(|(group, memory)| -> Vec<_> { (0..8).map(|i| host(group, i, memory)).collect() });
        let first = view(Kind::LeastConnections, None, Vec::new(), &memories[0]);
        let service = Arc::new(Service::new("web".parse().unwrap(), first));
        let mut old = service.view();
        let mut sessions: Vec<(Entry, Lease)> = Vec::new();
        for (now, event) in (0..).zip(events) {
            match event {
                Event::Show { group, hosts, kind, sticky, most } => {
                    let candidates = (0..8_usize)
                        .filter(|index| hosts & (1 << index) != 0)
                        .map(|index| Candidate {
                            host: Arc::clone(&groups[group][index]),
                            weight: index as u16 + 1,
                            max_sessions: if most == 5 { UNLIMITED } else { most },
                            portion: None,
                        })
                        .collect();
                    let sticky = sticky.then(Sticky::default);
                    old = service.view();
                    service.show(view(Kind::ALL[kind], sticky, candidates, &memories[group]));
                }
                Event::Come { client: number, old_view } => {
                    let view = if old_view { Arc::clone(&old) } else { service.view() };
                    if let Some(entry) = Entry::take(&service, &view)
                        && let Ok(lease) = view.acquire(client(number.into()), now, now, &[])
                    {
                        let shown = view.hosts().iter();
                        prop_assert!(shown.map(|c| c.host.serial()).any(|s| s == lease.host().serial()));
                        sessions.push((entry, lease));
                    }
                }
                Event::End(index) if !sessions.is_empty() => {
                    sessions.swap_remove(index.index(sessions.len()));
                }
                Event::End(_) => {}
            }
            let counted: u64 = memories.iter().map(|memory| memory.sessions()).sum();
            prop_assert_eq!(counted, sessions.len() as u64);
            prop_assert_eq!(service.counters.active() as usize, sessions.len());
            let mut held = HashMap::<u64, u32>::new();
            for (_, lease) in &sessions {
                *held.entry(lease.host().serial()).or_default() += 1;
            }
            for host in groups.iter().flatten() {
                prop_assert_eq!(host.active(), held.get(&host.serial()).copied().unwrap_or(0));
            }
        }
        sessions.clear();
        prop_assert_eq!(service.counters.active(), 0);
        prop_assert!(memories.iter().all(|memory| memory.sessions() == 0));
        prop_assert!(groups.iter().flatten().all(|host| host.active() == 0));
        drop((service, old));
        prop_assert!(groups.iter().flatten().all(|host| Arc::strong_count(host) == 1));
    }
}

#[test]
fn the_first_view_of_a_service_keeps_its_order_as_later_ones_do() {
    let (hosts, memory) = hosts(&[1; 4]);
    let view = || view(Kind::LeastConnections, None, hosts.clone(), &memory);
    let service = Service::new("web".parse().unwrap(), view());
    let acquire = |number| service.view().acquire(client(number), 0, 0, &[]).unwrap();
    let _leases: Vec<_> = (0..8).map(acquire).collect();
    assert!(hosts.iter().all(|host| host.host.active() == 2));
    service.show(view());
    let _more: Vec<_> = (8..16).map(acquire).collect();
    assert!(hosts.iter().all(|host| host.host.active() == 4));
}

#[test]
fn sticky_sends_a_client_back_and_forgets_it_after_the_ttl_and_at_the_bound() {
    let (hosts, memory) = hosts(&[1; 7]);
    let sticky = Sticky {
        ttl: Period::from_secs(1),
        entries: Count::try_from(2).unwrap(),
    };
    let shown = || view(Kind::RoundRobin, Some(sticky), hosts.clone(), &memory);
    let service = Service::new("web".parse().unwrap(), shown());
    let serial = |number: u32, now: u64| {
        let lease = service.view().acquire(client(number), now, 0, &[]);
        lease.unwrap().host().serial()
    };
    let first = serial(1, 0);
    assert_eq!(serial(1, 1000), first);
    assert_eq!(serial(1, 2000), first, "each use renews it");
    service.show(shown());
    assert_eq!(serial(1, 3000), first, "a new view remembers");
    let second = serial(1, 4001);
    assert_ne!(second, first, "it was away for longer than the ttl");
    serial(2, 4001);
    assert_eq!(serial(1, 4001), second, "two fit");
    serial(3, 4001);
    assert_eq!(
        serial(1, 4001),
        second,
        "client 2 was longest away, and has made room"
    );
    serial(2, 4001);
    serial(3, 4001);
    assert_ne!(serial(1, 4001), second, "now client 1 has");
}
