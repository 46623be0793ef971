//! How fast somebody may try passwords: who must wait, and how long.
//! It must not keep a user name, read a clock or wait itself.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    num::NonZero,
    time::{Duration, Instant},
};

use icu_normalizer::DecomposingNormalizerBorrowed;
use lru::LruCache;

/// Failures that cost nothing.
const FREE: u32 = 3;
/// The first delay; each further failure doubles it.
const FIRST: Duration = Duration::from_millis(500);
/// The longest delay of a user from one source.
pub(super) const PAIR_CAP: Duration = Duration::from_secs(8);
/// The longest delay of a user wherever from.
pub(super) const USER_CAP: Duration = Duration::from_secs(5);
/// The delay of a source that fails too often.
pub(super) const SOURCE_CAP: Duration = Duration::from_secs(1);
/// How often a source may fail within [`SOURCE_WINDOW`] for nothing.
const SOURCE_FREE: usize = 20;
const SOURCE_WINDOW: Duration = Duration::from_secs(60);
/// Failures older than this are forgotten.
const FORGET: Duration = Duration::from_secs(15 * 60);
/// How long a source counts as the usual place of a user who logged in from there.
const USUAL: Duration = Duration::from_secs(24 * 60 * 60);
/// How many of each are remembered. Past that, the one that tried longest ago is forgotten,
/// and its delay with it; pushing one out takes as many admitted attempts.
const REMEMBERED: NonZero<usize> = NonZero::<usize>::MIN.saturating_add(8191);

/// Who tries, and from where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Try<'a> {
    pub(super) user: &'a str,
    pub(super) source: &'a str,
    /// Whether it came by the Unix socket, where the delay by user alone does not hold: nobody
    /// can keep an administrator out of their own machine.
    pub(super) socket: bool,
}

/// An attempt that was admitted. It counts as a failure until it is known to be none, so that
/// attempts at the same time do not slip through together.
#[derive(Debug)]
pub(super) struct Ticket {
    pair: u64,
    user: Option<u64>,
    source: u64,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn wait(self, cap: Duration, now: Instant) -> Duration {
        if self.forgotten(now) {
            return Duration::ZERO;
        }
        (self.last + delay(self.count, cap)).saturating_duration_since(now)
    }

    fn forgotten(self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= FORGET
    }
}

/// The delay after so many failures.
fn delay(failures: u32, cap: Duration) -> Duration {
    let Some(doublings) = failures.checked_sub(FREE) else {
        return Duration::ZERO;
    };
    FIRST.saturating_mul(1 << doublings.min(8)).min(cap)
}

/// What is remembered of failed attempts: keyed digests, so that a password typed as a user name
/// is not kept either.
#[derive(Debug)]
pub(super) struct Throttle {
    key: RandomState,
    pairs: LruCache<u64, Failures>,
    users: LruCache<u64, Failures>,
    sources: LruCache<u64, VecDeque<Instant>>,
    usual: LruCache<u64, Instant>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::remembering(REMEMBERED)
    }
}

impl Throttle {
    fn remembering(bound: NonZero<usize>) -> Self {
        Self {
            key: RandomState::new(),
            pairs: LruCache::new(bound),
            users: LruCache::new(bound),
            sources: LruCache::new(bound),
            usual: LruCache::new(bound),
        }
    }

    /// Admits the attempt, or says how long to wait. A refused attempt makes nothing worse.
    pub(super) fn admit(&mut self, attempt: Try<'_>, now: Instant) -> Result<Ticket, Duration> {
        let user = folded(attempt.user);
        let ticket = Ticket {
            pair: self.key.hash_one((&user, attempt.source)),
            user: (!attempt.socket).then(|| self.key.hash_one((&user, ()))),
            source: self.key.hash_one(((), attempt.source)),
        };
        let wait = self.wait(&ticket, now);
        if !wait.is_zero() {
            return Err(wait);
        }
        charge(&mut self.pairs, ticket.pair, now);
        if let Some(user) = ticket.user {
            charge(&mut self.users, user, now);
        }
        let times = self.sources.get_or_insert_mut(ticket.source, VecDeque::new);
        if times.len() >= SOURCE_FREE {
            times.pop_front();
        }
        times.push_back(now);
        Ok(ticket)
    }

