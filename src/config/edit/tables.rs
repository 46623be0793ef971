//! Brings tables with headers, and what is in them, from one state to another.
//! It must not write anything anew that does not differ.

use toml_edit::{Array, ArrayOfTables, InlineTable, Item, Table, Value};

use super::{
    Blocked, Care, decor,
    keys::{Keys, replace},
    list,
    order::put_in_order,
    spot::{self, Spot, Style},
    tree::{Level, origins, same},
};

/// Changes one document.
pub(super) struct Editor {
    style: Style,
    care: Care,
    /// Comments whose place went away, with that place.
    orphans: Vec<(Spot, String)>,
}

impl Editor {
    pub(super) fn new(style: Style, care: Care) -> Self {
        Self {
            style,
            care,
            orphans: Vec::new(),
        }
    }

    pub(super) fn care(&self) -> Care {
        self.care
    }

    /// The comments whose place went away, the last one first, so that each can be put before
    /// what comes after it.
    pub(super) fn into_orphans(self) -> Vec<(Spot, String)> {
        let mut orphans = self.orphans;
        orphans.sort_by_key(|(spot, _)| *spot);
        orphans.reverse();
        orphans
    }

    /// Changes the services of the document with `root`.
    pub(super) fn services(
        &mut self,
        root: &mut Table,
        old: &InlineTable,
        next: &InlineTable,
    ) -> Result<(), Blocked> {
        self.table(Keys::Table(root), old, next, Level::Root)
    }

    /// Changes the keys of one table.
    pub(super) fn table(
        &mut self,
        mut keys: Keys<'_>,
        old: &InlineTable,
        next: &InlineTable,
        level: Level,
    ) -> Result<(), Blocked> {
        let order: Vec<&str> = next.iter().map(|(key, _)| key).collect();
        let gone = old.iter().map(|(key, _)| key);
        let gone = gone.filter(|key| !next.contains_key(key));
        for key in order.iter().copied().chain(gone) {
            let default = level.default(key);
            let is_there = keys.like().contains_key(key);
            let before = old.get(key).or(default.as_ref());
            let after = next.get(key).or(default.as_ref().filter(|_| is_there));
            match (before, after) {
                (Some(before), Some(after)) if same(before, after) => {}
                (_, None) => self.remove(&mut keys, key),
                (before, Some(after)) if is_there => {
                    self.change(&mut keys, key, before, after, level)?;
                }
                (before, Some(after)) => {
                    let place = order.iter().position(|other| *other == key);
                    let earlier = &order[..place.unwrap_or(0)];
                    let item = self.fresh(&mut keys, key, before, after, level);
                    let indent = self.indent(&keys, level);
                    keys.insert(key, item, earlier, &indent);
                }
            }
        }
        Ok(())
    }

    fn indent(&self, keys: &Keys<'_>, level: Level) -> String {
        let Keys::Table(table) = keys else {
            return " ".to_owned();
        };
        let mut there = table.iter().filter(|(_, item)| item.is_value());
        let sample = there.next().and_then(|(key, _)| table.key(key));
        match sample {
            Some(key) => decor::indentation(&decor::text(key.leaf_decor().prefix())),
            None if level == Level::Root => String::new(),
            None => self.style.at(level).key.clone(),
        }
    }

    fn remove(&mut self, keys: &mut Keys<'_>, key: &str) {
        let below = keys.like().get(key).and_then(Item::as_table);
        let below = below.and_then(Table::position);
        let here = match keys {
            Keys::Table(table) => table.position(),
            Keys::Inline(_) => None,
        };
        if let Some(orphan) = keys.remove(key) {
            self.orphans.push((below.or(here).unwrap_or(0), orphan));
        }
    }

    /// What is put under a key that was not there.
    fn fresh(
        &mut self,
        keys: &mut Keys<'_>,
        key: &str,
        before: Option<&Value>,
        after: &Value,
        level: Level,
    ) -> Item {
        if let (Some(below), Keys::Table(parent), Some(array)) =
            (level.items(key), keys, after.as_array())
        {
            let mut spots = spot::spots(parent);
            let spot = spots.pop().unwrap_or(Spot::MAX >> 1);
            return Item::ArrayOfTables(self.style.fresh_tables(array, below, spot, ""));
        }
        match (before, after) {
            // Of a table whose absence means something, only what is not what it meant.
            (Some(Value::InlineTable(before)), Value::InlineTable(after)) => {
                let differs = |key: &str, value: &Value| {
                    before.get(key).is_none_or(|before| !same(before, value))
                };
                let differing = after.iter().filter(|(key, value)| differs(key, value));
                let table: InlineTable =
                    differing.map(|(key, value)| (key, value.clone())).collect();
                Item::Value(table.into())
            }
            (_, after) => Item::Value(after.clone()),
        }
    }

