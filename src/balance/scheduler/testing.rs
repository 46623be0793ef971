//! What the tests of the schedulers share: hosts, asks, counts.
//! It must not be part of the program.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use super::{Ask, Memory, Scheduler};
use crate::balance::host::{Candidate, Host, UNLIMITED};

/// Hosts of those weights, without limits, in a group of their own.
pub(super) fn hosts(weights: &[u16]) -> (Vec<Candidate>, Arc<Memory>) {
    let memory = Arc::<Memory>::default();
    let host = |index: usize, weight: u16| Candidate {
        host: Arc::new(Host::new(
            format!("web/blue/w{index}").parse().unwrap(),
            std::net::SocketAddr::from(([127, 0, 0, 1], 80)).into(),
            Arc::clone(&memory),
        )),
        weight,
        max_sessions: UNLIMITED,
        portion: None,
    };
    let hosts = weights.iter().enumerate();
    (hosts.map(|(i, weight)| host(i, *weight)).collect(), memory)
}

pub(super) fn ask(random: u64) -> Ask<'static> {
    Ask {
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        now: 0,
        random,
        excluded: &[],
    }
}

pub(super) fn picks(scheduler: &dyn Scheduler, hosts: &[Candidate], number: u64) -> Vec<usize> {
    (0..number)
        .map(|random| scheduler.pick(hosts, &ask(random)).unwrap())
        .collect()
}

/// How often each host is picked.
pub(super) fn shares(scheduler: &dyn Scheduler, hosts: &[Candidate], number: u64) -> Vec<u64> {
    let mut shares = vec![0; hosts.len()];
    for index in picks(scheduler, hosts, number) {
        shares[index] += 1;
    }
    shares
}
