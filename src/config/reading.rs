//! A file being read: what cannot be read is reported and struck out, and reading starts over.
//! It must not judge values, and must not report what is only a consequence of what was struck out.

use serde::de::DeserializeOwned;

use super::{
    file::MAX_PROBLEMS,
    reader::{Fault, FaultKind, Reader},
    settings::{self, Settings},
    stand_in::StandIn,
    tree::{Node, Struck, Tree},
    wording,
};
use crate::model::{
    check::{Names, check, check_names},
    problem::{Place, Problem, Step},
    topology::Topology,
};

/// A file being read.
pub(super) struct Reading<'t, 'i> {
    tree: &'t Tree<'i>,
    struck: Struck,
    /// The names that stand in for others, each with the index of its item.
    names: Vec<(String, usize)>,
    stand_ins: usize,
    problems: Vec<Problem>,
}

impl<'t, 'i> Reading<'t, 'i> {
    pub(super) fn of(tree: &'t Tree<'i>) -> Self {
        Self {
            tree,
            struck: Struck::default(),
            names: Vec::new(),
            stand_ins: 0,
            problems: Vec::new(),
        }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// What is left of the file when all that cannot be read is struck out; `None` when that is
    /// the root, or there was no end of problems.
    pub(super) fn read_on<D: DeserializeOwned>(&mut self) -> Option<D> {
        while self.problems.len() < MAX_PROBLEMS {
            let reader = Reader {
                node: &self.tree.root,
                struck: &self.struck,
            };
            match D::deserialize(reader) {
                Ok(document) => return Some(document),
                Err(fault) => self.take_out(&fault)?,
            }
        }
        None
    }

    /// Reports `fault` and strikes out its node, or lets something stand in for what is missing.
    /// `None` if neither is left to be done, so that reading ends with the last node at the latest.
    fn take_out(&mut self, fault: &Fault) -> Option<()> {
        let steps = fault.steps();
        let table = self.tree.node(&steps);
        let missing_by_us = match (&fault.kind, table) {
            (FaultKind::MissingKey(key), Some(table)) => self.has_struck(table, key),
            _ => false,
        };
        let mut guilty = steps.clone();
        if let FaultKind::UnknownKey { key, .. } = &fault.kind {
            guilty.push(Step::Key(key.clone()));
        }
        if !missing_by_us {
            // An unknown key stands on its own line, but the place of its table is what is known.
            let (place, _) = self.tree.locate(&steps);
            let (_, line) = self.tree.locate(&guilty);
            let problem = Problem::new(place, fault.to_string());
            self.problems.push(Problem { line, ..problem });
        }
        if let (FaultKind::MissingKey(key), Some(table)) = (&fault.kind, table)
            && self.let_stand_in(table, &steps, key)
        {
            return Some(());
        }
        let is_new = self.struck.add(self.tree.node(&guilty)?);
        (is_new && !guilty.is_empty()).then_some(())
    }

    /// Lets something stand in for `key` of `table`, which is at `steps`; false where nothing can.
    fn let_stand_in(&mut self, table: &Node<'_>, steps: &[Step], key: &'static str) -> bool {
        let Some(stand_in) = StandIn::of(steps, key, self.stand_ins) else {
            return false;
        };
        self.stand_ins += 1;
        if let (Some(name), Some(Step::Item(index))) = (stand_in.name(), steps.last()) {
            self.names.push((name.to_owned(), *index));
        }
        self.struck.add_stand_in(table, stand_in)
    }

    /// Whether `table` lacks `key` only because it, or a slip for it, was struck out.
    fn has_struck(&self, table: &Node<'_>, key: &str) -> bool {
        let Some(table) = table.get_ref().as_table() else {
            return false;
        };
        let mut struck = table.iter().filter(|(_, node)| self.struck.has(node));
        struck.any(|(found, _)| wording::is_near(found.get_ref(), key))
    }

    /// Adds what is wrong between the values of services that were read.
    pub(super) fn check(&mut self, topology: &Topology) {
        for problem in check(topology) {
            self.add(problem);
        }
    }

    /// Adds the names in services that were read and are not among `names`.
    pub(super) fn check_names(&mut self, topology: &Topology, names: &Names) {
        for problem in check_names(topology, names) {
            self.add(problem);
        }
    }

    /// Adds what is wrong between the settings that were read.
    pub(super) fn check_settings(&mut self, settings: &Settings) {
        for problem in settings::check::check(settings) {
            self.add(problem);
        }
    }

    /// Adds what was found in what was read, unless it is only a consequence.
    fn add(&mut self, problem: Problem) {
        let steps = self.tree.whole_steps(problem.place.steps(), &self.struck);
        if self.is_consequence(&steps) {
            return;
        }
        let (place, line) = self.tree.locate(&steps);
        let mut message = problem.message;
        for (name, index) in &self.names {
            // Where others are called by name, one whose name is not known is called by its number.
            message = message.replace(&format!(" {name}"), &format!("[{index}]"));
        }
        self.problems.push(Problem {
            place,
            line,
            message,
        });
    }

    /// Whether what was found at `steps` can come from what was struck out.
    ///
    /// What is there twice, or wrong in itself, is so whatever was struck out. Only a lack can
    /// come from that: of items in a list, of the group, the certificate or the program that a name means.
    fn is_consequence(&self, steps: &[Step]) -> bool {
        let Some((last, table)) = steps.split_last() else {
            return false;
        };
        let key = match last {
            Step::Key(key) => key.as_str(),
            // Of a service itself it is only said that it has no group.
            Step::Item(_) => return table.len() == 1 && self.lacks_parts(steps, "group"),
        };
        match (table.first().unwrap_or(last), key) {
            (Step::Key(part), "listen") if part == "service" => self.lacks_parts(table, key),
            (Step::Key(part), "listen") if part == "admin" => {
                self.lacks_parts(table, key) || self.lacks_parts(table, "certificate")
            }
            (_, "active") => self.lacks_parts(table, "group") || self.lacks_group_name(table),
            (_, "backends" | "services" | "brokers" | "allowed_senders") => {
                self.lacks_parts(table, key)
            }
            (_, "certificate" | "ca") => self.lacks_entries("certificates"),
            (_, "program") => self.lacks_entries("programs"),
            // What is said between the keys of a directory can come from any of them.
            _ => is_directory(table) && self.lacks_any(table),
        }
    }

    /// Whether `key` of the table at `steps`, a slip for it, or an item of it was struck out, or
    /// something stands in for it.
    fn lacks_parts(&self, steps: &[Step], key: &str) -> bool {
        let Some(table) = self.tree.node(steps) else {
            return false;
        };
        let value = table.get_ref().get(key);
        let items = value.and_then(|value| value.get_ref().as_array());
        let mut items = items.into_iter().flatten();
        self.has_struck(table, key)
            || self.struck.stand_in(table, key).is_some()
            || items.any(|item| self.struck.has(item))
    }

    /// Whether any key of the table at `steps`, or an item of one, was struck out.
    fn lacks_any(&self, steps: &[Step]) -> bool {
        let table = self
            .tree
            .node(steps)
            .and_then(|node| node.get_ref().as_table());
        let mut keys = table.into_iter().flat_map(|table| table.keys());
        keys.any(|key| self.lacks_parts(steps, key.get_ref()))
    }

    /// Whether the name of a group of the service at `steps` is not known.
    fn lacks_group_name(&self, steps: &[Step]) -> bool {
        let service = self.tree.node(steps).map(|node| node.get_ref());
        let groups = service.and_then(|service| service.get("group")?.get_ref().as_array());
        let mut groups = groups.into_iter().flatten();
        groups.any(|group| self.struck.stand_in(group, "name").is_some())
    }

    /// Whether the table `key` of the file, or an entry of it, was struck out.
    fn lacks_entries(&self, key: &str) -> bool {
        let root = &self.tree.root;
        let all = root.get_ref().get(key);
        let entries = all.and_then(|all| all.get_ref().as_table());
        let mut entries = entries.into_iter().flat_map(|table| table.values());
        self.has_struck(root, key) || entries.any(|entry| self.struck.has(entry))
    }

    /// Adds that there is no service in the file, or that there are two places for them.
    pub(super) fn check_services_are_once(&mut self) {
        let root = self.tree.root.get_ref();
        let message = match (root.get("service"), root.get("services_file")) {
            (None, None) if self.has_struck(&self.tree.root, "service") => return,
            (None, None) => "no [[service]]: nothing to balance",
            (Some(_), Some(_)) => "services stand here and in `services_file`; one must go",
            (None, Some(_)) | (Some(_), None) => return,
        };
        let key = Step::Key("service".to_owned());
        let (place, line) = match root.get("service") {
            Some(_) => self.tree.locate(&[key]),
            None => (Place::root(), None),
        };
        let problem = Problem::new(place, message);
        self.problems.push(Problem { line, ..problem });
    }
}

/// Whether these steps lead to `[auth.ldap]`.
fn is_directory(steps: &[Step]) -> bool {
    matches!(steps, [Step::Key(auth), Step::Key(ldap)] if auth == "auth" && ldap == "ldap")
}
