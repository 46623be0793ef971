//! What probes need of the settings: the programs that they may run, the certificates they trust.
//! It must not hold anything that a command may change.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::model::name::Name;

/// A program that probes may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The file, by its absolute path.
    pub file: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How long it may take; a probe may allow it less.
    pub timeout: Duration,
}

/// What probes need of the settings.
#[derive(Clone, Debug, Default)]
pub struct Means {
    /// The programs that may be run, by name.
    pub programs: BTreeMap<Name, Program>,
    /// Files of certificates that may be trusted, as PEM, by name.
    pub authorities: BTreeMap<Name, PathBuf>,
}
