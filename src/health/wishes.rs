//! What a host asks for by way of its agent.
//! It must not grant it. Pure.

use super::{Advice, Mode};

/// What a host has said of itself so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// Its weight, in percent of what is configured.
    pub percent: u16,
    /// Whether it wants new sessions.
    pub mode: Mode,
    /// How many it takes at a time.
    pub max_sessions: Option<u32>,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            percent: 100,
            mode: Mode::Ready,
            max_sessions: None,
        }
    }
}

impl Wishes {
    /// Takes in what it says now.
    pub(super) fn heed(&mut self, advice: Advice) {
        let Advice {
            weight,
            mode,
            max_sessions,
        } = advice;
        self.percent = weight.unwrap_or(self.percent);
        self.mode = mode.unwrap_or(self.mode);
        self.max_sessions = max_sessions.or(self.max_sessions);
    }
}
