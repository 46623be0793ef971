//! Sticky: sends a client back to the host it was sent to before, whatever the scheduler.
//! It must not send it to a host that is not in the view, excluded or full.

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;

use super::{Ask, Memory, Scheduler, source_hash};
use crate::{balance::host::Candidate, model::topology::Sticky as Options};

/// In how many parts, each with its lock, a large table is split.
const SHARDS: usize = 16;

/// A table below that many entries is not split, so that it forgets just the one longest away.
const SPLIT_FROM: usize = 1024;

#[derive(Debug)]
pub(super) struct Sticky {
    inner: Box<dyn Scheduler>,
    memory: Arc<Memory>,
    table: Arc<Table>,
    /// Hosts of the view by serial.
    indices: HashMap<u64, usize>,
}

/// The table that a group remembers from view to view.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<Option<Arc<Table>>>);

/// Which client went to which host.
struct Table {
    options: Options,
    shards: Box<[Mutex<LruCache<IpAddr, Entry>>]>,
}

#[derive(Clone, Copy)]
struct Entry {
    serial: u64,
    /// The last moment at which it is honoured.
    until: u64,
}

impl Sticky {
    pub(super) fn new(
        options: Options,
        inner: Box<dyn Scheduler>,
        hosts: &[Candidate],
        memory: &Arc<Memory>,
    ) -> Self {
        let known = lock(&memory.sticky.0)
            .as_ref()
            .filter(|table| table.options == options)
            .map(Arc::clone);
        Self {
            inner,
            memory: Arc::clone(memory),
            table: known.unwrap_or_else(|| Arc::new(Table::new(options))),
            indices: hosts
                .iter()
                .enumerate()
                .map(|(index, candidate)| (candidate.host.serial(), index))
                .collect(),
        }
    }
}

impl Table {
    fn new(options: Options) -> Self {
        let entries = options.entries.get() as usize;
        let shards = if entries < SPLIT_FROM { 1 } else { SHARDS };
        let share = NonZeroUsize::new(entries / shards).unwrap_or(NonZeroUsize::MIN);
        Self {
            options,
            shards: (0..shards)
                // Sparse: the bound may be far above what is ever used.
                .map(|_| Mutex::new(LruCache::sparse(share)))
                .collect(),
        }
    }

    fn shard(&self, client: IpAddr) -> MutexGuard<'_, LruCache<IpAddr, Entry>> {
        let hash = source_hash::hash_of(client) as usize;
        lock(&self.shards[hash % self.shards.len()])
    }

    /// Until when a client is remembered that came at `now`; no period is for ever.
    fn until(&self, now: u64) -> u64 {
        self.options.ttl.limit().map_or(u64::MAX, |ttl| {
            now.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
        })
    }
}

impl Scheduler for Sticky {
    fn pick(&self, hosts: &[Candidate], ask: &Ask<'_>) -> Option<usize> {
        let client = ask.client.to_canonical();
        // Held over the inner pick as well, so that of connections that a new client opens at
        // once, one is scheduled and the others follow it.
        let mut shard = self.table.shard(client);
        let until = self.table.until(ask.now);
        if let Some(entry) = shard.get_mut(&client)
            && ask.now <= entry.until
            && let Some(index) = self.indices.get(&entry.serial)
            && !hosts[*index].is_full()
            && !ask.excludes(&hosts[*index])
        {
            entry.until = until;
            return Some(*index);
        }
        let index = self.inner.pick(hosts, ask)?;
        let serial = hosts[index].host.serial();
        shard.push(client, Entry { serial, until });
        Some(index)
    }

    /// Only now does the group remember this table: a view that was built and never shown must
    /// not have replaced the one in use. A group that is no longer sticky keeps the last one,
    /// so that a change that is taken back costs no client its host.
    fn settle(&self, hosts: &[Candidate]) {
        self.inner.settle(hosts);
        *lock(&self.memory.sticky.0) = Some(Arc::clone(&self.table));
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{build, testing::*},
        *,
    };
    use crate::model::{
        period::Period,
        topology::{Count, Scheduler as Kind},
    };

