//! A request that sessions end: those that had started by a certain moment.
//! It must not wake anybody; whoever asks rings for the sessions as well.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The moment up to which sessions are asked to end. Later ones are not concerned, so that a
/// host that is taken back into use needs no reset.
#[derive(Debug, Default)]
pub struct Closing(AtomicU64);

impl Closing {
    /// Asks sessions that started at `moment` (milliseconds) or before to end.
    pub fn ask(&self, moment: u64) {
        self.0.fetch_max(moment.saturating_add(1), SeqCst);
    }

    /// Whether a session that started at `started` was asked.
    pub fn is_asked(&self, started: u64) -> bool {
        started < self.0.load(SeqCst)
    }
}
