//! Numbers with bounds: one that is out of range cannot be read.
//! It must not know what they count.

use serde::{Deserialize, Serialize};

macro_rules! bounded_number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $least:literal ..= $most:literal, default $default:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name(pub(super) $inner);

        impl $name {
            /// The number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        }

        impl TryFrom<i64> for $name {
            type Error = String;

            fn try_from(number: i64) -> Result<Self, String> {
                match <$inner>::try_from(number) {
                    Ok(inner) if ($least..=$most).contains(&inner) => Ok(Self(inner)),
                    _ => Err(format!("{number} is not between {} and {}", $least, $most)),
                }
            }
        }

        impl From<$name> for i64 {
            fn from(number: $name) -> Self {
                Self::from(number.0)
            }
        }
    };
}

pub(super) use bounded_number;

bounded_number! {
    /// A host's share of new sessions: 0 (none) to 256.
    Weight(u16), 0..=256, default 1
}
bounded_number! {
    /// A limit on a number of things: 1 to a thousand million.
    Count(u32), 1..=1_000_000_000, default 1
}
bounded_number! {
    /// How many further hosts are tried when a connect fails: 0 to 16.
    Retries(u8), 0..=16, default 2
}
bounded_number! {
    /// How many times in a row: 1 to 100.
    Times(u8), 1..=100, default 1
}
bounded_number! {
    /// A port of TCP: 1 to 65535.
    Port(u16), 1..=65535, default 1
}
bounded_number! {
    /// A number of days, up to ten years.
    Days(u16), 0..=3650, default 14
}
