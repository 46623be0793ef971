//! Who is logged in: a bounded table that knows tokens by their digest alone.
//! It must not know how anybody logged in.

use std::{
    fmt,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use super::{Vouched, clock::Moment, login::Login, rules::Rights};

/// How many logins there may be.
pub(super) const BOUND: usize = 1000;
/// How many of them one user may have, so that nobody fills the table alone.
pub(super) const OWN_BOUND: usize = 100;
/// How many that have expired are taken out, and told of, at a time.
pub(super) const AT_ONCE: usize = 100;

/// Somebody who is logged in.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) login: Login,
    /// Of the token.
    pub(super) digest: [u8; 32],
    pub(super) voucher: String,
    /// The groups in which the backend last saw them.
    pub(super) groups: Vec<String>,
    /// What the backend handed out for the rules.
    pub(super) values: Vec<String>,
    /// When its backend last said yes, by the same clock; `None`: longer ago than that clock goes.
    pub(super) answered: Option<Instant>,
    /// Who holds this asks again; others wait for what comes of it.
    pub(super) asking: Arc<Mutex<()>>,
    /// When it ends by the clock that nobody can turn back.
    pub(super) ends: Instant,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.login.fmt(f)
    }
}

impl Held {
    pub(super) fn expired(&self, now: Moment) -> bool {
        now.at >= self.ends || now.unix_ms >= self.login.expires
    }

    pub(super) fn vouched(&self) -> Vouched {
        Vouched {
            user: self.login.user.clone(),
            rights: Rights {
                role: self.login.role,
                services: self.login.services.clone(),
            },
            values: self.values.clone(),
            voucher: self.voucher.clone(),
        }
    }

    /// Whether its backend said yes within `lately`.
    pub(super) fn answered_within(&self, lately: Duration, now: Moment) -> bool {
        let age = |answered| now.at.saturating_duration_since(answered);
        self.answered.is_some_and(|answered| age(answered) < lately)
    }
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Held>);

impl Table {
    /// Takes one in, and gives back those that had to make room: expired ones, and the oldest of
    /// the same user when the table or their share of it is full.
    ///
    /// # Errors
    /// The table is full of others.
    pub(super) fn insert(&mut self, held: Held, now: Moment) -> Result<Vec<Held>, Vec<Held>> {
        let mut out = self.expire(now);
        let same =
            |other: &Held| other.login.user == held.login.user && other.login.by == held.login.by;
        let own = self.0.iter().filter(|other| same(other)).count();
        if own >= OWN_BOUND || self.0.len() >= BOUND {
            match self.0.iter().position(same) {
                Some(oldest) => out.push(self.0.remove(oldest)),
                None => return Err(out),
            }
        }
        self.0.push(held);
        Ok(out)
    }

    /// Takes out those that `which` picks.
    pub(super) fn remove(&mut self, which: impl Fn(&Held) -> bool) -> Vec<Held> {
        self.0.extract_if(.., |held| which(held)).collect()
    }

    /// Takes out some that have expired: at most [`AT_ONCE`].
    pub(super) fn expire(&mut self, now: Moment) -> Vec<Held> {
        let expired = self.0.extract_if(.., |held| held.expired(now));
        expired.take(AT_ONCE).collect()
    }

    /// From now on none lasts longer than `lasts`.
    pub(super) fn shorten(&mut self, now: Moment, lasts: Duration) {
        let ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        for held in &mut self.0 {
            held.ends = held.ends.min(now.at + lasts);
            held.login.expires = held.login.expires.min(now.unix_ms.saturating_add(ms));
        }
    }

    /// Every digest is compared to its end, so that the time says nothing about any.
    pub(super) fn by_digest(&self, digest: &[u8; 32], now: Moment) -> Option<&Held> {
        let mut found = None;
        for held in &self.0 {
            if same_digest(&held.digest, digest) {
                found = Some(held);
            }
        }
        found.filter(|held| !held.expired(now))
    }

    pub(super) fn by_id(&self, id: &str, now: Moment) -> Option<&Held> {
        let found = self.0.iter().find(|held| held.login.id == id);
        found.filter(|held| !held.expired(now))
    }

    /// Does something to each.
    pub(super) fn each(&mut self, change: impl FnMut(&mut Held)) {
        self.0.iter_mut().for_each(change);
    }

    pub(super) fn by_id_mut(&mut self, id: &str) -> Option<&mut Held> {
        self.0.iter_mut().find(|held| held.login.id == id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.0.iter()
    }
}

fn same_digest(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let bytes = one.iter().zip(other);
    black_box(bytes.fold(0, |differ, (a, b)| black_box(differ | (a ^ b)))) == 0
}