    /// Changes what is under a key that is there.
    fn change(
        &mut self,
        keys: &mut Keys<'_>,
        key: &str,
        before: Option<&Value>,
        after: &Value,
        level: Level,
    ) -> Result<(), Blocked> {
        let below = level.below(key);
        let nothing = Value::InlineTable(InlineTable::new());
        let was = before.unwrap_or(&nothing);
        if let (Some(items), Keys::Table(parent), Some(array)) =
            (level.items(key), &mut *keys, after.as_array())
            && let Some(Item::Value(Value::Array(empty))) = parent.get(key)
            && empty.is_empty()
        {
            let comment = list::comment_of(parent, key);
            let spot = match level {
                Level::Root => spot::spots(parent).pop().unwrap_or(Spot::MAX >> 1),
                Level::Service | Level::Group | Level::Host | Level::Inner => {
                    parent.position().unwrap_or(0)
                }
            };
            let tables = self.style.fresh_tables(array, items, spot, &comment);
            parent.remove(key);
            parent.insert(key, Item::ArrayOfTables(tables));
            return Ok(());
        }
        let item = keys.like().get_mut(key).ok_or(Blocked)?;
        match (item, was, after) {
            (Item::ArrayOfTables(tables), Value::Array(before), Value::Array(after)) => {
                self.items(tables, before, after, below)?;
                if tables.is_empty() {
                    keys.like().remove(key);
                    if level == Level::Root {
                        let indent = String::new();
                        keys.insert(key, Item::Value(Array::new().into()), &[], &indent);
                    }
                }
                Ok(())
            }
            (Item::Value(Value::Array(array)), Value::Array(before), Value::Array(after)) => {
                list::change(self, array, before, after, below)
            }
            (Item::Table(table), Value::InlineTable(before), Value::InlineTable(after)) => {
                self.table(Keys::Table(table), before, after, below)
            }
            (
                Item::Value(Value::InlineTable(table)),
                Value::InlineTable(before),
                Value::InlineTable(after),
            ) => self.table(Keys::Inline(table), before, after, below),
            (Item::Value(value), _, after) => {
                replace(value, after.clone());
                Ok(())
            }
            (Item::Table(_), _, after) => {
                let indent = self.indent(keys, level);
                self.remove(keys, key);
                keys.insert(key, Item::Value(after.clone()), &["name"], &indent);
                Ok(())
            }
            (Item::ArrayOfTables(_) | Item::None, ..) => Err(Blocked),
        }
    }

    /// Changes the items of a list of tables with headers.
    fn items(
        &mut self,
        tables: &mut ArrayOfTables,
        before: &Array,
        after: &Array,
        level: Level,
    ) -> Result<(), Blocked> {
        if tables.len() != before.len() {
            return Err(Blocked);
        }
        let mut origins = origins(before, after);
        if self.care == Care::Services && level == Level::Service {
            for (origin, after) in origins.iter_mut().zip(after) {
                let unchanged = |index: &usize| before.get(*index).is_some_and(|b| same(b, after));
                *origin = origin.filter(unchanged);
            }
        }
        let mut left: Vec<Option<Table>> = std::mem::take(tables).into_iter().map(Some).collect();
        let first = left.first_mut().and_then(Option::as_mut);
        let start = first
            .and_then(|table| spot::spots(table).first().copied())
            .unwrap_or(0);
        put_in_order(&mut left, &origins);
        let mut kept: Vec<Option<Table>> = Vec::with_capacity(origins.len());
        for origin in &origins {
            kept.push(origin.and_then(|index| left.get_mut(index)?.take()));
        }
        for table in left.into_iter().flatten() {
            self.bury(&table);
        }
        let mut last = start - 1 - Spot::try_from(after.len()).unwrap_or(0);
        for (index, (kept, origin)) in kept.into_iter().zip(origins).enumerate() {
            let next = after
                .get(index)
                .and_then(Value::as_inline_table)
                .ok_or(Blocked)?;
            let old = origin.and_then(|origin| before.get(origin)?.as_inline_table());
            let mut table = match (kept, old) {
                (Some(mut table), Some(old)) => {
                    self.table(Keys::Table(&mut table), old, next, level)?;
                    table
                }
                _ => {
                    let mut table = self.style.fresh_table(next, level);
                    table.set_position(Some(last + 1));
                    table
                }
            };
            last = spot::spots(&mut table).pop().unwrap_or(last);
            tables.push(table);
        }
        Ok(())
    }

    /// Keeps the comment of a table that goes, if it has one that does not belong to it.
    fn bury(&mut self, table: &Table) {
        let before = decor::text(table.decor().prefix());
        if let (Some(orphan), Some(spot)) = (decor::orphan(&before), table.position()) {
            self.orphans.push((spot, orphan));
        }
    }
}
