//! How often connections may come: at a steady rate, and in bursts.
//! It must not know a clock; the time is told to it.
//!
//! The generic cell rate algorithm (ITU-T I.371, annex A): instead of a bucket that is filled, it
//! keeps the moment at which the last connection would be due, had all come at a steady pace.

use std::{
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use lru::LruCache;

use super::clients::Client;
use crate::model::topology::Rate;

/// How many clients' rates are remembered at most, in so many parts with a lock each.
const CLIENTS: usize = 65_536;
const SHARDS: usize = 16;

/// A rate, as it is counted: in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Between two connections at the steady rate.
    interval: u64,
    /// How far ahead of the steady pace they may come.
    tolerance: u64,
}

impl From<Rate> for Pace {
    fn from(rate: Rate) -> Self {
        let interval = 1_000_000_000 / u64::from(rate.per_second.get());
        let burst = rate.burst.unwrap_or(rate.per_second).get();
        Self {
            interval,
            tolerance: interval * u64::from(burst - 1),
        }
    }
}

impl Pace {
    /// When the connection after one at `now` is due, if that may come; `due` is what was returned
    /// for the one before it.
    fn next(self, due: u64, now: u64) -> Option<u64> {
        let on_time = due <= now.saturating_add(self.tolerance);
        on_time.then(|| due.max(now).saturating_add(self.interval))
    }
}

/// The rate of connections from everybody.
#[derive(Debug)]
pub struct Total {
    rate: Rate,
    pace: Pace,
    due: AtomicU64,
}

impl Total {
    /// Nobody has come yet.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            pace: rate.into(),
            due: AtomicU64::new(0),
        }
    }

    /// The rate.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether a connection may come at `now` (nanoseconds on any clock that never goes back), and
    /// counts it if so.
    pub fn admits(&self, now: u64) -> bool {
        let next = |due| self.pace.next(due, now);
        self.due.fetch_update(Relaxed, Relaxed, next).is_ok()
    }
}

/// The rate of connections from each client. Of many clients those who have come last are
/// remembered, 65,536 of them: somebody forgotten starts anew, which errs on their side.
#[derive(Debug)]
pub struct PerClient {
    rate: Rate,
    pace: Pace,
    due: Box<[Mutex<LruCache<Client, u64>>]>,
}

impl PerClient {
    /// Nobody has come yet.
    pub fn new(rate: Rate) -> Self {
        let share = NonZeroUsize::new(CLIENTS / SHARDS).unwrap_or(NonZeroUsize::MIN);
        Self {
            rate,
            pace: rate.into(),
            // Room is taken as clients come, not beforehand.
            due: (0..SHARDS)
                .map(|_| {
                    let mut table = LruCache::unbounded();
                    table.resize(share);
                    Mutex::new(table)
                })
                .collect(),
        }
    }

    /// The rate.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether a connection of `client` may come at `now`, and counts it if so.
    pub fn admits(&self, client: Client, now: u64) -> bool {
        let Some(shard) = self.due.get(client.part(self.due.len())) else {
            return true;
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let due = shard.get_or_insert_mut(client, || 0);
        match self.pace.next(*due, now) {
            Some(next) => {
                *due = next;
                true
            }
            None => false,
        }
    }

    /// How many clients are remembered.
    pub fn len(&self) -> usize {
        let count = |shard: &Mutex<LruCache<_, _>>| {
            shard.lock().unwrap_or_else(PoisonError::into_inner).len()
        };
        self.due.iter().map(count).sum()
    }

    /// Whether nobody has come yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(per_second: i64, burst: i64) -> Rate {
        Rate {
            per_second: per_second.try_into().unwrap(),
            burst: Some(burst.try_into().unwrap()),
        }
    }

    #[test]
    fn a_burst_comes_at_once_and_the_rest_at_the_steady_pace() {
        let total = Total::new(rate(10, 5));
        let at = |now| (0..100).filter(|_| total.admits(now)).count();
        assert_eq!(at(SECOND), 5);
        assert_eq!(at(SECOND + SECOND / 10), 1);
        assert_eq!(at(SECOND + SECOND / 10), 0);
        assert_eq!(at(100 * SECOND), 5);
    }

    #[test]
    fn each_client_has_a_rate_of_its_own_and_no_more_are_remembered_than_there_is_room_for() {
        let clients = PerClient::new(rate(1, 1));
        for number in 0..100_000u32 {
            let client = IpAddr::V4(number.into()).into();
            assert!(clients.admits(client, SECOND));
            assert!(!clients.admits(client, SECOND));
        }
        assert!(clients.len() <= CLIENTS);
        assert!(clients.len() > CLIENTS / 2);
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_has_more_than_its_share_and_a_burst(
            per_second in 1..1000i64,
            burst in 1..100i64,
            steps in prop::collection::vec(0..SECOND / 50, 1..300),
        ) {
            let total = Total::new(rate(per_second, burst));
            let mut now = 0;
            let mut admitted = Vec::new();
            for step in steps {
                now += step;
                if total.admits(now) {
                    admitted.push(now);
                }
            }
            for (from, first) in admitted.iter().enumerate() {
                for (to, last) in admitted.iter().enumerate().skip(from) {
                    let stretch = last - first;
                    let most = burst as u64 + stretch / (SECOND / per_second as u64);
                    prop_assert!((to - from + 1) as u64 <= most);
                }
            }
        }
    }
}
