//! What an entry says about its account: locked, disabled, expired.
//! It must not be taken for all there is to know: a server may hide these attributes.

use std::{collections::HashMap, ops::Range};

use ldap3::SearchEntry;

/// Since when failed log-ins have locked an account; `000001010000Z`: somebody has, for good.
const LOCKED_TIME: &str = "pwdAccountLockedTime";
/// The entry with the password policy of an account, where it is not that of all.
pub(super) const POLICY: &str = "pwdPolicySubentry";
/// How long its locks last, in seconds; 0: until somebody lifts them. The same without it.
pub(super) const LOCKOUT_DURATION: &str = "pwdLockoutDuration";

/// How long a lock lasts that failed log-ins have set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lasts {
    /// It is over: the server has just let them in.
    Over,
    /// So many seconds from when it was set.
    Seconds(i64),
    /// Until it is gone from the entry.
    Unknown,
}

/// How long locks last by the `pwdLockoutDuration` of a policy that could be read.
pub(super) fn lasts(duration: Option<&str>) -> Lasts {
    match duration.map(|text| text.trim().parse::<i64>()) {
        Some(Ok(seconds @ 1..)) => Lasts::Seconds(seconds),
        Some(Ok(_) | Err(_)) | None => Lasts::Unknown,
    }
}

/// The policy that says how long the lock of this account lasts, if it has one that ends.
pub(super) fn policy_of_lock(entry: &SearchEntry) -> Option<&str> {
    seconds_since_1970(value(&entry.attrs, LOCKED_TIME)?)?;
    value(&entry.attrs, POLICY)
}

/// What is read of an account, where the server lets it be read.
pub(super) const ATTRIBUTES: [&str; 11] = [
    // draft-behera-ldap-password-policy-10 section 5.3: OpenLDAP and others
    LOCKED_TIME,
    POLICY,
    "pwdStartTime",
    "pwdEndTime",
    "pwdReset",
    // Active Directory
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "lockoutTime",
    "accountExpires",
    // 389 Directory Server, FreeIPA
    "nsAccountLock",
    // RFC 2307
    "shadowExpire",
];

/// `ACCOUNTDISABLE`
const DISABLED: i64 = 0x2;
/// `LOCKOUT`
const LOCKED: i64 = 0x10;
/// `PASSWORD_EXPIRED`
const PASSWORD_EXPIRED: i64 = 0x80_0000;
/// Seconds from 1601, where Windows' time starts, to 1970.
const SINCE_1601: i64 = 11_644_473_600;

/// What is wrong with the account at `now`, in seconds since 1970; `None` if nothing is, as far
/// as the entry tells. A lock that failed log-ins have set is counted while it `lasts`: servers
/// leave it in the entry until the next log-in that succeeds.
pub(super) fn wrong(entry: &SearchEntry, now: i64, lasts: Lasts) -> Option<&'static str> {
    let text = |name| value(&entry.attrs, name);
    let number = |name| text(name).and_then(|text| text.trim().parse::<i64>().ok());
    let is_true = |name| text(name).is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let bits = |name, bits| number(name).is_some_and(|number| number & bits != 0);
    let computed = "msDS-User-Account-Control-Computed";

    let holds = |since: i64| match lasts {
        Lasts::Over => false,
        Lasts::Seconds(seconds) => now < since.saturating_add(seconds),
        Lasts::Unknown => true,
    };
    let locked = text(LOCKED_TIME).is_some_and(|time| seconds_since_1970(time).is_none_or(holds))
        // Active Directory computes from this whether the lock still holds.
        || match number(computed) {
            Some(number) => number & LOCKED != 0,
            None => lasts != Lasts::Over && number("lockoutTime").is_some_and(|time| time > 0),
        };
    let disabled = bits("userAccountControl", DISABLED) || is_true("nsAccountLock");
    let before = text("pwdStartTime").is_some_and(|time| is_after(time, now) != Some(false));
    let after = text("pwdEndTime").is_some_and(|time| is_after(time, now) != Some(true))
        || number("accountExpires").is_some_and(|ticks| windows_over(ticks, now))
        || number("shadowExpire").is_some_and(|days| days >= 0 && now / 86_400 >= days);

    if locked {
        return Some("the account is locked");
    }
    if disabled {
        return Some("the account is disabled");
    }
    if after {
        return Some("the account has expired");
    }
    if before {
        return Some("the account is not valid yet");
    }
    if bits(computed, PASSWORD_EXPIRED) {
        return Some("the password has expired");
    }
    is_true("pwdReset").then_some("the password must be changed first")
}

/// The first value of an attribute. Names of attributes have no case.
pub(super) fn value<'a>(
    attributes: &'a HashMap<String, Vec<String>>,
    name: &str,
) -> Option<&'a str> {
    values(attributes, name).next()
}

/// Every value of an attribute.
pub(super) fn values<'a>(
    attributes: &'a HashMap<String, Vec<String>>,
    name: &str,
) -> impl Iterator<Item = &'a str> {
    let found = attributes
        .iter()
        .filter(move |(key, _)| key.eq_ignore_ascii_case(name));
    found.flat_map(|(_, values)| values).map(String::as_str)
}

/// Whether an account that ends at `ticks` (of 100 ns, since 1601) is over; 0 and the greatest
/// number mean never.
fn windows_over(ticks: i64, now: i64) -> bool {
    !matches!(ticks, i64::MIN..=0 | i64::MAX) && ticks / 10_000_000 - SINCE_1601 <= now
}

