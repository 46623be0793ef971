//! How long connects to a host have taken lately: a decaying average that jumps up at once.
//! It must not know a clock.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// After so many milliseconds without a connect, a third (1/e) of the average is left.
const DECAY: f64 = 10_000.0;

/// The average is held in microseconds in the lower bits, up to 16 seconds; when it was taken, in
/// milliseconds, above: enough for 34 years.
const AVERAGE_BITS: u32 = 24;
const LONGEST: u64 = (1 << AVERAGE_BITS) - 1;

/// A decaying average of connect times, which takes a longer one than itself at its full length.
///
/// It decays towards zero also when nothing happens, so that a host that was slow once is tried
/// again.
#[derive(Debug, Default)]
pub struct Latency(AtomicU64);

impl Latency {
    /// Takes in a connect that took `took`, at `now` in milliseconds.
    pub fn observe(&self, took: Duration, now: u64) {
        let took = u64::try_from(took.as_micros()).map_or(LONGEST, |micros| micros.min(LONGEST));
        let took = took.max(1) as f64;
        // It never refuses, so there is nothing to do about an error.
        let _ = self.0.fetch_update(Relaxed, Relaxed, |packed| {
            let (average, kept) = unpack(packed, now);
            let next = if took >= average {
                took
            } else {
                average * kept + took * (1.0 - kept)
            };
            // A clock that another thread has read a little later is not turned back.
            let now = now.max(packed >> AVERAGE_BITS);
            Some((now << AVERAGE_BITS) | (next as u64).clamp(1, LONGEST))
        });
    }

    /// The average in microseconds, as decayed until `now`; `None` if nothing is known (any more).
    pub fn micros(&self, now: u64) -> Option<f64> {
        let (average, kept) = unpack(self.0.load(Relaxed), now);
        let left = average * kept;
        (left >= 1.0).then_some(left)
    }
}

/// The average as it was taken, and how much of it is left at `now`.
fn unpack(packed: u64, now: u64) -> (f64, f64) {
    let average = (packed & LONGEST) as f64;
    let passed = now.saturating_sub(packed >> AVERAGE_BITS);
    let kept = if passed == 0 {
        1.0
    } else {
        (-(passed as f64) / DECAY).exp()
    };
    (average, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(observed: &[(u64, u64)], now: u64) -> Option<u64> {
        let latency = Latency::default();
        for (micros, at) in observed {
            latency.observe(Duration::from_micros(*micros), *at);
        }
        latency.micros(now).map(|micros| micros.round() as u64)
    }

    #[test]
    fn a_longer_connect_counts_at_once_and_a_shorter_one_by_and_by() {
        assert_eq!(after(&[(500, 0)], 0), Some(500));
        assert_eq!(after(&[(500, 0), (9000, 10)], 10), Some(9000));
        let later = after(&[(9000, 0), (500, 1000)], 1000).unwrap();
        assert!((8000..8500).contains(&later), "{later}");
    }

    #[test]
    fn it_decays_until_nothing_is_known() {
        assert_eq!(after(&[], 0), None);
        let third = after(&[(3_000_000, 5)], 10_005).unwrap();
        assert!((1_100_000..1_110_000).contains(&third), "{third}");
        assert_eq!(after(&[(3_000_000, 5)], 200_000), None);
    }

    #[test]
    fn extremes_neither_overflow_nor_turn_the_clock_back() {
        let latency = Latency::default();
        latency.observe(Duration::MAX, 1 << 39);
        latency.observe(Duration::ZERO, 0);
        assert_eq!(latency.micros(1 << 39), Some(LONGEST as f64));
        assert_eq!(latency.micros(0), Some(LONGEST as f64));
    }
}
