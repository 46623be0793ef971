//! Tables of either form, with headers or in braces, and their keys: put in order, taken out.
//! It must not know what the keys mean.

use toml_edit::{InlineTable, Item, Key, Table, TableLike, Value};

use super::decor;

/// A table of either form.
pub(super) enum Keys<'t> {
    /// With a header, or of dotted keys.
    Table(&'t mut Table),
    /// In braces.
    Inline(&'t mut InlineTable),
}

impl Keys<'_> {
    pub(super) fn like(&mut self) -> &mut dyn TableLike {
        match self {
            Self::Table(table) => *table,
            Self::Inline(table) => *table,
        }
    }

    /// Puts `item` under `key`, after the last of `before` that is there, else before all others.
    pub(super) fn insert(&mut self, key: &str, item: Item, before: &[&str], indent: &str) {
        let mut order: Vec<String> = self.like().iter().map(|(key, _)| key.to_owned()).collect();
        let place = before.iter().rev().find_map(|before| {
            let index = order.iter().position(|there| there == before)?;
            Some(index + 1)
        });
        order.insert(place.unwrap_or(0), key.to_owned());
        let rank = |key: &Key| order.iter().position(|there| there == key.get());
        match self {
            Self::Table(table) => {
                table.insert(key, item);
                if let Some(mut key) = table.key_mut(key) {
                    key.leaf_decor_mut().set_prefix(indent);
                }
                // The order of a table of dotted keys below this one must stay what it is.
                let ranked = |a: &Key, b: &Key| match (rank(a), rank(b)) {
                    (Some(a), Some(b)) => a.cmp(&b),
                    _ => std::cmp::Ordering::Equal,
                };
                table.sort_values_by(|a, _, b, _| ranked(a, b));
            }
            Self::Inline(table) => {
                if let Item::Value(value) = item {
                    table.insert(key, value);
                }
                table.sort_values_by(|a, _, b, _| match (rank(a), rank(b)) {
                    (Some(a), Some(b)) => a.cmp(&b),
                    _ => std::cmp::Ordering::Equal,
                });
                tidy(table);
            }
        }
    }

    /// Takes out `key`, and gives the comment that must stay, if no key is left to carry it.
    pub(super) fn remove(&mut self, key: &str) -> Option<String> {
        let like = self.like();
        let before = match like.get(key) {
            Some(Item::Table(table)) if !table.is_dotted() => decor::text(table.decor().prefix()),
            Some(_) => decor::text(like.key(key).and_then(|key| key.leaf_decor().prefix())),
            None => return None,
        };
        let mut keys = like.iter().skip_while(|(other, _)| *other != key).skip(1);
        let next = keys
            .find(|(_, item)| item.is_value())
            .map(|(key, _)| key.to_owned());
        drop(keys);
        let is_value = like.get(key).is_some_and(Item::is_value);
        like.remove(key);
        if let Self::Inline(table) = self {
            tidy(table);
        }
        let orphan = decor::orphan(&before)?;
        match next {
            Some(next) if is_value => {
                let mut key = self.like().key_mut(&next)?;
                decor::put_before(key.leaf_decor_mut(), &orphan);
                None
            }
            Some(_) | None => Some(orphan),
        }
    }
}

/// Spaces the entries of a table in braces evenly; one that goes over lines is left as it is.
fn tidy(table: &mut InlineTable) {
    let text = table.to_string();
    if !text.contains(['\n', '#']) {
        let around = table.decor().clone();
        table.fmt();
        table.set_trailing("");
        table.set_trailing_comma(false);
        *table.decor_mut() = around;
    }
}

/// Puts `new` into the place of `value`, with the text around it as it was.
pub(super) fn replace(value: &mut Value, new: Value) {
    let around = value.decor().clone();
    *value = new;
    *value.decor_mut() = around;
}
