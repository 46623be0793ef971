//! Source hash: always the same host for the same client address (Maglev hashing).
//! It must not depend on the order of the hosts, nor on this process: all nodes that balance the
//! same hosts agree.

use std::{net::IpAddr, sync::Arc};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    Ask, Memory, Scheduler,
    draw::below,
    turns::{self, Turns},
};
use crate::balance::host::Candidate;

/// Sizes of the table. It must be at least a hundred times the number of hosts, so that their
/// shares come out within a percent; and it must be prime. Few, and the first large, because a
/// table of another size sends nearly every client elsewhere.
const SIZES: [usize; 2] = [65_537, 1_048_573];

/// What makes the hashes those of Pointsman, on every node and for ever.
const OFFSET: u64 = 0x706f_696e_7473_6d61;
const SKIP: u64 = OFFSET + 1;
const CLIENT: u64 = OFFSET + 2;

/// How many places of the table are tried for a host that may take the client.
const PROBES: usize = 32;

const EMPTY: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct SourceHash {
    memory: Arc<Memory>,
    load_factor: Option<f64>,
    /// What the weights add up to.
    weight: f64,
    /// The index of the host that each place belongs to.
    table: Box<[u32]>,
    /// All indices, in an order that does not depend on that of the view.
    order: Box<[u32]>,
}

impl SourceHash {
    pub(super) fn new(load_factor: Option<f64>, hosts: &[Candidate], memory: &Arc<Memory>) -> Self {
        let order = by_hash(hosts);
        Self {
            memory: Arc::clone(memory),
            load_factor,
            weight: hosts.iter().map(|host| f64::from(host.weight)).sum(),
            table: table(hosts, &order),
            order,
        }
    }

    /// How many sessions a host may hold with this one. All have room for their fair share
    /// together, so at least one is below it.
    fn bound(&self, candidate: &Candidate) -> f64 {
        let Some(factor) = self.load_factor else {
            return f64::INFINITY;
        };
        let sessions = (self.memory.sessions() + 1) as f64;
        (factor * sessions * f64::from(candidate.weight) / self.weight).ceil()
    }
}

impl Scheduler for SourceHash {
    fn pick(&self, hosts: &[Candidate], ask: &Ask<'_>) -> Option<usize> {
        if hosts.is_empty() {
            return None;
        }
        let hash = hash_of(ask.client);
        let mut place = below(hash, self.table.len());
        let mut least: Option<usize> = None;
        for _ in 0..PROBES {
            let index = self.table[place] as usize;
            let candidate = &hosts[index];
            if !ask.excludes(candidate) {
                if f64::from(candidate.host.active()) < self.bound(candidate) {
                    return Some(index);
                }
                if least.is_none_or(|least| less_loaded(candidate, &hosts[least])) {
                    least = Some(index);
                }
            }
            place += 1;
            if place == self.table.len() {
                place = 0;
            }
        }
        least.or_else(|| {
            // Nothing but excluded hosts, each with many places: go through the hosts instead.
            let start = below(hash, hosts.len());
            ask.following(hosts, start, 0)
                .map(|rank| self.order[rank] as usize)
                .find(|index| !ask.excludes(&hosts[*index]))
        })
    }
}

fn less_loaded(one: &Candidate, other: &Candidate) -> bool {
    let (load, others) = super::loads(one, other);
    load < others
}

/// The hash of a client's address; an IPv4 address seen through an IPv6 socket is the same one.
pub(super) fn hash_of(client: IpAddr) -> u64 {
    match client.to_canonical() {
        IpAddr::V4(v4) => xxh3_64_with_seed(&v4.octets(), CLIENT),
        IpAddr::V6(v6) => xxh3_64_with_seed(&v6.octets(), CLIENT),
    }
}

fn by_hash(hosts: &[Candidate]) -> Box<[u32]> {
    let mut keyed: Vec<(u64, String, u32)> = hosts
        .iter()
        .zip(0..)
        .map(|(candidate, index)| {
            let path = candidate.host.path().to_string();
            (xxh3_64_with_seed(path.as_bytes(), OFFSET), path, index)
        })
        .collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, _, index)| index).collect()
}