    fn wait(&mut self, ticket: &Ticket, now: Instant) -> Duration {
        let of = |failures: Option<&Failures>, cap| {
            failures.map_or(Duration::ZERO, |failures| failures.wait(cap, now))
        };
        let pair = of(self.pairs.get(&ticket.pair), PAIR_CAP);
        // Who guesses from elsewhere or from next door must not take every turn of somebody who
        // is known to log in from here.
        let usual = self.usual.get(&ticket.pair);
        if usual.is_some_and(|since| now.saturating_duration_since(*since) < USUAL) {
            return pair;
        }
        let user = ticket.user.and_then(|user| self.users.get(&user));
        pair.max(of(user, USER_CAP))
            .max(self.source_wait(ticket.source, now))
    }

    fn source_wait(&mut self, source: u64, now: Instant) -> Duration {
        let Some(times) = self.sources.get(&source) else {
            return Duration::ZERO;
        };
        let (Some(first), Some(last)) = (times.front(), times.back()) else {
            return Duration::ZERO;
        };
        let often = times.len() >= SOURCE_FREE;
        if often && now.saturating_duration_since(*first) < SOURCE_WINDOW {
            return (*last + SOURCE_CAP).saturating_duration_since(now);
        }
        Duration::ZERO
    }

    /// The password was wrong: the delay runs from now, not from when the question was put.
    pub(super) fn failed(&mut self, ticket: &Ticket, now: Instant) {
        if let Some(failures) = self.pairs.get_mut(&ticket.pair) {
            failures.last = failures.last.max(now);
        }
        let user = ticket.user.and_then(|user| self.users.get_mut(&user));
        if let Some(failures) = user {
            failures.last = failures.last.max(now);
        }
    }

    /// They are who they say: what they failed before is forgotten. What others failed from the
    /// same source is not.
    pub(super) fn succeeded(&mut self, ticket: &Ticket, now: Instant) {
        self.pairs.pop(&ticket.pair);
        if let Some(user) = ticket.user {
            self.users.pop(&user);
        }
        if let Some(times) = self.sources.get_mut(&ticket.source) {
            times.pop_back();
        }
        self.usual.put(ticket.pair, now);
    }

    /// Nobody could tell: it is no failure of the user. It goes on counting for the source, or a
    /// directory that is away could be asked without end.
    pub(super) fn withdraw(&mut self, ticket: &Ticket) {
        let user = ticket.user.and_then(|user| self.users.get_mut(&user));
        let both = [self.pairs.get_mut(&ticket.pair), user];
        for failures in both.into_iter().flatten() {
            failures.count = failures.count.saturating_sub(1);
        }
    }
}

fn charge(table: &mut LruCache<u64, Failures>, key: u64, now: Instant) {
    let fresh = Failures {
        count: 0,
        last: now,
    };
    let failures = table.get_or_insert_mut(key, || fresh);
    if failures.forgotten(now) {
        *failures = fresh;
    }
    failures.count = failures.count.saturating_add(1);
    failures.last = now;
}

/// The name as loosely as any directory would compare it, so that another case, a blank, a
/// full-width letter or an accent is no new user. Names that differ in no more share their delays.
fn folded(user: &str) -> String {
    let user: String = user.chars().take(super::MAX_INPUT + 1).collect();
    let letters = DecomposingNormalizerBorrowed::new_nfkd().normalize(&user);
    let letters = letters.to_lowercase();
    let compared = |c: &char| c.is_alphanumeric() || c.is_ascii_graphic();
    letters.chars().filter(compared).collect()
}

#[cfg(test)]
mod tests;
