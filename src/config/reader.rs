//! Reads values out of the tree of a file, and says which node is at fault when it cannot.
//! It must not report anything; it stops at the first fault, and its caller reads again without it.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
    value::{MapAccessDeserializer, StrDeserializer},
};
use toml::de::{DeArray, DeInteger, DeString, DeTable, DeValue};

use super::{
    stand_in::StandIn,
    tree::{Node, Struck},
    wording,
};
use crate::model::problem::Step;

/// What is wrong with one node.
#[derive(Debug)]
pub(super) struct Fault {
    /// The way to the node, last step first.
    back: Vec<Step>,
    pub(super) kind: FaultKind,
}

/// What can be wrong with a node.
#[derive(Debug)]
pub(super) enum FaultKind {
    /// A table has a key that it should not have.
    UnknownKey {
        key: String,
        known: &'static [&'static str],
    },
    /// A table lacks a key.
    MissingKey(&'static str),
    /// A value is not what it should be: a sentence.
    Value(String),
}

impl Fault {
    fn new(kind: FaultKind) -> Self {
        Self {
            back: Vec::new(),
            kind,
        }
    }

    fn under(mut self, step: Step) -> Self {
        self.back.push(step);
        self
    }

    /// The way to the node from the root.
    pub(super) fn steps(&self) -> Vec<Step> {
        self.back.iter().rev().cloned().collect()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FaultKind::UnknownKey { key, known } => f.write_str(&wording::unknown_key(key, known)),
            FaultKind::MissingKey(key) => write!(f, "the key `{key}` is missing"),
            FaultKind::Value(message) => f.write_str(&wording::bounded(message)),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(FaultKind::Value(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::custom(wording::mismatch(&found, wanted))
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::custom(wording::mismatch(&found, wanted))
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::custom(wording::unknown_word(word, known))
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        let key = key.to_owned();
        Self::new(FaultKind::UnknownKey { key, known })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(FaultKind::MissingKey(key))
    }
}

/// Reads one node, and over what is struck out below it.
#[derive(Clone, Copy)]
pub(super) struct Reader<'t, 'i> {
    pub(super) node: &'t Node<'i>,
    pub(super) struck: &'t Struck,
}

impl<'t, 'i> Reader<'t, 'i> {
    fn table(self, table: &'t DeTable<'i>) -> Entries<'t, 'i> {
        let pairs = table.iter().map(|(key, node)| (key.get_ref(), node));
        let mut pairs: Vec<_> = pairs.filter(|(_, node)| !self.struck.has(node)).collect();
        pairs.reverse();
        Entries {
            pairs,
            stand_ins: self.struck.stand_ins(self.node),
            open: None,
            struck: self.struck,
        }
    }

    fn list(self, list: &'t DeArray<'i>) -> Items<'t, 'i> {
        let items = (0..).zip(list).filter(|(_, node)| !self.struck.has(node));
        let mut left: Vec<_> = items.collect();
        left.reverse();
        Items {
            left,
            struck: self.struck,
        }
    }
}

fn integer<'de, V: Visitor<'de>>(number: &DeInteger<'_>, visitor: V) -> Result<V::Value, Fault> {
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(number) => visitor.visit_i64(number),
        Err(_) => Err(de::Error::custom(format!(
            "{} is out of range",
            wording::quoted(number.as_str()).trim_matches('"')
        ))),
    }
}

impl<'de> Deserializer<'de> for Reader<'_, '_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.get_ref() {
            DeValue::String(text) => visitor.visit_str(text),
            DeValue::Integer(number) => integer(number, visitor),
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => visitor.visit_f64(number),
                Err(_) => Err(de::Error::custom("this is no number")),
            },
            DeValue::Boolean(value) => visitor.visit_bool(*value),
            DeValue::Datetime(_) => {
                let found = Unexpected::Other("a date or time without quotes");
                Err(de::Error::invalid_type(found, &visitor))
            }
            DeValue::Array(list) => visitor.visit_seq(self.list(list)),
            DeValue::Table(table) => visitor.visit_map(self.table(table)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    /// Derived types would take a list for a table, its items in the order of the fields.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.node.get_ref() {
            DeValue::Array(_) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.node.get_ref() {
            DeValue::String(text) => visitor.visit_enum(word(text)),
            DeValue::Table(table) => {
                visitor.visit_enum(MapAccessDeserializer::new(self.table(table)))
            }
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => self.deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

fn word(text: &str) -> StrDeserializer<'_, Fault> {
    text.into_deserializer()
}

/// The entries of a table that are not struck out.
struct Entries<'t, 'i> {
    /// Those still to come, last first.
    pairs: Vec<(&'t DeString<'i>, &'t Node<'i>)>,
    /// What stands in for keys, to come after them.
    stand_ins: &'t [StandIn],
    /// The one whose key has been read.
    open: Option<Entry<'t, 'i>>,
    struck: &'t Struck,
}

enum Entry<'t, 'i> {
    Found(&'t DeString<'i>, &'t Node<'i>),
    StandIn(&'t StandIn),
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Fault;

    fn next_key_seed<K>(&mut self, seed: K) -> Result<Option<K::Value>, Fault>
    where
        K: DeserializeSeed<'de>,
    {
        if let Some((key, node)) = self.pairs.pop() {
            self.open = Some(Entry::Found(key, node));
            return seed.deserialize(word(key)).map(Some);
        }
        let Some((first, rest)) = self.stand_ins.split_first() else {
            return Ok(None);
        };
        self.stand_ins = rest;
        self.open = Some(Entry::StandIn(first));
        seed.deserialize(word(first.key)).map(Some)
    }

    fn next_value_seed<V>(&mut self, seed: V) -> Result<V::Value, Fault>
    where
        V: DeserializeSeed<'de>,
    {
        let struck = self.struck;
        match self.open.take() {
            Some(Entry::Found(key, node)) => seed
                .deserialize(Reader { node, struck })
                .map_err(|fault| fault.under(Step::Key(key.clone().into_owned()))),
            Some(Entry::StandIn(stand_in)) => stand_in
                .read(seed)
                .map_err(|fault| fault.under(Step::Key(stand_in.key.to_owned()))),
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }
}

/// The items of a list that are not struck out.
struct Items<'t, 'i> {
    /// Those still to come, each with its index in the whole list, last first.
    left: Vec<(usize, &'t Node<'i>)>,
    struck: &'t Struck,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Fault;

    fn next_element_seed<T>(&mut self, seed: T) -> Result<Option<T::Value>, Fault>
    where
        T: DeserializeSeed<'de>,
    {
        let Some((index, node)) = self.left.pop() else {
            return Ok(None);
        };
        let struck = self.struck;
        seed.deserialize(Reader { node, struck })
            .map(Some)
            .map_err(|fault| fault.under(Step::Item(index)))
    }
}
