//! Health: whether hosts can take connections.
//! It must not carry sessions.

pub mod brake;
pub mod failover;
pub mod group;
pub mod memory;
pub mod outlier;
pub mod release;
pub mod report;
pub mod verdict;

/// A period in milliseconds.
fn millis(period: crate::model::period::Period) -> u64 {
    u64::try_from(period.duration().as_millis()).unwrap_or(u64::MAX)
}
