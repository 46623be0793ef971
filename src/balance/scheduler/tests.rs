//! The contract of [`Scheduler`], run against every kind, with and without stickiness.
//! It must not know what makes one kind differ from another.

use std::{net::IpAddr, sync::Arc};

use super::{testing::*, *};
use crate::balance::host::Lease;

/// Runs `test` on each scheduler, twice: just built, and settled.
fn each(hosts: &[Candidate], memory: &Arc<Memory>, test: impl Fn(&dyn Scheduler, &str)) {
    let bounded = Kind::SourceHash {
        load_factor: Some(1.0),
    };
    let mut number = 0;
    for kind in Kind::ALL.into_iter().chain([bounded]) {
        for sticky in [None, Some(StickyOptions::default())] {
            let scheduler = build(kind, sticky, hosts, memory);
            let name = format!("{kind:?}, sticky: {}", sticky.is_some());
            test(&*scheduler, &name);
            scheduler.settle(hosts);
            test(&*scheduler, &name);
            number += 1;
        }
    }
    assert_eq!(number, 20);
}

fn asks() -> impl Iterator<Item = Ask<'static>> {
    (0..200_u64).map(|random| Ask {
        client: IpAddr::from([10, 0, 0, random as u8]),
        now: random,
        random: random.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        excluded: &[],
    })
}

#[test]
fn without_hosts_none_is_picked() {
    let (hosts, memory) = hosts(&[]);
    each(&hosts, &memory, |scheduler, name| {
        for ask in asks() {
            assert_eq!(scheduler.pick(&hosts, &ask), None, "{name}");
        }
    });
}

#[test]
fn a_single_host_is_always_picked() {
    let (hosts, memory) = hosts(&[7]);
    each(&hosts, &memory, |scheduler, name| {
        for ask in asks() {
            assert_eq!(scheduler.pick(&hosts, &ask), Some(0), "{name}");
        }
    });
}

#[test]
fn none_is_picked_only_when_all_are_excluded() {
    let (hosts, memory) = hosts(&[256, 1, 1, 3, 1]);
    let serials: Vec<_> = hosts.iter().map(|host| host.host.serial()).collect();
    each(&hosts, &memory, |scheduler, name| {
        for ask in asks() {
            let all = Ask {
                excluded: &serials,
                ..ask
            };
            assert_eq!(scheduler.pick(&hosts, &all), None, "{name}");
            for left in 0..hosts.len() {
                let mut others = serials.clone();
                others.remove(left);
                let all_but_one = Ask {
                    excluded: &others,
                    ..ask
                };
                assert_eq!(scheduler.pick(&hosts, &all_but_one), Some(left), "{name}");
            }
        }
    });
}

#[test]
fn an_excluded_host_is_never_picked_though_others_are_unknown_or_full() {
    let (mut hosts, memory) = hosts(&[1, 5, 2, 9, 1, 1, 30]);
    for candidate in &mut hosts[..6] {
        candidate.max_sessions = 1;
    }
    let _leases: Vec<_> = hosts[..5].iter().filter_map(Lease::take).collect();
    each(&hosts, &memory, |scheduler, name| {
        for (ask, first) in asks().zip(0..) {
            let pair = [first % 7, (first * 3 + 1) % 7].map(|index| hosts[index].host.serial());
            let excluded = [pair[0], u64::MAX, pair[1], 0];
            let ask = Ask {
                excluded: &excluded,
                ..ask
            };
            let picked = scheduler.pick(&hosts, &ask).expect(name);
            assert!(picked < hosts.len(), "{name}");
            assert!(!ask.excludes(&hosts[picked]), "{name}");
        }
    });
}

#[test]
fn every_host_is_full_and_one_is_picked_all_the_same() {
    let (mut hosts, memory) = hosts(&[1, 5, 2]);
    for candidate in &mut hosts {
        candidate.max_sessions = 1;
    }
    let _leases: Vec<_> = hosts.iter().filter_map(Lease::take).collect();
    each(&hosts, &memory, |scheduler, name| {
        for ask in asks() {
            assert!(scheduler.pick(&hosts, &ask).is_some(), "{name}");
        }
    });
}

#[test]
fn settling_detaches_hosts_from_the_ranking_of_the_view_before() {
    let (hosts, memory) = hosts(&[1, 1]);
    let ranked = build(Kind::LeastConnections, None, &hosts, &memory);
    ranked.settle(&hosts);
    for kind in Kind::ALL {
        let before = memory.turn.load(Relaxed);
        build(kind, None, &hosts, &memory).settle(&hosts);
        drop(Lease::take(&hosts[0]));
        assert_eq!(memory.turn.load(Relaxed), before, "{kind:?}");
        ranked.settle(&hosts);
    }
}
