//! The file as a tree whose every node knows where it stands, and which of them are struck out.
//! It must not know what the values mean, except that an item's `name` names it.

use std::{
    collections::{HashMap, HashSet},
    ptr,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{stand_in::StandIn, wording};
use crate::model::{
    name::Name,
    problem::{Place, Step},
};

/// A value and where it stands.
pub(super) type Node<'i> = Spanned<DeValue<'i>>;

/// The file as a tree.
pub(super) struct Tree<'i> {
    pub(super) root: Node<'i>,
    /// The offset of every line's end, ascending.
    line_ends: Vec<usize>,
}

/// The nodes that have been reported and are read over from then on, and what stands in for them.
///
/// Nodes are told apart by where they lie in memory; the tree does not change while it is read.
#[derive(Default)]
pub(super) struct Struck {
    nodes: HashSet<usize>,
    /// By the table that lacks the key.
    stand_ins: HashMap<usize, Vec<StandIn>>,
}

impl Struck {
    /// Strikes out `node`; false if it already was.
    pub(super) fn add(&mut self, node: &Node<'_>) -> bool {
        self.nodes.insert(ptr::from_ref(node).addr())
    }

    pub(super) fn has(&self, node: &Node<'_>) -> bool {
        self.nodes.contains(&ptr::from_ref(node).addr())
    }

    /// Lets something stand in for a key of `table`; false if something already does.
    pub(super) fn add_stand_in(&mut self, table: &Node<'_>, stand_in: StandIn) -> bool {
        let is_new = self.stand_in(table, stand_in.key).is_none();
        if is_new {
            let of_table = self.stand_ins.entry(ptr::from_ref(table).addr());
            of_table.or_default().push(stand_in);
        }
        is_new
    }

    pub(super) fn stand_ins(&self, table: &Node<'_>) -> &[StandIn] {
        let of_table = self.stand_ins.get(&ptr::from_ref(table).addr());
        of_table.map_or(&[], Vec::as_slice)
    }

    pub(super) fn stand_in(&self, table: &Node<'_>, key: &str) -> Option<&StandIn> {
        let mut of_table = self.stand_ins(table).iter();
        of_table.find(|stand_in| stand_in.key == key)
    }
}

impl<'i> Tree<'i> {
    /// The tree of `text`, or the message and line of what is not TOML in it.
    pub(super) fn parse(text: &'i str) -> Result<Self, (String, usize)> {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_ends: Vec<_> = ends.map(|(end, _)| end).collect();
        match DeTable::parse(text) {
            Ok(table) => {
                let root = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
                Ok(Self { root, line_ends })
            }
            Err(error) => {
                let span = error.span().unwrap_or_default();
                let line = line_of(&line_ends, span.start);
                let message = match text.get(span) {
                    Some(here) if !here.trim().is_empty() => {
                        format!("{}, here: {}", error.message(), wording::quoted(here))
                    }
                    _ => error.message().to_owned(),
                };
                Err((message, line))
            }
        }
    }

    /// The node at `steps`.
    pub(super) fn node(&self, steps: &[Step]) -> Option<&Node<'i>> {
        steps.iter().try_fold(&self.root, child)
    }

    /// The place that `steps` lead to, with the names of items where they have any, and its line:
    /// where the last key or list item starts; the root has none.
    pub(super) fn locate(&self, steps: &[Step]) -> (Place, Option<usize>) {
        let mut place = Place::root();
        let mut start = None;
        let mut node = Some(&self.root);
        for step in steps {
            let next = node.and_then(|node| child(node, step));
            place = match step {
                Step::Key(key) => place.key(key),
                Step::Item(index) => match next.and_then(name) {
                    Some(name) => place.named(*index, &name),
                    None => place.item(*index),
                },
            };
            let here = match step {
                Step::Key(key) => node.and_then(|node| key_start(node, key)),
                Step::Item(_) => next.map(|next| next.span().start),
            };
            start = here.or(start);
            node = next;
        }
        (place, start.map(|start| line_of(&self.line_ends, start)))
    }

    /// `steps` through what was read, as steps through the whole tree: struck items count again.
    pub(super) fn whole_steps(&self, steps: &[Step], struck: &Struck) -> Vec<Step> {
        let mut node = Some(&self.root);
        let mut whole = Vec::with_capacity(steps.len());
        for step in steps {
            let step = match (step, node.map(Spanned::get_ref)) {
                (Step::Item(index), Some(DeValue::Array(items))) => {
                    let mut left = (0..).zip(items).filter(|(_, item)| !struck.has(item));
                    Step::Item(left.nth(*index).map_or(*index, |(index, _)| index))
                }
                (step, _) => step.clone(),
            };
            node = node.and_then(|node| child(node, &step));
            whole.push(step);
        }
        whole
    }
}

fn line_of(line_ends: &[usize], offset: usize) -> usize {
    line_ends.partition_point(|end| *end < offset) + 1
}

fn child<'t, 'i>(node: &'t Node<'i>, step: &Step) -> Option<&'t Node<'i>> {
    match step {
        Step::Key(key) => node.get_ref().get(key.as_str()),
        Step::Item(index) => node.get_ref().get(*index),
    }
}

fn key_start(node: &Node<'_>, key: &str) -> Option<usize> {
    let (key, _) = node.get_ref().as_table()?.get_key_value(key)?;
    Some(key.span().start)
}

fn name(node: &Node<'_>) -> Option<Name> {
    node.get_ref().get("name")?.get_ref().as_str()?.parse().ok()
}
