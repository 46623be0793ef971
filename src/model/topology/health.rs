//! What is done about hosts that fail and recover: the keys for it, apart from the probe itself.
//! It must not do it: that is [`crate::health`].

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::number::Count;
use crate::model::{name::Name, period::Period, text};

/// A share in whole percent: `"50%"`; 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct Share(u8);

/// When sessions that fail take their host out, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outlier {
    /// So many failures within `window` eject a host.
    pub failures: Count,
    /// How long a failure counts.
    pub window: Period,
    /// For how long the first time; the second time twice that, and so on.
    pub eject: Period,
    /// For how long at most.
    pub max_eject: Period,
    /// How much of the group is ejected at a time, at most.
    pub max_ejected: Share,
}

/// How a host that came back gets its sessions again: from a tenth of what it would get to all.
///
/// Written as the time that it takes, or, where the rise is not even, as a table:
/// `{ window = "30s", exponent = 2.0 }`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "SlowStartText", into = "SlowStartText")]
pub struct SlowStart {
    /// How long it takes.
    pub window: Period,
    /// What the part of the time that is over is raised to: 1.0 is an even rise, more is a slower
    /// beginning. 0.1 to 10.0.
    pub exponent: f64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum SlowStartText {
    Window(Period),
    Table(SlowStartTable),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SlowStartTable {
    window: Period,
    #[serde(default = "even")]
    exponent: f64,
}

const fn even() -> f64 {
    1.0
}

/// What happens to new sessions while every host of a group is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenAllDown {
    /// They are reset.
    #[default]
    Refuse,
    /// They are sent to the hosts all the same.
    UseAll,
}

/// The group that stands in for the active one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// Its name.
    pub group: Name,
    /// It takes over while fewer hosts of the active group can be used.
    #[serde(default)]
    pub min_up: Count,
    /// For how long the active group must have had enough again to get the sessions back.
    #[serde(default = "hold")]
    pub hold: Period,
}

const fn hold() -> Period {
    Period::from_secs(30)
}

/// How sessions that last are spread again after a host came back or was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rebalance {
    /// Sessions closed in a second, at most.
    pub rate: Count,
    /// A session without a byte for so long is closed before any other.
    pub idle: Period,
    /// Only sessions that have lasted so long are closed.
    pub min_age: Period,
}

impl Default for Outlier {
    fn default() -> Self {
        Self {
            failures: Count(5),
            window: Period::from_secs(10),
            eject: Period::from_secs(30),
            max_eject: Period::from_secs(300),
            max_ejected: Share(50),
        }
    }
}

impl Default for Rebalance {
    fn default() -> Self {
        Self {
            rate: Count(10),
            idle: Period::from_secs(1),
            min_age: Period::from_secs(60),
        }
    }
}

impl Share {
    /// So many percent, 100 at most.
    pub const fn percent(percent: u8) -> Self {
        Self(if percent > 100 { 100 } else { percent })
    }

    /// How many of `all` are no more than this share.
    pub fn of(self, all: usize) -> usize {
        all * usize::from(self.0) / 100
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_suffix('%').map(str::trim_end);
        digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|percent| *percent <= 100)
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not a share; write it like \"50%\", 0 to 100"))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "a share in quotes, like \"50%\"")
    }
}

/// By hand, because an untagged enum would not say which key of the table is wrong.
impl<'de> Deserialize<'de> for SlowStartText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SlowStartVisitor)
    }
}

struct SlowStartVisitor;

impl<'de> de::Visitor<'de> for SlowStartVisitor {
    type Value = SlowStartText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time in quotes, like \"30s\", or a table with `window`")
    }

    fn visit_str<E: de::Error>(self, window: &str) -> Result<SlowStartText, E> {
        window.parse().map(SlowStartText::Window).map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, table: A) -> Result<SlowStartText, A::Error> {
        SlowStartTable::deserialize(de::value::MapAccessDeserializer::new(table))
            .map(SlowStartText::Table)
    }
}

impl TryFrom<SlowStartText> for SlowStart {
    type Error = String;

    fn try_from(text: SlowStartText) -> Result<Self, String> {
        let (window, exponent) = match text {
            SlowStartText::Window(window) => (window, even()),
            SlowStartText::Table(table) => (table.window, table.exponent),
        };
        if !(0.1..=10.0).contains(&exponent) {
            return Err(format!(
                "an exponent of {exponent} is not between 0.1 and 10.0"
            ));
        }
        Ok(Self { window, exponent })
    }
}

impl From<SlowStart> for SlowStartText {
    fn from(slow_start: SlowStart) -> Self {
        let SlowStart { window, exponent } = slow_start;
        if (exponent - even()).abs() < f64::EPSILON {
            Self::Window(window)
        } else {
            Self::Table(SlowStartTable { window, exponent })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_reads_as_it_is_written_and_nothing_else_is_one() {
        for text in ["0%", "50%", "100%"] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
        }
        for text in ["", "50", "%", "101%", "-1%", "+5%", "0.5%", "half"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_is_never_exceeded() {
        assert_eq!(Share::percent(50).of(3), 1);
        assert_eq!(Share::percent(50).of(1), 0);
        assert_eq!(Share::percent(100).of(7), 7);
    }

    #[test]
    fn a_slow_start_is_a_time_or_a_table() {
        let read = |text: &str| serde_json::from_str::<SlowStart>(text);
        let plain = read(r#""30s""#).unwrap();
        assert_eq!(plain, read(r#"{"window": "30s"}"#).unwrap());
        assert_eq!(serde_json::to_string(&plain).unwrap(), r#""30s""#);
        let curved = read(r#"{"window": "1m", "exponent": 2.0}"#).unwrap();
        let text = serde_json::to_string(&curved).unwrap();
        assert_eq!(text, r#"{"window":"1m","exponent":2.0}"#);
        for wrong in [
            r#"{"window": "1m", "exponent": 0}"#,
            r#"{"exponent": 1.0}"#,
            r#"{"window": "1m", "steps": 3}"#,
            "5",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
