//! Reads values that are written as text, and says what would have been one.
//! It must not know the types that it reads.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::de::{Deserializer, Error, Visitor};

/// Reads a text as a `T`; where there is no text, `wanted` says what should have been there.
pub(super) fn deserialize<'de, T, D>(deserializer: D, wanted: &'static str) -> Result<T, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    let kind = PhantomData;
    deserializer.deserialize_str(Text { wanted, kind })
}

struct Text<T> {
    wanted: &'static str,
    kind: PhantomData<T>,
}

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.wanted)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}
