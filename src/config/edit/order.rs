//! Tables of one list put into another order.
//! It must not change what is in them.

use toml_edit::Table;

use super::{decor, spot};

/// Gives the tables that stay the places among themselves that `origins` wants. What a blank line
/// separates from a table stays where it is.
pub(super) fn put_in_order(tables: &mut [Option<Table>], origins: &[Option<usize>]) {
    let wanted: Vec<usize> = origins.iter().flatten().copied().collect();
    if wanted.is_sorted() {
        return;
    }
    let mut sorted = wanted.clone();
    sorted.sort_unstable();
    let mut places = Vec::new();
    let mut gaps = Vec::new();
    let mut owned = Vec::new();
    for index in &sorted {
        if let Some(Some(table)) = tables.get_mut(*index) {
            let spots = spot::spots(table);
            places.extend_from_slice(&spots);
            let before = decor::text(table.decor().prefix());
            let (apart, own) = decor::split(&before);
            gaps.push(apart.to_owned());
            owned.push((*index, spots, own.to_owned()));
        }
    }
    let mut places = places.as_slice();
    for (index, gap) in wanted.iter().zip(gaps) {
        let found = owned.iter().find(|(owner, ..)| owner == index);
        if let (Some((_, spots, own)), Some(Some(table))) = (found, tables.get_mut(*index)) {
            let (here, rest) = places.split_at(spots.len().min(places.len()));
            spot::move_to(table, spots, here);
            places = rest;
            table.decor_mut().set_prefix(format!("{gap}{own}"));
        }
    }
}
