//! Where a host is reached now: at its address, or at those that its name leads to.
//! It must not resolve names; what they lead to is told to it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwapOption;

use crate::model::address::{Endpoint, HostAddress};

/// Where a host is reached.
#[derive(Debug)]
pub struct Reach {
    address: HostAddress,
    /// `None` for a name that leads nowhere yet, and for what is no name.
    found: ArcSwapOption<Found>,
}

/// What a name leads to.
#[derive(Debug)]
struct Found {
    addresses: Box<[SocketAddr]>,
    /// Which of them is connected to first: the one that did not fail last.
    first: AtomicUsize,
}

impl Reach {
    /// The host is at `address`; where that is a name, nothing is known of it yet.
    pub fn new(address: HostAddress) -> Self {
        Self {
            address,
            found: ArcSwapOption::empty(),
        }
    }

    /// As the configuration has it.
    pub fn address(&self) -> &HostAddress {
        &self.address
    }

    /// Whether there is anywhere to connect to.
    pub fn is_known(&self) -> bool {
        self.address.name().is_none() || self.found.load().is_some()
    }

    /// Where the next session connects to first; `None` while that is not known.
    pub fn first(&self) -> Option<Endpoint> {
        match &self.address {
            HostAddress::At(endpoint) => Some(endpoint.clone()),
            HostAddress::Named(_) => self.in_turn().next().map(Endpoint::Ip),
        }
    }

    /// The addresses that the name leads to, in the order in which they are to be tried; none for
    /// what is no name.
    pub fn in_turn(&self) -> impl Iterator<Item = SocketAddr> + Send + use<> {
        let found = self.found.load_full();
        let length = found.as_ref().map_or(0, |found| found.addresses.len());
        let first = found.as_ref().map_or(0, |found| found.first.load(Relaxed));
        (0..length).filter_map(move |step| {
            let found: &Arc<Found> = found.as_ref()?;
            found.addresses.get((first + step) % length).copied()
        })
    }

    /// The name leads to `addresses` from now on. Whichever is in use stays so if it is among
    /// them.
    pub fn leads_to(&self, addresses: &[IpAddr]) {
        let Some(name) = self.address.name() else {
            return;
        };
        let before = self.in_turn().next();
        let address = |ip: &IpAddr| SocketAddr::new(*ip, name.port());
        let addresses: Box<[_]> = addresses.iter().map(address).collect();
        let first = addresses.iter().position(|now| Some(*now) == before);
        let found = (!addresses.is_empty()).then(|| {
            Arc::new(Found {
                addresses,
                first: AtomicUsize::new(first.unwrap_or(0)),
            })
        });
        self.found.store(found);
    }

    /// `address` could not be connected to: if it is the first, the one after it is from now on.
    pub fn failed(&self, address: SocketAddr) {
        let found = self.found.load();
        let Some(found) = found.as_ref() else { return };
        let first = found.first.load(Relaxed);
        if found.addresses.get(first) == Some(&address) {
            let next = (first + 1) % found.addresses.len();
            // Where somebody else was faster, they have moved on already.
            let _ = found.first.compare_exchange(first, next, Relaxed, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(last: &[u8]) -> Vec<IpAddr> {
        last.iter().map(|last| [10, 0, 0, *last].into()).collect()
    }

    fn order(reach: &Reach) -> Vec<u8> {
        let last = |address: SocketAddr| match address.ip() {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(_) => 0,
        };
        reach.in_turn().map(last).collect()
    }

    #[test]
    fn an_address_that_fails_is_tried_after_the_others_and_the_one_in_use_is_kept() {
        let reach = Reach::new("db.example:5432".parse().unwrap());
        assert!(!reach.is_known() && reach.first().is_none());
        reach.leads_to(&ips(&[1, 2, 3]));
        assert_eq!(order(&reach), [1, 2, 3]);
        assert_eq!(reach.first().unwrap().to_string(), "10.0.0.1:5432");
        reach.failed(([10, 0, 0, 1], 5432).into());
        assert_eq!(order(&reach), [2, 3, 1]);
        reach.failed(([10, 0, 0, 1], 5432).into());
        assert_eq!(order(&reach), [2, 3, 1], "it is not the first");
        reach.leads_to(&ips(&[0, 2]));
        assert_eq!(order(&reach), [2, 0], "the one in use is among them");
        reach.leads_to(&ips(&[4, 5]));
        assert_eq!(order(&reach), [4, 5]);
    }

    #[test]
    fn what_is_no_name_is_where_it_is() {
        let reach = Reach::new("10.0.0.1:80".parse().unwrap());
        reach.leads_to(&ips(&[2]));
        assert!(reach.is_known() && order(&reach).is_empty());
        assert_eq!(reach.first().unwrap().to_string(), "10.0.0.1:80");
    }
}