/// Whether `time` (RFC 4517 section 3.3.13, in UTC to the second) is after `now`; `None` if it
/// cannot be read.
fn is_after(time: &str, now: i64) -> Option<bool> {
    seconds_since_1970(time).map(|time| time > now)
}

fn seconds_since_1970(time: &str) -> Option<i64> {
    let part = |range: Range<usize>| -> Option<i64> { time.get(range)?.parse().ok() };
    let days = days_since_1970(part(0..4)?, part(4..6)?, part(6..8)?);
    let seconds = part(8..10)? * 3600 + part(10..12)? * 60 + part(12..14)?;
    Some(days * 86_400 + seconds)
}

/// Days from 1970-01-01 in the Gregorian calendar, counted from a March, so that the day that a
/// leap year has more is its last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = match month {
        3.. => (year, month - 3),
        _ => (year - 1, month + 9),
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23 04:00:00 UTC
    const NOW: i64 = 1_795_406_400;

    fn entry(attributes: &[(&str, &str)]) -> SearchEntry {
        let attributes = attributes.iter();
        SearchEntry {
            dn: String::new(),
            attrs: attributes
                .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]))
                .collect(),
            bin_attrs: HashMap::new(),
        }
    }

    fn state(name: &str, value: &str) -> Option<&'static str> {
        wrong(&entry(&[(name, value)]), NOW, Lasts::Unknown)
    }

    #[test]
    fn a_lock_set_by_failures_ends_with_its_time_and_one_set_by_hand_does_not() {
        let minute = entry(&[(LOCKED_TIME, "20261123035900Z"), (POLICY, "cn=p")]);
        assert_eq!(policy_of_lock(&minute), Some("cn=p"));
        for (lasts, locked) in [
            (lasts(Some("61")), true),
            (lasts(Some("60")), false),
            (lasts(Some("0")), true),
            (lasts(Some("soon")), true),
            (lasts(None), true),
            (Lasts::Over, false),
        ] {
            assert_eq!(wrong(&minute, NOW, lasts).is_some(), locked, "{lasts:?}");
        }
        let by_hand = entry(&[(LOCKED_TIME, "000001010000Z"), (POLICY, "cn=p")]);
        assert_eq!(policy_of_lock(&by_hand), None);
        for lasts in [Lasts::Over, Lasts::Seconds(1), Lasts::Unknown] {
            assert_eq!(wrong(&by_hand, NOW, lasts), Some("the account is locked"));
        }
        let computed = "msDS-User-Account-Control-Computed";
        let since = ("lockoutTime", "134397000000000000");
        for (attributes, lasts, locked) in [
            (&[since][..], Lasts::Unknown, true),
            (&[since], Lasts::Over, false),
            (&[since, (computed, "0")], Lasts::Unknown, false),
            (&[since, (computed, "16")], Lasts::Over, true),
        ] {
            let found = wrong(&entry(attributes), NOW, lasts);
            assert_eq!(found.is_some(), locked, "{attributes:?} {lasts:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_account_is_read_from_its_entry() {
        let ticks = |seconds: i64| ((NOW + seconds + SINCE_1601) * 10_000_000).to_string();
        let days = |days: i64| (NOW / 86_400 + days).to_string();
        for (name, value, wrong) in [
            ("pwdAccountLockedTime", "000001010000Z", Some("locked")),
            ("PWDACCOUNTLOCKEDTIME", "20261123035900Z", Some("locked")),
            ("lockoutTime", "0", None),
            ("lockoutTime", "134397000000000000", Some("locked")),
            ("msDS-User-Account-Control-Computed", "16", Some("locked")),
            (
                "msDS-User-Account-Control-Computed",
                "8388608",
                Some("password has expired"),
            ),
            ("userAccountControl", "512", None),
            ("userAccountControl", "514", Some("disabled")),
            ("nsAccountLock", "TRUE", Some("disabled")),
            ("nsAccountLock", "false", None),
            ("pwdEndTime", "20261123035959Z", Some("expired")),
            ("pwdEndTime", "20261123040001Z", None),
            ("pwdStartTime", "20261123040001Z", Some("not valid yet")),
            ("pwdStartTime", "20261123035959Z", None),
            ("pwdReset", "TRUE", Some("must be changed")),
            ("accountExpires", "0", None),
            ("accountExpires", "9223372036854775807", None),
            ("accountExpires", &ticks(-1), Some("expired")),
            ("accountExpires", &ticks(1), None),
            ("shadowExpire", "-1", None),
            ("shadowExpire", &days(0), Some("expired")),
            ("shadowExpire", &days(1), None),
            ("cn", "TRUE", None),
        ] {
            let found = state(name, value);
            match wrong {
                Some(wrong) => assert!(
                    found.is_some_and(|found| found.contains(wrong)),
                    "{name} {value}: {found:?}"
                ),
                None => assert_eq!(found, None, "{name} {value}"),
            }
        }
    }

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for (date, days) in [
            ((1970, 1, 1), 0),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2026, 11, 23), NOW / 86_400),
            ((1969, 12, 31), -1),
        ] {
            assert_eq!(days_since_1970(date.0, date.1, date.2), days, "{date:?}");
        }
    }

    #[test]
    fn a_time_that_cannot_be_read_lets_nobody_in() {
        assert_eq!(state("pwdEndTime", "soon"), Some("the account has expired"));
        assert_eq!(state("pwdEndTime", ""), Some("the account has expired"));
        assert_eq!(
            state("pwdStartTime", "2026"),
            Some("the account is not valid yet")
        );
    }
}
