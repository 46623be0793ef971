//! The file: read as a whole, with everything that is wrong in it.
//! It must not write, and must not judge values by itself; the types and the model's check do.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use toml::de::{DeTable, DeValue};

use super::{
    error::ConfigError,
    reader::{Fault, FaultKind, Reader},
    settings::{self, AdminDoor, Auth, Certificate, Node as NodeSettings, Settings},
    text::text_of,
    tree::{Node, Struck, Tree},
    wording,
};
use crate::model::{
    check::check,
    name::Name,
    problem::{Place, Problem, Step},
    topology::{Service, Topology},
};

/// How many problems of one file are looked for.
pub const MAX_PROBLEMS: usize = 100;

/// What a file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What people write about the node.
    pub settings: Settings,
    /// The services.
    pub topology: Topology,
}

/// The keys of the file itself. Flattening [`Settings`] and [`Topology`] into one would let
/// unknown keys through.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    services_file: Option<PathBuf>,
    #[serde(default)]
    node: NodeSettings,
    #[serde(default, rename = "service")]
    services: Vec<Service>,
    #[serde(default)]
    auth: Option<Auth>,
    #[serde(default)]
    admin: AdminDoor,
    #[serde(default)]
    certificates: BTreeMap<Name, Certificate>,
}

impl From<Document> for Config {
    fn from(document: Document) -> Self {
        Self {
            settings: Settings {
                services_file: document.services_file,
                node: document.node,
                auth: document.auth,
                admin: document.admin,
                certificates: document.certificates,
            },
            topology: Topology {
                services: document.services,
            },
        }
    }
}

impl From<Topology> for Config {
    fn from(topology: Topology) -> Self {
        Self {
            settings: Settings::default(),
            topology,
        }
    }
}

/// Reads the file at `path`, and the one that it names for the services if it does.
///
/// # Errors
///
/// When one cannot be read, is no text or too large, or when anything in them is wrong.
pub fn read(path: impl AsRef<Path>) -> Result<Config, ConfigError> {
    let path = path.as_ref();
    let text = text_of(path)?;
    read_with(path, &text, text_of)
}

/// Reads `text`, which stands in the file at `path`, and what `text_of` has of the services' file.
pub(super) fn read_with(
    path: &Path,
    text: &str,
    text_of: impl FnOnce(&Path) -> Result<String, ConfigError>,
) -> Result<Config, ConfigError> {
    let problems_in = |path: &Path, problems| ConfigError::Problems {
        path: path.to_owned(),
        problems,
    };
    let config = parse(text).map_err(|problems| problems_in(path, problems));
    let Some(services) = services_file(path, text) else {
        return config;
    };
    let topology = text_of(&services).and_then(|text| {
        parse_services(&text).map_err(|problems| problems_in(&services, problems))
    });
    match (config, topology) {
        (Ok(config), Ok(topology)) => Ok(Config { topology, ..config }),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(one), Err(other)) => Err(ConfigError::Both(Box::new(one), Box::new(other))),
    }
}

/// The file that `text`, which stands in the file at `path`, names for the services, however
/// wrong the rest of it is.
pub(super) fn services_file(path: &Path, text: &str) -> Option<PathBuf> {
    let tree = Tree::parse(text).ok()?;
    let file = tree.root.get_ref().get("services_file")?;
    let directory = path.parent().unwrap_or(Path::new(""));
    Some(directory.join(file.get_ref().as_str()?))
}

/// The state directory of the file at `path`, however wrong the rest of it is; `None` where it
/// cannot be read at all.
pub fn state_dir_of(path: &Path) -> Option<PathBuf> {
    let text = text_of(path).ok()?;
    let (table, _) = DeTable::parse_recoverable(&text);
    let node = table.get_ref().get("node");
    let named = node.and_then(|node| node.get_ref().get("state_dir"));
    let named = named.and_then(|named| named.get_ref().as_str());
    Some(named.map_or_else(|| NodeSettings::default().state_dir, PathBuf::from))
}

/// Reads the text of a file. That of a `services_file` that it may name is not looked for.
///
/// # Errors
///
/// Everything that is wrong, by line, up to [`MAX_PROBLEMS`]; of what is not even TOML only the
/// first.
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    parse_as::<Document>(text)
}

/// Reads the text of a file that has services and nothing else.
pub(super) fn parse_services(text: &str) -> Result<Topology, Vec<Problem>> {
    parse_as::<Topology>(text).map(|config| config.topology)
}