    fn options(millis: u64, entries: i64) -> Options {
        Options {
            ttl: Period::from_millis(millis),
            entries: Count::try_from(entries).unwrap(),
        }
    }

    fn sticky(options: Options, hosts: &[Candidate], memory: &Arc<Memory>) -> Box<dyn Scheduler> {
        let scheduler = build(Kind::RoundRobin, Some(options), hosts, memory);
        scheduler.settle(hosts);
        scheduler
    }

    fn from(client: u8, now: u64) -> Ask<'static> {
        Ask {
            client: IpAddr::from([10, 0, 0, client]),
            now,
            ..ask(0)
        }
    }

    #[test]
    fn a_client_is_sent_back_until_it_was_away_too_long() {
        let (hosts, memory) = hosts(&[1, 1, 1]);
        let scheduler = sticky(options(100, 10), &hosts, &memory);
        let picked = [0, 100, 200, 300, 401].map(|now| scheduler.pick(&hosts, &from(1, now)));
        assert_eq!(picked, [Some(0), Some(0), Some(0), Some(0), Some(1)]);
    }

    #[test]
    fn the_client_longest_away_is_forgotten_at_the_bound() {
        let (hosts, memory) = hosts(&[1; 9]);
        let scheduler = sticky(options(1000, 2), &hosts, &memory);
        let pick = |client| scheduler.pick(&hosts, &from(client, 0)).unwrap();
        assert_eq!([1, 2, 1, 3, 1, 2].map(pick), [0, 1, 0, 2, 0, 3]);
    }

    #[test]
    fn a_large_table_holds_no_more_than_its_bound() {
        let (hosts, memory) = hosts(&[1]);
        let table = Sticky::new(
            options(1000, 2000),
            build(Kind::Random, None, &hosts, &memory),
            &hosts,
            &memory,
        );
        for client in 0..5000_u32 {
            let client = IpAddr::from(client.to_be_bytes());
            table.pick(&hosts, &Ask { client, ..ask(0) });
        }
        let held: usize = table
            .table
            .shards
            .iter()
            .map(|shard| lock(shard).len())
            .sum();
        assert!((1900..=2000).contains(&held), "{held}");
    }

    #[test]
    fn views_come_and_go_and_a_client_stays_where_it_was() {
        let (hosts, memory) = hosts(&[1, 1, 1]);
        let old = sticky(options(100, 10), &hosts, &memory);
        assert_eq!(
            [old.pick(&hosts, &from(9, 0)), old.pick(&hosts, &from(1, 0))],
            [Some(0), Some(1)]
        );
        // One that was never shown, with other options.
        drop(build(Kind::Random, Some(options(5, 5)), &hosts, &memory));
        let new = sticky(options(100, 10), &hosts[1..], &memory);
        assert_eq!(new.pick(&hosts[1..], &from(1, 1)), Some(0));
        assert!(new.pick(&hosts[1..], &from(9, 1)).is_some());
    }

    #[test]
    fn a_full_or_excluded_host_gives_its_client_to_another_which_keeps_it() {
        let (mut hosts, memory) = hosts(&[1, 1]);
        hosts[0].max_sessions = 1;
        let scheduler = sticky(options(100, 10), &hosts, &memory);
        assert_eq!(scheduler.pick(&hosts, &from(1, 0)), Some(0));
        let lease = crate::balance::host::Lease::take(&hosts[0]);
        assert_eq!(scheduler.pick(&hosts, &from(1, 0)), Some(1));
        drop(lease);
        assert_eq!(scheduler.pick(&hosts, &from(1, 0)), Some(1));
        let excluded = [hosts[1].host.serial()];
        let ask = Ask {
            excluded: &excluded,
            ..from(1, 0)
        };
        assert_eq!(scheduler.pick(&hosts, &ask), Some(0));
    }
}
