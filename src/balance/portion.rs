//! How much of the sessions that a scheduler would give a host it takes: less while it warms up,
//! or when it asks for less.
//! It must not pick another host for the rest; the view does.
//!
//! It thins what a scheduler picks, and is no weight: so it is exact for every scheduler, the ones
//! that know no weights too, and a fresh host without a session is not run over by the one that
//! looks for the fewest.

/// What a host takes at the least while it warms up.
const LEAST: f64 = 0.1;

/// How much a host takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Portion {
    /// In percent, when it is warm.
    pub percent: u8,
    /// How it warms up.
    pub warmup: Option<Warmup>,
}

/// The time in which a host goes from a tenth to all. Milliseconds, on the clock of
/// [`super::scheduler::Ask`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warmup {
    /// When it began.
    pub since: u64,
    /// How long it takes.
    pub window: u64,
    /// What the part of the time that is over is raised to; 1.0 for an even rise.
    pub exponent: f64,
}

impl Portion {
    /// How much it takes at `now`: 0.0 to 1.0.
    pub fn at(&self, now: u64) -> f64 {
        let warm = self.warmup.map_or(1.0, |warmup| warmup.at(now));
        f64::from(self.percent.min(100)) / 100.0 * warm
    }

    /// Whether it takes this session, by `random`, any 64 random bits.
    pub fn takes(&self, now: u64, random: u64) -> bool {
        // Schedulers use the same bits for what they draw; these must not go with theirs.
        let mixed = (random ^ (random >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let drawn = (mixed >> 32) as u32;
        f64::from(drawn) < self.at(now) * (f64::from(u32::MAX) + 1.0)
    }
}

impl Warmup {
    /// How warm it is at `now`: 0.1 to 1.0.
    pub fn at(&self, now: u64) -> f64 {
        let passed = now.saturating_sub(self.since);
        if passed >= self.window {
            return 1.0;
        }
        (passed as f64 / self.window as f64)
            .powf(self.exponent)
            .max(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warmup(exponent: f64) -> Warmup {
        Warmup {
            since: 1000,
            window: 10_000,
            exponent,
        }
    }

    fn taken(portion: Portion, now: u64) -> usize {
        let random = (0..10_000_u64).map(|i| i.wrapping_mul(0xd134_2543_de82_ef95) ^ (i << 7));
        random.filter(|random| portion.takes(now, *random)).count()
    }

    #[test]
    fn a_host_warms_up_evenly_from_a_tenth() {
        let rise: Vec<f64> = [0, 1000, 1500, 3000, 6000, 10_999, 11_000, 99_000]
            .map(|now| warmup(1.0).at(now))
            .into();
        assert_eq!(rise, [0.1, 0.1, 0.1, 0.2, 0.5, 0.9999, 1.0, 1.0]);
    }

    #[test]
    fn a_greater_exponent_begins_slower() {
        for now in (2000..11_000).step_by(1000) {
            assert!(warmup(2.0).at(now) <= warmup(1.0).at(now));
            assert!(warmup(0.5).at(now) >= warmup(1.0).at(now));
        }
        assert!((warmup(2.0).at(6000) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn so_much_is_taken() {
        let portion = |percent, warmup| Portion { percent, warmup };
        for (percent, about) in [(0, 0), (10, 1000), (75, 7500), (100, 10_000)] {
            let taken = taken(portion(percent, None), 0);
            assert!(taken.abs_diff(about) <= 200, "{percent} %: {taken}");
        }
        let taken = taken(portion(50, Some(warmup(1.0))), 6000);
        assert!(taken.abs_diff(2500) <= 200, "{taken}");
    }
}
