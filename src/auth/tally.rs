//! How many log-ins there were, by who decided about them and what they came to.
//! It must not tell one person from another.

use std::collections::BTreeMap;

/// Who is said to have decided where no backend was asked.
pub(super) const NOBODY: &str = "pointsman";

/// Backend and result.
pub type Which = (&'static str, &'static str);

/// Counts log-ins. Both names are among a handful, so it does not grow.
#[derive(Debug)]
pub(super) struct Tally(BTreeMap<Which, u64>);

impl Default for Tally {
    /// What may come of asking a backend is there from the start, so that the first one is seen
    /// as a growth.
    fn default() -> Self {
        let backends = ["ldap", "radius", "local"];
        let results = ["accepted", "rejected", "unavailable"];
        let pairs = backends
            .into_iter()
            .flat_map(|backend| results.map(|result| ((backend, result), 0)));
        Self(pairs.collect())
    }
}

impl Tally {
    pub(super) fn count(&mut self, backend: &'static str, result: &'static str) {
        *self.0.entry((backend, result)).or_default() += 1;
    }

    pub(super) fn all(&self) -> BTreeMap<Which, u64> {
        self.0.clone()
    }
}
