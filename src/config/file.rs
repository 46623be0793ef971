//! The file: read as a whole, with everything that is wrong in it.
//! It must not write, and must not judge values by itself; the types and the model's check do.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use toml::de::DeTable;

use super::{
    error::ConfigError,
    reading::Reading,
    settings::{AdminDoor, Auth, Bus, Certificate, Metrics, Node, Program, Settings},
    text::text_of,
    tree::Tree,
    wording,
};
use crate::model::{
    check::Names,
    name::Name,
    problem::{Place, Problem},
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
    node: Node,
    #[serde(default, rename = "service")]
    services: Vec<Service>,
    #[serde(default)]
    auth: Option<Auth>,
    #[serde(default)]
    bus: Option<Bus>,
    #[serde(default)]
    admin: AdminDoor,
    #[serde(default)]
    metrics: Option<Metrics>,
    #[serde(default)]
    certificates: BTreeMap<Name, Certificate>,
    #[serde(default)]
    programs: BTreeMap<Name, Program>,
}

impl From<Document> for Config {
    fn from(document: Document) -> Self {
        Self {
            settings: Settings {
                services_file: document.services_file,
                node: document.node,
                auth: document.auth,
                bus: document.bus,
                admin: document.admin,
                metrics: document.metrics,
                certificates: document.certificates,
                programs: document.programs,
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
        // Where the settings cannot be read, nobody knows which names they give.
        let names = config.as_ref().ok().map(|config| config.settings.names());
        parse_services(&text, names).map_err(|problems| problems_in(&services, problems))
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
    Some(named.map_or_else(|| Node::default().state_dir, PathBuf::from))
}

/// Reads the text of a file. That of a `services_file` that it may name is not looked for.
///
/// # Errors
///
/// Everything that is wrong, by line, up to [`MAX_PROBLEMS`]; of what is not even TOML only the
/// first.
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    parse_as::<Document>(text, |settings| Some(settings.names()))
}

/// Reads the text of a file that has services and nothing else; `names` are those that they may
/// use, where that is known.
pub(super) fn parse_services(text: &str, names: Option<Names>) -> Result<Topology, Vec<Problem>> {
    parse_as::<Topology>(text, |_| names).map(|config| config.topology)
}

/// Reads `text`, whose services may use the `names` that go with its settings.
fn parse_as<D: DeserializeOwned + Into<Config>>(
    text: &str,
    names: impl FnOnce(&Settings) -> Option<Names>,
) -> Result<Config, Vec<Problem>> {
    let tree = Tree::parse(text).map_err(|(message, line)| {
        let line = Some(line);
        let problem = Problem::new(Place::root(), wording::bounded(&message));
        vec![Problem { line, ..problem }]
    })?;
    let mut reading = Reading::of(&tree);
    let config = reading.read_on::<D>().map(Into::<Config>::into);
    if let Some(config) = &config {
        reading.check(&config.topology);
        reading.check_settings(&config.settings);
        if let Some(names) = names(&config.settings) {
            reading.check_names(&config.topology, &names);
        }
    }
    reading.check_services_are_once();
    match (config, reading.into_problems()) {
        (Some(config), problems) if problems.is_empty() => Ok(config),
        (_, mut problems) => {
            // Stable: what stands on one line stays in the order in which it was found.
            problems.sort_by_key(|problem| problem.line);
            problems.truncate(MAX_PROBLEMS);
            Err(problems)
        }
    }
}

#[cfg(test)]
mod tests;