/// The table: hosts take turns by weight, and at its turn each takes the first place still free
/// of its own permutation of the places.
fn table(hosts: &[Candidate], order: &[u32]) -> Box<[u32]> {
    let [small, large] = SIZES;
    let size = if hosts.len() * 100 <= small {
        small
    } else {
        large
    };
    let mut permutations: Vec<(usize, usize)> = order
        .iter()
        .map(|index| {
            let path = hosts[*index as usize].host.path().to_string();
            let hash = |seed| xxh3_64_with_seed(path.as_bytes(), seed);
            let offset = (hash(OFFSET) % size as u64) as usize;
            let skip = (hash(SKIP) % (size as u64 - 1)) as usize + 1;
            (offset, skip)
        })
        .collect();
    let mut turns = Turns::new(order.iter().map(|index| {
        let weight = hosts[*index as usize].weight;
        (turns::first_after(0, weight), weight)
    }));
    let mut table = vec![EMPTY; if hosts.is_empty() { 0 } else { size }];
    for _ in 0..table.len() {
        let Some(turn) = turns.take(|_| false, |_| ()) else {
            break;
        };
        let (place, skip) = &mut permutations[turn.index];
        while table[*place] != EMPTY {
            *place += *skip;
            if *place >= size {
                *place -= size;
            }
        }
        table[*place] = order[turn.index];
    }
    table.into()
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::balance::host::Lease;

    fn client(number: u32) -> Ask<'static> {
        Ask {
            client: IpAddr::from(number.to_be_bytes()),
            ..ask(0)
        }
    }

    #[test]
    fn other_nodes_and_other_releases_send_a_client_to_the_same_host() {
        let (hosts, memory) = hosts(&[1, 1, 1, 2]);
        let scheduler = SourceHash::new(None, &hosts, &memory);
        let picked: Vec<_> = (0..16)
            .filter_map(|number| scheduler.pick(&hosts, &client(number)))
            .collect();
        assert_eq!(picked, [0, 2, 2, 1, 1, 2, 3, 3, 2, 3, 3, 2, 1, 2, 1, 0]);
    }

    #[test]
    fn the_order_of_the_hosts_does_not_matter() {
        let (mut hosts, memory) = hosts(&[1, 5, 1, 2, 2]);
        let excluded = [0, 1, 3].map(|index: usize| hosts[index].host.serial());
        let owners = |hosts: &[Candidate]| -> Vec<u64> {
            let scheduler = SourceHash::new(None, hosts, &memory);
            let order = scheduler.order.iter();
            let table = scheduler.table.iter().chain(order).map(|i| *i as usize);
            let picked = (0..1000).filter_map(|number| {
                let ask = Ask {
                    excluded: &excluded,
                    ..client(number)
                };
                scheduler.pick(hosts, &ask)
            });
            let all = table.chain(picked);
            all.map(|index| hosts[index].host.serial()).collect()
        };
        let before = owners(&hosts);
        hosts.reverse();
        assert!(before == owners(&hosts));
        hosts.swap(1, 3);
        assert!(before == owners(&hosts));
    }

    #[test]
    fn shares_of_the_table_follow_weights() {
        let weights = [1, 3, 4, 256];
        let (hosts, memory) = hosts(&weights);
        let scheduler = SourceHash::new(None, &hosts, &memory);
        for (index, weight) in (0..).zip(weights) {
            let share = scheduler.table.iter().filter(|i| **i == index).count();
            let expected = usize::from(weight) * SIZES[0] / 264;
            assert!(share.abs_diff(expected) <= 2, "{share} of {expected}");
        }
    }

    #[test]
    fn an_ipv4_client_is_the_same_through_an_ipv6_socket() {
        let v4 = IpAddr::from([192, 0, 2, 7]);
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(hash_of(v4), hash_of(mapped));
    }

    #[test]
    fn one_client_cannot_load_a_host_beyond_the_bound() {
        let (hosts, memory) = hosts(&[1, 1, 1, 1]);
        let scheduler = SourceHash::new(Some(1.25), &hosts, &memory);
        let mut leases = Vec::new();
        for _ in 0..100 {
            let index = scheduler.pick(&hosts, &client(7)).unwrap();
            leases.push(Lease::take(&hosts[index]).unwrap());
            let bound = (1.25 * leases.len() as f64 / 4.0).ceil() as u32;
            assert!(hosts.iter().all(|c| c.host.active() <= bound));
        }
    }

    #[test]
    fn a_host_with_nearly_all_places_can_be_excluded() {
        let (hosts, memory) = hosts(&[256, 1]);
        let excluded = [hosts[0].host.serial()];
        for load_factor in [None, Some(1.0)] {
            let scheduler = SourceHash::new(load_factor, &hosts, &memory);
            for number in 0..2000 {
                let ask = Ask {
                    excluded: &excluded,
                    ..client(number)
                };
                assert_eq!(scheduler.pick(&hosts, &ask), Some(1));
            }
        }
    }
}
