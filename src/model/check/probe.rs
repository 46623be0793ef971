//! What must hold between the values of a probe.
//! It must not judge single values that cannot be made wrong.

use std::ops::RangeInclusive;

use crate::model::{
    period::Period,
    problem::{Place, Problem},
    topology::Probe,
};

const INTERVALS: RangeInclusive<Period> = Period::from_millis(100)..=Period::from_secs(3600);
const SHORTEST_TIMEOUT: Period = Period::from_millis(10);

/// Adds everything that is wrong with `probe`, which stands at `place`.
pub(super) fn check_probe(probe: &Probe, place: &Place, problems: &mut Vec<Problem>) {
    let mut add = |key: &str, message: String| {
        problems.push(Problem::new(place.key(key), message));
    };
    let bounds = |interval: Period| {
        let (least, most) = (INTERVALS.start(), INTERVALS.end());
        (!INTERVALS.contains(&interval))
            .then(|| format!("{interval} is not between {least} and {most}"))
    };
    let fast = probe.fast_interval;
    if let Some(message) = bounds(probe.interval) {
        add("interval", message);
    }
    if let Some(message) = fast.and_then(bounds) {
        add("fast_interval", message);
    } else if let Some(fast) = fast.filter(|fast| *fast > probe.interval) {
        let message = format!(
            "{fast} is not faster than the interval of {}",
            probe.interval
        );
        add("fast_interval", message);
    }
    let timeout = probe.timeout;
    if timeout < SHORTEST_TIMEOUT {
        add(
            "timeout",
            format!("{timeout} is less than {SHORTEST_TIMEOUT}"),
        );
    } else if timeout > probe.interval {
        let message = format!(
            "{timeout} is longer than the interval of {}",
            probe.interval
        );
        add("timeout", message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::topology::ProbeKind;

    fn problems(interval: &str, fast: Option<&str>, timeout: &str) -> Vec<String> {
        let period = |text: &str| text.parse::<Period>().unwrap();
        let probe = Probe {
            interval: period(interval),
            fast_interval: fast.map(period),
            timeout: period(timeout),
            ..Probe::of(ProbeKind::Tcp)
        };
        let mut problems = Vec::new();
        check_probe(&probe, &Place::root().key("probe"), &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn times_that_fit_each_other_are_taken() {
        for (interval, fast, timeout) in [
            ("100ms", None, "10ms"),
            ("1h", Some("1h"), "1h"),
            ("2s", Some("100ms"), "1s"),
        ] {
            assert_eq!(problems(interval, fast, timeout), [""; 0]);
        }
    }

    #[test]
    fn times_that_do_not_are_told_each_by_its_key() {
        assert_eq!(
            problems("99ms", Some("2h"), "0s"),
            [
                "probe.interval: 99ms is not between 100ms and 1h",
                "probe.fast_interval: 2h is not between 100ms and 1h",
                "probe.timeout: 0s is less than 10ms",
            ]
        );
        assert_eq!(
            problems("2s", Some("3s"), "2s 1ms"),
            [
                "probe.fast_interval: 3s is not faster than the interval of 2s",
                "probe.timeout: 2s 1ms is longer than the interval of 2s",
            ]
        );
    }
}
