//! Tables for items that are new in a file, laid out like those that it has.
//! It must not change any that are there.

use toml_edit::{Array, ArrayOfTables, InlineTable, Item, Table, Value};

use super::{
    spot::{Layout, Spot, Style},
    tree::Level,
};

impl Style {
    /// Tables for `items`, placed after `spot`, the first one with `comment` before it.
    pub(super) fn fresh_tables(
        &self,
        items: &Array,
        level: Level,
        spot: Spot,
        comment: &str,
    ) -> ArrayOfTables {
        let mut tables = ArrayOfTables::new();
        for (place, item) in (spot + 1..).zip(items.iter().filter_map(Value::as_inline_table)) {
            let mut table = self.fresh_table(item, level);
            if tables.is_empty() && !comment.is_empty() {
                let Layout { gap, header, .. } = self.at(level);
                table
                    .decor_mut()
                    .set_prefix(format!("{gap}{comment}{header}"));
            }
            table.set_position(Some(place));
            tables.push(table);
        }
        tables
    }

    pub(super) fn fresh_table(&self, item: &InlineTable, level: Level) -> Table {
        let layout = self.at(level);
        let mut table = Table::new();
        table
            .decor_mut()
            .set_prefix(format!("{}{}", layout.gap, layout.header));
        for (key, value) in item {
            match (level.items(key), value.as_array()) {
                (Some(_), Some(array)) if array.is_empty() => {}
                (Some(below), Some(array)) => {
                    let mut tables = ArrayOfTables::new();
                    for item in array.iter().filter_map(Value::as_inline_table) {
                        tables.push(self.fresh_table(item, below));
                    }
                    table.insert(key, Item::ArrayOfTables(tables));
                }
                _ => {
                    table.insert(key, Item::Value(value.clone()));
                    if let Some(mut key) = table.key_mut(key) {
                        key.leaf_decor_mut().set_prefix(layout.key.clone());
                    }
                }
            }
        }
        table
    }
}
