//! Who speaks first in the sessions of a service, as far as those of late tell.
//! It must not be more than a guess: what is done on its word has to be right either way.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How many sessions in a row make a habit. A service that is used both ways has none.
const HABIT: u32 = 1000;

/// How many sessions in a row the client has begun, up to a habit.
#[derive(Debug, Default)]
pub struct Opening(AtomicU32);

impl Opening {
    /// The client has spoken first.
    pub fn by_client(&self) {
        // Not written any more than it has to be: all threads look at it for each session.
        if !self.is_clients() {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// The host has spoken first.
    pub fn by_host(&self) {
        if self.0.load(Relaxed) > 0 {
            self.0.store(0, Relaxed);
        }
    }

    /// Whether it is always the client that speaks first.
    pub fn is_clients(&self) -> bool {
        self.0.load(Relaxed) >= HABIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_sessions_that_clients_begin_make_a_habit_and_one_that_a_host_begins_ends_it() {
        let opening = Opening::default();
        for _ in 1..HABIT {
            opening.by_client();
        }
        assert!(!opening.is_clients());
        opening.by_client();
        assert!(opening.is_clients());
        opening.by_host();
        assert!(!opening.is_clients());
        opening.by_client();
        assert!(!opening.is_clients());
    }
}
