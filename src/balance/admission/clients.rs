//! How many sessions each client has, so that none takes more than its share.
//! It must not remember a client without sessions: memory goes with sessions, not with clients.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use xxhash_rust::xxh3::{Xxh3DefaultBuilder, xxh3_64};

/// In how many parts, each with its lock, the table is split. A lock is held for one look-up, and
/// only in services that limit their clients.
const SHARDS: usize = 64;

/// Who a client is: an IPv4 address, or an IPv6 network of 64 bits, since whoever has one address
/// of it has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(u64, bool);

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u32::from(address).into(), true),
            IpAddr::V6(address) => Self((u128::from(address) >> 64) as u64, false),
        }
    }
}

impl Client {
    /// Which of `parts` it belongs to.
    pub(super) fn part(self, parts: usize) -> usize {
        (xxh3_64(&self.0.to_le_bytes()) % parts.max(1) as u64) as usize
    }
}

type Shard = HashMap<Client, u32, Xxh3DefaultBuilder>;

/// The sessions of a service by client.
#[derive(Debug)]
pub struct Clients(Box<[Mutex<Shard>]>);

impl Default for Clients {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl Clients {
    /// Counts a session of `client` in, unless it has `limit` already. It is counted until the
    /// [`Place`] is dropped.
    pub fn take(self: &Arc<Self>, client: Client, limit: u32) -> Option<Place> {
        let mut shard = self.shard(client)?;
        match shard.entry(client) {
            Entry::Occupied(mut known) if *known.get() < limit => *known.get_mut() += 1,
            Entry::Occupied(_) => return None,
            Entry::Vacant(new) => {
                new.insert(1);
            }
        }
        drop(shard);
        Some(Place {
            clients: Arc::clone(self),
            client,
        })
    }

    /// How many clients have a session.
    pub fn len(&self) -> usize {
        self.0.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether nobody has a session.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, client: Client) -> Option<MutexGuard<'_, Shard>> {
        self.0.get(client.part(self.0.len())).map(lock)
    }

    fn leave(&self, client: Client) {
        let Some(mut shard) = self.shard(client) else {
            return;
        };
        if let Entry::Occupied(mut known) = shard.entry(client) {
            *known.get_mut() -= 1;
            if *known.get() == 0 {
                known.remove();
            }
        }
        // What a crowd has left behind is given back.
        if shard.capacity() > 64 && shard.len() < shard.capacity() / 8 {
            shard.shrink_to_fit();
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A session of a client, counted until dropped.
#[derive(Debug)]
pub struct Place {
    clients: Arc<Clients>,
    client: Client,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clients.leave(self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_client_has_as_many_sessions_as_it_may_and_others_are_not_concerned() {
        let clients = Arc::new(Clients::default());
        let first = clients.take(client("10.0.0.1"), 2);
        let second = clients.take(client("10.0.0.1"), 2);
        assert!(first.is_some() && second.is_some());
        assert!(clients.take(client("10.0.0.1"), 2).is_none());
        assert!(clients.take(client("10.0.0.2"), 2).is_some());
        drop(first);
        assert!(clients.take(client("10.0.0.1"), 2).is_some());
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_client_and_an_ipv4_address_is_itself_inside_ipv6() {
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("10.0.0.1"), client("::ffff:10.0.0.1"));
        assert_ne!(client("0.0.0.1"), client("0:0:0:1::"));
    }

    #[test]
    fn whoever_has_left_takes_no_memory() {
        let clients = Arc::new(Clients::default());
        let crowd: Vec<_> = (0..100_000u32)
            .map(|number| clients.take(IpAddr::V4(number.into()).into(), 1).unwrap())
            .collect();
        assert_eq!(clients.len(), 100_000);
        drop(crowd);
        assert!(clients.is_empty());
        let room: usize = clients.0.iter().map(|shard| lock(shard).capacity()).sum();
        assert!(room <= 64 * SHARDS, "room for {room} is still held");
    }
}
