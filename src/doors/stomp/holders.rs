//! Who holds which key: the logins that were made over the bus, each with its key and its sender.
//! It must not decide whether a login is still alive.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{key::Key, vault::Vault};

/// Under which keys the journal keeps them.
pub const KEPT: &str = "bus/";
/// How long a key outlives its login, in milliseconds: a day, as long as answers are kept, so that
/// a command that comes again can be answered.
const AFTER: u64 = 24 * 60 * 60 * 1000;
/// How many there may be; past that the one that would go first goes.
const BOUND: usize = 16_384;

/// The key of a login, and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) key: Key,
    /// The user that the broker knows them as.
    pub(super) sender: String,
}

/// As it is kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Kept {
    sender: String,
    /// Encrypted.
    key: String,
    /// Until when: milliseconds since 1970.
    until: u64,
}

/// What is to be kept under which key; `None` is to be forgotten.
pub(super) type Changes = Vec<(String, Option<Value>)>;

/// All of them.
#[derive(Debug)]
pub(super) struct Holders {
    vault: Vault,
    table: Mutex<BTreeMap<String, Kept>>,
    bound: usize,
}

impl Holders {
    /// Those that the journal has kept, under keys that begin with [`KEPT`].
    pub(super) fn new(vault: Vault, kept: Vec<(String, Value)>) -> Self {
        let kept = kept.into_iter().filter_map(|(key, value)| {
            let login = key.strip_prefix(KEPT)?.to_owned();
            Some((login, serde_json::from_value(value).ok()?))
        });
        Self {
            vault,
            table: Mutex::new(kept.collect()),
            bound: BOUND,
        }
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who has the login.
    pub(super) fn find(&self, login: &str) -> Option<Holder> {
        let kept = self.table().get(login)?.clone();
        Some(Holder {
            key: self.vault.unlock(&kept.key, login, &kept.sender)?,
            sender: kept.sender,
        })
    }

    /// Takes in a login that lasts until `expires`, and says what is to be kept; `None` when its
    /// key cannot be encrypted.
    pub(super) fn insert(
        &self,
        login: &str,
        holder: &Holder,
        expires: u64,
        now: u64,
    ) -> Option<Changes> {
        let kept = Kept {
            key: self.vault.lock(&holder.key, login, &holder.sender)?,
            sender: holder.sender.clone(),
            until: expires.saturating_add(AFTER),
        };
        let mut table = self.table();
        let mut gone: Vec<String> = table
            .extract_if(.., |_, kept| kept.until < now)
            .map(|(login, _)| login)
            .collect();
        if table.len() >= self.bound {
            let first = table.iter().min_by_key(|(_, kept)| kept.until);
            let first = first.map(|(login, _)| login.clone());
            gone.extend(first.inspect(|login| drop(table.remove(login))));
        }
        let mut changes: Changes = gone
            .into_iter()
            .map(|login| (format!("{KEPT}{login}"), None))
            .collect();
        changes.push((format!("{KEPT}{login}"), Some(json!(kept))));
        table.insert(login.to_owned(), kept);
        Some(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder() -> Holder {
        Holder {
            key: Key::random(),
            sender: "operator".to_owned(),
        }
    }

    #[test]
    fn a_holder_is_found_again_after_a_restart_and_their_key_is_not_to_be_seen() {
        let (key, holder) = (Key::random(), holder());
        let holders = Holders::new(Vault::new(&key), Vec::new());
        let changes = holders.insert("0123", &holder, 5000, 1000).unwrap();
        let text = format!("{changes:?} {holders:?}");
        assert!(!text.contains(holder.key.to_text().as_str()));
        let kept = changes
            .into_iter()
            .map(|(key, value)| (key, value.unwrap()));
        let again = Holders::new(Vault::new(&key), kept.clone().collect());
        let found = again.find("0123").unwrap();
        assert_eq!(found.key.bytes(), holder.key.bytes());
        assert_eq!(found.sender, "operator");
        assert!(again.find("0124").is_none());
        let other = Holders::new(Vault::new(&Key::random()), kept.collect());
        assert!(other.find("0123").is_none());
    }

    #[test]
    fn a_key_outlives_its_login_by_a_day_and_no_longer() {
        let holders = Holders::new(Vault::new(&Key::random()), Vec::new());
        holders.insert("old", &holder(), 5000, 1000).unwrap();
        let changes = holders.insert("new", &holder(), 9000, 5000 + AFTER);
        assert_eq!(changes.unwrap().len(), 1);
        assert!(holders.find("old").is_some());
        let changes = holders.insert("newer", &holder(), 9000, 5001 + AFTER);
        assert_eq!(changes.unwrap()[0], ("bus/old".to_owned(), None));
        assert!(holders.find("old").is_none());
    }

    #[test]
    fn there_are_never_more_than_the_bound() {
        let mut holders = Holders::new(Vault::new(&Key::random()), Vec::new());
        holders.bound = 20;
        for number in 0..30 {
            let changes = holders.insert(&number.to_string(), &holder(), number, 0);
            assert_eq!(changes.unwrap().len(), 1 + usize::from(number >= 20));
        }
        assert_eq!(holders.table().len(), 20);
        assert!(holders.find("9").is_none() && holders.find("10").is_some());
    }
}
