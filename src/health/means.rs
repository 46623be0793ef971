//! What probes need of the settings: the programs that they may run, the certificates they trust.
//! It must not hold anything that a command may change.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use crate::model::name::Name;

/// How many programs run at once, over all probes; others wait, each within its own time.
pub const MAX_PROGRAMS: usize = 32;

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

/// What probes need of the settings. Clones share the bound on programs that run at once.
#[derive(Clone, Debug)]
pub struct Means {
    /// The programs that may be run, by name.
    pub programs: BTreeMap<Name, Program>,
    /// Files of certificates that may be trusted, as PEM, by name.
    pub authorities: BTreeMap<Name, PathBuf>,
    places: Arc<Semaphore>,
}

impl Means {
    /// With these programs and files of certificates.
    pub fn new(programs: BTreeMap<Name, Program>, authorities: BTreeMap<Name, PathBuf>) -> Self {
        Self {
            programs,
            authorities,
            places: Arc::new(Semaphore::new(MAX_PROGRAMS)),
        }
    }

    /// The places for running programs.
    pub(super) fn places(&self) -> Arc<Semaphore> {
        Arc::clone(&self.places)
    }
}

impl Default for Means {
    fn default() -> Self {
        Self::new(BTreeMap::new(), BTreeMap::new())
    }
}
