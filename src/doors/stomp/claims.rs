//! What a log-in and a command say of themselves: for whom, from when, until when, under which id.
//! It must not know any clock, nor who says it.

use serde_json::{Map, Value};

/// How long either may be valid, in milliseconds.
pub const LIFE: i64 = 60_000;
/// How far the clock of the sender may be from ours, in milliseconds.
pub const SKEW: i64 = 30_000;

/// Why something is not for us, or not for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// It does not say what it has to.
    #[error("{0}")]
    Missing(&'static str),
    /// It is for another node.
    #[error("it is for another node")]
    Audience,
    /// It is meant to be valid for too long.
    #[error("it is valid for more than 60 s")]
    TooLong,
    /// It was made later than now.
    #[error("it is dated in the future")]
    Future,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
}

/// For whom something is, when, and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The node that it is for.
    pub aud: String,
    /// When it was made: milliseconds since 1970.
    pub iat: i64,
    /// Until when it is valid: milliseconds since 1970.
    pub exp: i64,
    /// Its id, a UUID.
    pub jti: String,
}

impl Claims {
    /// Takes them out of `object`.
    ///
    /// # Errors
    /// `Missing`.
    pub fn take(object: &mut Map<String, Value>) -> Result<Self, ClaimError> {
        let mut take = |name| object.remove(name);
        let missing = ClaimError::Missing;
        let (Some(Value::String(aud)), Some(iat), Some(exp), Some(Value::String(jti))) =
            (take("aud"), take("iat"), take("exp"), take("jti"))
        else {
            return Err(missing("it lacks one of aud, iat, exp and jti"));
        };
        if !is_uuid(&jti) {
            return Err(missing("its jti is not a UUID"));
        }
        let moment = |value| moment(&value).ok_or(missing("its iat or exp is not a time"));
        Ok(Self {
            aud,
            iat: moment(iat)?,
            exp: moment(exp)?,
            jti,
        })
    }

    /// Whether it is for `node`.
    ///
    /// # Errors
    /// `Audience`.
    pub fn check_audience(&self, node: &str) -> Result<(), ClaimError> {
        (self.aud == node).then_some(()).ok_or(ClaimError::Audience)
    }

    /// Whether it is valid at `now`, in milliseconds since 1970.
    ///
    /// # Errors
    /// `TooLong`, `Future`, `Expired`, in this order.
    pub fn check_times(&self, now: u64) -> Result<(), ClaimError> {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        if self.exp.saturating_sub(self.iat) > LIFE {
            Err(ClaimError::TooLong)
        } else if self.iat > now.saturating_add(SKEW) {
            Err(ClaimError::Future)
        } else if self.exp < now.saturating_sub(SKEW) {
            Err(ClaimError::Expired)
        } else {
            Ok(())
        }
    }

    /// Whether its answer may have been forgotten, when those given until `forgotten` are: it
    /// could have been valid by then.
    pub fn could_be_forgotten(&self, forgotten: u64) -> bool {
        let forgotten = i64::try_from(forgotten).unwrap_or(i64::MAX);
        forgotten > 0 && self.exp <= forgotten.saturating_add(LIFE + SKEW)
    }
}

/// A NumericDate (RFC 7519, section 2): seconds since 1970, perhaps with a fraction; as
/// milliseconds.
fn moment(value: &Value) -> Option<i64> {
    let seconds = value.as_f64()?;
    // Up to the year 9999; the sums with it cannot overflow.
    (0.0..253_402_300_800.0)
        .contains(&seconds)
        .then_some((seconds * 1000.0) as i64)
}

/// As it is written: 8-4-4-4-12 hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ID: &str = "0b6ff6e4-7a3a-4d15-9d6c-5a3c6f0f9a10";

    fn take(value: &Value) -> Result<Claims, ClaimError> {
        Claims::take(&mut value.as_object().unwrap().clone())
    }

    #[test]
    fn what_is_missing_or_of_another_kind_is_refused() {
        let good = json!({"aud": "lb1", "iat": 1000, "exp": 1030.5, "jti": ID});
        let claims = take(&good).unwrap();
        assert_eq!((claims.iat, claims.exp), (1_000_000, 1_030_500));
        for (name, wrong) in [
            ("aud", json!(["lb1"])),
            ("aud", json!(null)),
            ("iat", json!("1000")),
            ("iat", json!(-1)),
            ("iat", json!(1e300)),
            ("exp", json!(true)),
            ("jti", json!("")),
            ("jti", json!("7")),
            ("jti", json!(ID.replace('-', "_"))),
            ("jti", json!(format!("{ID}0"))),
        ] {
            let mut object = good.as_object().unwrap().clone();
            object.remove(name);
            assert!(Claims::take(&mut object.clone()).is_err(), "without {name}");
            object.insert(name.to_owned(), wrong.clone());
            assert!(Claims::take(&mut object).is_err(), "{name}: {wrong}");
        }
    }

    #[test]
    fn each_bound_of_time_holds_to_the_millisecond() {
        let claims = |iat: i64, exp: i64| Claims {
            aud: "lb1".to_owned(),
            iat: 1_000_000_000 + iat,
            exp: 1_000_000_000 + exp,
            jti: ID.to_owned(),
        };
        let check = |iat, exp| claims(iat, exp).check_times(1_000_000_000);
        assert_eq!(check(0, 30_000), Ok(()));
        assert_eq!(check(0, 60_000), Ok(()));
        assert_eq!(check(0, 60_001), Err(ClaimError::TooLong));
        assert_eq!(check(30_000, 60_000), Ok(()));
        assert_eq!(check(30_001, 60_000), Err(ClaimError::Future));
        assert_eq!(check(-90_000, -30_000), Ok(()));
        assert_eq!(check(-90_001, -30_001), Err(ClaimError::Expired));
        assert_eq!(check(0, -40_000), Err(ClaimError::Expired));
    }

    proptest! {
        /// Were it not so, a clock set back could have a command carried out twice.
        #[test]
        fn whatever_was_valid_before_answers_were_forgotten_could_be_forgotten(
            answered in 100_000_u64..2_000_000, iat in 0_i64..2_000_000, life in 0_i64..70_000, later in 0_u64..9_000_000,
        ) {
            let claims = Claims { aud: String::new(), iat, exp: iat + life, jti: String::new() };
            if claims.check_times(answered).is_ok() {
                prop_assert!(claims.could_be_forgotten(answered + later));
            }
        }
    }
}
