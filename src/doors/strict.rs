//! JSON without what two readers could read differently: no name twice in an object, not deep.
//! It must not know what the values mean.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// How deep values may be nested. A command needs six: claims, command, service, group, host, value.
const DEPTH: u32 = 24;

/// Reads one value and nothing beside it.
///
/// # Errors
/// What is wrong with it, without any of the text.
pub(super) fn parse(text: &[u8]) -> Result<Value, &'static str> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Strict(DEPTH)
        .deserialize(&mut deserializer)
        .map_err(|error| match error.to_string() {
            message if message.starts_with(TWICE) => TWICE,
            message if message.starts_with(DEEP) => DEEP,
            _ => "it is not JSON",
        })?;
    deserializer.end().map_err(|_| "it is not JSON")?;
    Ok(value)
}

const TWICE: &str = "a name stands twice in an object";
const DEEP: &str = "it is nested too deep";

/// A value that may be nested so deep.
#[derive(Clone, Copy)]
struct Strict(u32);

impl Strict {
    fn inside<E: Error>(self) -> Result<Self, E> {
        let depth = self.0.checked_sub(1);
        depth.map(Self).ok_or_else(|| E::custom(DEEP))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a number"))?;
        Ok(number.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut values = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let value = object.next_value_seed(inside)?;
            if values.insert(name, value).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(values.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (text, why) in [
            (r#"{"a":1,"a":1}"#, TWICE),
            (r#"{"a":{"b":[{"c":1,"c":2}]}}"#, TWICE),
            (r#"{"a":1,"\u0061":2}"#, TWICE),
            ("{} {}", "it is not JSON"),
            ("", "it is not JSON"),
            ("{\"a\":\"\u{1}\"}", "it is not JSON"),
            ("{\"a\":NaN}", "it is not JSON"),
            ("{\"a\":1e999}", "it is not JSON"),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(why), "{text}");
        }
        assert_eq!(parse(b"{\"a\":\"\xff\"}"), Err("it is not JSON"));
    }

    #[test]
    fn depth_has_a_bound_however_long_the_text() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        let most = DEPTH as usize;
        assert!(parse(&nested(most)).is_ok());
        assert_eq!(parse(&nested(most + 1)), Err(DEEP));
        assert_eq!(parse(&vec![b'['; 60_000]), Err(DEEP));
        assert_eq!(parse("{\"a\":".repeat(60_000).as_bytes()), Err(DEEP));
    }

    proptest! {
        #[test]
        fn whatever_has_no_name_twice_reads_as_everywhere(
            text in "\\PC{0,20}", number in any::<i64>(), float in -1e300..1e300_f64, yes in any::<bool>(),
        ) {
            let value = json!({"a": [text, number, {"b": float}], "c": yes, "d": null});
            let text = value.to_string();
            prop_assert_eq!(parse(text.as_bytes()).ok(), serde_json::from_str(&text).ok());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let strict = parse(&bytes);
            prop_assert!(strict.is_err() || strict.ok() == serde_json::from_slice(&bytes).ok());
        }
    }
}