fn parse_as<D: DeserializeOwned + Into<Config>>(text: &str) -> Result<Config, Vec<Problem>> {
    let tree = Tree::parse(text).map_err(|(message, line)| {
        let line = Some(line);
        let problem = Problem::new(Place::root(), wording::bounded(&message));
        vec![Problem { line, ..problem }]
    })?;
    let mut reading = Reading {
        tree: &tree,
        struck: Struck::default(),
        problems: Vec::new(),
    };
    let config = reading.read_on::<D>();
    if let Some(config) = &config {
        reading.check(&config.topology);
        reading.check_settings(&config.settings);
    }
    reading.check_services_are_once();
    match (config, reading.problems) {
        (Some(config), problems) if problems.is_empty() => Ok(config),
        (_, mut problems) => {
            // Stable: what stands on one line stays in the order in which it was found.
            problems.sort_by_key(|problem| problem.line);
            problems.truncate(MAX_PROBLEMS);
            Err(problems)
        }
    }
}

/// A file being read: at each fault its node is reported and struck out, and reading starts over.
struct Reading<'t, 'i> {
    tree: &'t Tree<'i>,
    struck: Struck,
    problems: Vec<Problem>,
}

impl Reading<'_, '_> {
    /// What is left of the file when all that cannot be read is struck out; `None` when that is
    /// the root, or there was no end of problems.
    fn read_on<D: DeserializeOwned + Into<Config>>(&mut self) -> Option<Config> {
        while self.problems.len() < MAX_PROBLEMS {
            let reader = Reader {
                node: &self.tree.root,
                struck: &self.struck,
            };
            match D::deserialize(reader) {
                Ok(document) => return Some(document.into()),
                Err(fault) => self.take_out(&fault)?,
            }
        }
        None
    }

    /// Reports `fault` and strikes out its node; `None` if nothing is left to be struck out, so
    /// that reading ends with the last node at the latest.
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
        let is_new = self.struck.add(self.tree.node(&guilty)?);
        (is_new && !guilty.is_empty()).then_some(())
    }

    /// Whether `table` lacks `key` only because it, or a slip for it, was struck out.
    fn has_struck(&self, table: &Node<'_>, key: &str) -> bool {
        let Some(table) = table.get_ref().as_table() else {
            return false;
        };
        let mut struck = table.iter().filter(|(_, node)| self.struck.has(node));
        struck.any(|(found, _)| wording::is_near(found.get_ref(), key))
    }

    /// Adds what is wrong between the values that were read.
    ///
    /// What is there twice, or wrong in itself, is so whatever was struck out. Only a lack (of a
    /// group, of an address) can come from that, and lacks are reported at a service or at a key
    /// of it. So those are kept back where a part of that service is struck out.
    fn check(&mut self, topology: &Topology) {
        for problem in check(topology) {
            let steps = self.tree.whole_steps(problem.place.steps(), &self.struck);
            if let Some((service, [] | [_])) = steps.split_at_checked(2)
                && self.lacks_parts(service)
            {
                continue;
            }
            let (place, line) = self.tree.locate(&steps);
            let message = problem.message;
            self.problems.push(Problem {
                place,
                line,
                message,
            });
        }
    }

    /// Adds what is wrong between the settings that were read. A certificate may be lacking only
    /// because it was struck out.
    fn check_settings(&mut self, settings: &Settings) {
        for problem in settings::check::check(settings) {
            let steps = self.tree.whole_steps(problem.place.steps(), &self.struck);
            let of_certificate = steps.last() == Some(&Step::Key("certificate".to_owned()));
            if of_certificate && self.lacks_certificates() {
                continue;
            }
            let (place, line) = self.tree.locate(&steps);
            let message = problem.message;
            self.problems.push(Problem {
                place,
                line,
                message,
            });
        }
    }

    fn lacks_certificates(&self) -> bool {
        let Some(all) = self.tree.root.get_ref().get("certificates") else {
            return false;
        };
        let entries = all.get_ref().as_table();
        let mut entries = entries.into_iter().flat_map(|table| table.values());
        self.struck.has(all) || entries.any(|entry| self.struck.has(entry))
    }

    /// Adds that there is no service in the file, or that there are two places for them.
    fn check_services_are_once(&mut self) {
        let root = self.tree.root.get_ref();
        let message = match (root.get("service"), root.get("services_file")) {
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

    /// Whether a key of this service, or an item of one of its lists, is struck out.
    fn lacks_parts(&self, service: &[Step]) -> bool {
        let service = self.tree.node(service).map(|node| node.get_ref());
        let Some(DeValue::Table(table)) = service else {
            return false;
        };
        table.values().any(|value| {
            let items = value.get_ref().as_array();
            let mut items = items.into_iter().flatten();
            self.struck.has(value) || items.any(|item| self.struck.has(item))
        })
    }
}

#[cfg(test)]
mod tests;
