//! A lock-free histogram of lengths of time.
//! It must not know what is being measured.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Steps in which a doubling is cut: a value is known to within a quarter.
const STEPS: u64 = 4;
/// From 1 µs to over 17 minutes × 64; what is longer counts as that.
const BUCKETS: usize = 144;

/// Counts lengths of time in buckets that grow by a quarter of a doubling, from 1 µs to 19 hours.
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

/// A copy of a [`Histogram`] at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// For each bucket that is not empty: its upper bound, and how many fell into it.
    pub buckets: Vec<(Duration, u64)>,
    /// How many there are.
    pub count: u64,
    /// All of them added up.
    pub sum: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            sum: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    /// Counts one length of time.
    pub fn record(&self, length: Duration) {
        let micros = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)].fetch_add(1, Relaxed);
        self.sum.fetch_add(micros, Relaxed);
    }

    /// What has been counted so far.
    pub fn snapshot(&self) -> Snapshot {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Relaxed));
        let buckets: Vec<_> = counts
            .enumerate()
            .filter(|(_, count)| *count > 0)
            .map(|(index, count)| (Duration::from_micros(upper_bound(index)), count))
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        Snapshot {
            buckets,
            count,
            sum: Duration::from_micros(self.sum.load(Relaxed)),
        }
    }
}

impl Snapshot {
    /// How many are shorter than `bound`: exact where `bound` is a power of two, in microseconds.
    pub fn below(&self, bound: Duration) -> u64 {
        let below = self.buckets.iter().filter(|(upper, _)| *upper < bound);
        below.map(|(_, count)| count).sum()
    }

    /// The length that a share of `quantile` (0.0 to 1.0) does not exceed; zero when empty.
    pub fn quantile(&self, quantile: f64) -> Duration {
        let rank = (quantile * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bound, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                return *bound;
            }
        }
        Duration::ZERO
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.snapshot().fmt(f)
    }
}

/// Below four microseconds every value has its own bucket; above, each doubling has four.
fn bucket(micros: u64) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    let doubling = u64::from(micros.ilog2());
    let step = (micros >> (doubling - 2)) - STEPS;
    (((doubling - 1) * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The largest value, in µs, that falls into bucket `index`.
fn upper_bound(index: usize) -> u64 {
    let index = index as u64;
    if index < STEPS {
        return index;
    }
    let (doubling, step) = (index / STEPS + 1, index % STEPS);
    ((STEPS + step + 1) << (doubling - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_the_bucket_that_bounds_it() {
        for micros in (0..10_000).chain([1 << 20, (1 << 30) + 12_345]) {
            let index = bucket(micros);
            assert!(micros <= upper_bound(index), "{micros}");
            assert!(index == 0 || micros > upper_bound(index - 1), "{micros}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn what_is_below_a_power_of_two_is_counted_exactly() {
        let histogram = Histogram::default();
        for micros in 0..5000 {
            histogram.record(Duration::from_micros(micros));
        }
        let snapshot = histogram.snapshot();
        for power in [1, 2, 4, 8, 1024, 4096] {
            assert_eq!(snapshot.below(Duration::from_micros(power)), power);
        }
        assert_eq!(snapshot.below(Duration::from_secs(1)), 5000);
    }

    #[test]
    fn a_quantile_is_exact_to_a_quarter() {
        let histogram = Histogram::default();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.count, 1000);
        assert_eq!(snapshot.sum, Duration::from_micros(500_500));
        let median = snapshot.quantile(0.5).as_micros();
        assert!((500..=625).contains(&median), "{median}");
        assert_eq!(Snapshot::default().quantile(0.5), Duration::ZERO);
    }
}
