//! How many lines of the log were lost because nobody took them in time.
//! It must not write any.

use std::sync::OnceLock;

use tracing_appender::non_blocking::ErrorCounter;

use crate::control::Balancer;

/// The count of whoever writes the log of this process; there is one at most.
static WRITER: OnceLock<ErrorCounter> = OnceLock::new();

/// From now on, what this has counted is lost.
pub(crate) fn counted_by(writer: ErrorCounter) {
    // Told once, at the start.
    let _ = WRITER.set(writer);
}

/// Lines that were lost since the start: on their way to the writer, or on their way out.
pub(super) fn lost(balancer: &Balancer) -> u64 {
    let written = WRITER.get().map_or(0, ErrorCounter::dropped_lines);
    balancer.lost_access_lines() + written as u64
}
