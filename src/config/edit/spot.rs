//! Where in a file its tables stand, and how they are laid out there.
//! It must not change anything but places.

use toml_edit::{Item, Table};

use super::{decor, tree::Level};

/// The place of a table in a file: larger is further down.
pub(super) type Spot = isize;

/// How many places there are between two tables of a file that was read, for new ones. More than
/// there are hosts in any group.
const STRIDE: Spot = 1 << 24;

/// Calls `act` on `table` and all tables below it, in the order of keys.
pub(super) fn walk<'t>(table: &'t mut Table, act: &mut dyn FnMut(&mut Table)) {
    act(table);
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(table) => walk(table, act),
            Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|table| walk(table, act)),
            Item::None | Item::Value(_) => {}
        }
    }
}

/// Makes room between the tables for new ones.
pub(super) fn spread(root: &mut Table) {
    walk(root, &mut |table| {
        let spot = table.position().map(|spot| spot * STRIDE);
        table.set_position(spot);
    });
}

/// The places of `table` and all below it, ascending.
pub(super) fn spots(table: &mut Table) -> Vec<Spot> {
    let mut spots = Vec::new();
    walk(table, &mut |table| spots.extend(table.position()));
    spots.sort_unstable();
    spots
}

/// Puts `table` and all below it at `new` places, keeping their order. There are as many as it has.
pub(super) fn move_to(table: &mut Table, old: &[Spot], new: &[Spot]) {
    walk(table, &mut |table| {
        let rank = table
            .position()
            .map(|spot| old.partition_point(|old| *old < spot));
        if let Some(spot) = rank.and_then(|rank| new.get(rank)) {
            table.set_position(Some(*spot));
        }
    });
}

/// The first table below `spot` that has a header.
pub(super) fn table_after(root: &mut Table, spot: Spot) -> Option<&mut Table> {
    let mut next: Option<Spot> = None;
    walk(root, &mut |table| {
        let here = table
            .position()
            .filter(|here| *here > spot && has_header(table));
        next = here
            .filter(|here| next.is_none_or(|next| *here < next))
            .or(next);
    });
    find(root, next?)
}

fn has_header(table: &Table) -> bool {
    !(table.is_dotted() || table.is_implicit() && table.get_values().is_empty())
}

fn find(table: &mut Table, spot: Spot) -> Option<&mut Table> {
    if table.position() == Some(spot) && has_header(table) {
        return Some(table);
    }
    table.iter_mut().find_map(|(_, item)| match item {
        Item::Table(table) => find(table, spot),
        Item::ArrayOfTables(tables) => tables.iter_mut().find_map(|table| find(table, spot)),
        Item::None | Item::Value(_) => None,
    })
}

/// How the tables of one level are laid out.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// What stands before a header.
    pub(super) header: String,
    /// What stands before a key.
    pub(super) key: String,
    /// What stands between two tables.
    pub(super) gap: String,
}

/// How the tables of a file are laid out.
#[derive(Clone, Debug)]
pub(super) struct Style {
    service: Layout,
    group: Layout,
    host: Layout,
}

impl Style {
    /// That of the first table of each level; where there is none, that of the level above.
    pub(super) fn of(root: &Table) -> Self {
        let plain = Layout {
            gap: "\n".to_owned(),
            ..Layout::default()
        };
        let services: Vec<_> = items(root, "service").collect();
        let groups: Vec<_> = services.iter().map(|table| items(table, "group")).collect();
        let groups: Vec<_> = groups.into_iter().flatten().collect();
        let hosts = groups.iter().flat_map(|table| items(table, "host"));
        let service = layout(services.iter().copied(), &plain);
        let group = layout(groups.iter().copied(), &service);
        let host = layout(hosts, &group);
        Self {
            service,
            group,
            host,
        }
    }

    pub(super) fn at(&self, level: Level) -> &Layout {
        match level {
            Level::Root | Level::Service => &self.service,
            Level::Group => &self.group,
            Level::Host | Level::Inner => &self.host,
        }
    }
}

fn items<'t>(table: &'t Table, key: &str) -> impl Iterator<Item = &'t Table> {
    let tables = table.get(key).and_then(Item::as_array_of_tables);
    tables.into_iter().flat_map(|tables| tables.iter())
}

fn layout<'t>(mut tables: impl Iterator<Item = &'t Table>, other: &Layout) -> Layout {
    let Some(first) = tables.next() else {
        return other.clone();
    };
    let sample = tables.next();
    let before = |table: &Table| decor::text(table.decor().prefix());
    let key = first.iter().next().and_then(|(key, _)| first.key(key));
    let gap = match sample {
        Some(table) if !before(table).starts_with(['\n', '\r', '#']) => "",
        Some(_) | None => "\n",
    };
    Layout {
        header: decor::indentation(&before(first)),
        key: key.map_or_else(String::new, |key| {
            decor::indentation(&decor::text(key.leaf_decor().prefix()))
        }),
        gap: gap.to_owned(),
    }
}
