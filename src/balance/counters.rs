//! What is counted of hosts and services: lock-free, only ever growing, except what is active now.
//! It must not decide anything.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::AcqRel, Ordering::Relaxed};

use super::histogram::Histogram;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Bytes that went through, by direction.
#[derive(Debug, Default)]
pub struct Bytes {
    /// From clients to hosts.
    pub to_host: Counter,
    /// From hosts to clients.
    pub to_client: Counter,
}

/// What is counted of one host. Sessions that are open now are counted by [`super::Lease`].
#[derive(Debug, Default)]
pub struct HostCounters {
    /// Sessions that got a connection to it.
    pub total: Counter,
    /// Connections to it that failed or timed out.
    pub connect_failures: Counter,
    /// Sessions that it reset before it had sent a byte.
    pub early_resets: Counter,
    /// Times it was picked but had reached its `max_sessions`.
    pub full: Counter,
    /// Bytes through it.
    pub bytes: Bytes,
    /// How long connections to it took to stand.
    pub connect_time: Histogram,
    /// How long sessions with it lasted, from accept to end.
    pub session_time: Histogram,
}

impl HostCounters {
    /// Sessions that failed through its doing, as far as that can be told from here.
    pub fn failures(&self) -> u64 {
        self.connect_failures.get() + self.early_resets.get()
    }
}

/// What is counted of one service.
#[derive(Debug, Default)]
pub struct ServiceCounters {
    active: AtomicU32,
    /// Connections accepted, refused ones included.
    pub accepted: Counter,
    /// Sessions that got a connection to a host.
    pub total: Counter,
    /// Further hosts that were tried after a failed connect.
    pub retries: Counter,
    /// Bytes through it.
    pub bytes: Bytes,
    /// How long those waited in the queue who then got a host.
    pub queue_time: Histogram,
    /// Connections that were reset instead of being served, by reason.
    pub refused: Refused,
}

/// Connections of clients that were reset instead of being served, by reason.
#[derive(Debug, Default)]
pub struct Refused {
    /// The service had reached `limits.sessions`.
    pub service_full: Counter,
    /// Every host of the active group had reached its `max_sessions`.
    pub hosts_full: Counter,
    /// The active group had no host that may take a session.
    pub no_host: Counter,
    /// No host could be connected to.
    pub connect_failed: Counter,
    /// The client broke the connection before it got a host.
    pub client_left: Counter,
    /// An access rule denied it.
    pub denied: Counter,
    /// Its client had reached `limits.per_client`.
    pub client_full: Counter,
    /// More came than `limits.rate` allows.
    pub rate: Counter,
    /// More came from its client than `limits.rate_per_client` allows.
    pub client_rate: Counter,
    /// It came without a header of the PROXY protocol, or with a wrong one, where one is required.
    pub unannounced: Counter,
    /// It waited in the queue for as long as it may.
    pub queue_timeout: Counter,
    /// It was asked to end before it got a host: at a shutdown, say.
    pub closed: Counter,
    /// This process lacked file descriptors or memory.
    pub resources: Counter,
}

impl Refused {
    /// Every reason with its number, under the names that they have everywhere.
    pub fn by_reason(&self) -> [(&'static str, u64); 13] {
        [
            ("service_full", self.service_full.get()),
            ("hosts_full", self.hosts_full.get()),
            ("no_host", self.no_host.get()),
            ("connect_failed", self.connect_failed.get()),
            ("client_left", self.client_left.get()),
            ("denied", self.denied.get()),
            ("client_full", self.client_full.get()),
            ("rate", self.rate.get()),
            ("client_rate", self.client_rate.get()),
            ("unannounced", self.unannounced.get()),
            ("queue_timeout", self.queue_timeout.get()),
            ("closed", self.closed.get()),
            ("resources", self.resources.get()),
        ]
    }
}

impl ServiceCounters {
    /// Sessions that are open now, those still looking for a host included.
    pub fn active(&self) -> u32 {
        self.active.load(Relaxed)
    }

    /// Counts a session in, unless `limit` are open already.
    pub(super) fn enter(&self, limit: u32) -> bool {
        take_slot(&self.active, limit)
    }

    /// Counts a session out.
    pub(super) fn leave(&self) {
        self.active.fetch_sub(1, Relaxed);
    }
}

/// Takes one from `budget` unless it is used up.
pub(super) fn take_back(budget: &AtomicU32) -> bool {
    budget
        .fetch_update(AcqRel, Relaxed, |left| left.checked_sub(1))
        .is_ok()
}

/// Adds one to `slots` unless there are `limit` already. Exact under any concurrency, and ordered
/// with other writes to `slots`, which [`super::ranking`] relies on.
pub(super) fn take_slot(slots: &AtomicU32, limit: u32) -> bool {
    if limit == u32::MAX {
        slots.fetch_add(1, AcqRel);
        return true;
    }
    slots
        .fetch_update(AcqRel, Relaxed, |taken| {
            (taken < limit).then_some(taken + 1)
        })
        .is_ok()
}
