//! Lengths of time as people write them: `"5s"`, `"1h 30m"`, and `"0s"` for none.
//! It must not know what time it is.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize};

use super::text;

/// A length of time, up to ten years, in whole milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(into = "String")]
pub struct Period(Duration);

const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Why a text is no period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// Not a number with a unit.
    #[error(
        "{0:?} is not a length of time; write it like \"500ms\", \"5s\", \"10m\" or \"1h 30m\""
    )]
    Unreadable(String),
    /// Over ten years.
    #[error("{0:?} is longer than ten years")]
    TooLong(String),
    /// Finer than a millisecond.
    #[error("{0:?} is finer than a millisecond")]
    TooFine(String),
}

impl Period {
    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// So many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// The length, zero where there is none.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// The length as a limit: `None` for `"0s"`, which means no limit.
    pub fn limit(self) -> Option<Duration> {
        (!self.0.is_zero()).then_some(self.0)
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let length = humantime::parse_duration(text)
            .map_err(|_| PeriodError::Unreadable(text.to_owned()))?;
        if length > LONGEST {
            return Err(PeriodError::TooLong(text.to_owned()));
        }
        if length.subsec_nanos() % 1_000_000 != 0 {
            return Err(PeriodError::TooFine(text.to_owned()));
        }
        Ok(Self(length))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "a length of time in quotes, like \"5s\"")
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&humantime::format_duration(self.0).to_string())
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_reads_as_it_is_written() {
        for text in ["0s", "500ms", "5s", "10m", "1h 30m", "1day"] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.to_string(), text);
        }
    }

    #[test]
    fn nothing_without_a_unit_and_nothing_endless_is_a_period() {
        for text in [
            "",
            "5",
            "-5s",
            "s",
            "11years",
            "10us",
            "99999999999999999999s",
        ] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn no_time_at_all_is_no_limit() {
        assert_eq!(Period::from_secs(0).limit(), None);
        assert_eq!(Period::from_secs(3).limit(), Some(Duration::from_secs(3)));
    }
}
