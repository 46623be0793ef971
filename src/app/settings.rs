//! What lives by the settings: all get ready for new ones, and then all take them in.
//! It must not know what any part does with them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use super::probing;
use crate::{
    config::Settings, control::outside::PreparedSettings, health::Means, model::error::CommandError,
};

/// Has a part live by new settings. Cannot fail; dropped instead of run, it leaves no trace.
pub(super) type Commit = Box<dyn FnOnce() + Send>;

/// A part of the node that lives by settings: does what the world can refuse, unseen.
type Part = Box<dyn FnMut(&Settings) -> Result<Commit, CommandError> + Send>;

/// The settings of the node, and what lives by them. Cheap to clone.
#[derive(Clone)]
pub(super) struct Living {
    /// Those that the node started with: what of them cannot change stays so.
    started: Arc<Settings>,
    now: Arc<Mutex<Arc<Settings>>>,
    /// What probes have from those that the node started with; all others share its bound.
    means: Means,
    parts: Arc<Mutex<Vec<Part>>>,
}

impl Living {
    /// A node with these settings; nothing lives by them yet.
    pub(super) fn new(settings: Settings) -> Self {
        let means = probing::means(&Means::default(), &settings);
        let started = Arc::new(settings);
        Self {
            now: Arc::new(Mutex::new(Arc::clone(&started))),
            started,
            means,
            parts: Arc::default(),
        }
    }

    /// From now on, `part` gets ready for each new settings, in the order in which they joined.
    pub(super) fn join(
        &self,
        part: impl FnMut(&Settings) -> Result<Commit, CommandError> + Send + 'static,
    ) {
        held(&self.parts).push(Box::new(part));
    }

    /// What the node lives by.
    pub(super) fn now(&self) -> Arc<Settings> {
        Arc::clone(&held(&self.now))
    }

    /// What probes have from the settings that the node started with.
    pub(super) fn means(&self) -> Means {
        self.means.clone()
    }

    /// Has all get ready for `next`.
    ///
    /// # Errors
    /// What the first that cannot says; nothing has changed then.
    pub(super) fn prepare(&self, mut next: Settings) -> Result<PreparedSettings, CommandError> {
        let told = told(&self.now(), &self.started, &next);
        // What takes a restart is for no part as if it had changed.
        next.node.name.clone_from(&self.started.node.name);
        next.node.state_dir.clone_from(&self.started.node.state_dir);
        next.node.threads = self.started.node.threads;
        let ready: Vec<Commit> = held(&self.parts)
            .iter_mut()
            .map(|part| part(&next))
            .collect::<Result<_, _>>()?;
        let means = probing::means(&self.means, &next);
        let now = Arc::clone(&self.now);
        let restart = told.get("restart").cloned();
        let commit = move || {
            if let Some(keys) = restart {
                tracing::warn!(%keys, "changed, which takes a restart");
            }
            *held(&now) = Arc::new(next);
            ready.into_iter().for_each(|commit| commit());
        };
        Ok(PreparedSettings {
            told,
            means,
            commit: Box::new(commit),
        })
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What of `[node]` is heeded only at the next start.
const RESTART: [&str; 3] = ["name", "state_dir", "threads"];

/// The names of what is taken in, and of what takes a restart: no values, which may be secret.
fn told(now: &Settings, started: &Settings, next: &Settings) -> Map<String, Value> {
    let changed = |before: &Settings| changed(&json!(before), &json!(next), "");
    let part = |name: &String| {
        let key = name.strip_prefix("node.");
        key.is_some_and(|key| RESTART.contains(&key))
    };
    let taken: Vec<String> = changed(now)
        .into_iter()
        .filter(|name| !part(name))
        .collect();
    let restart: Vec<String> = changed(started).into_iter().filter(part).collect();
    let lists = [("settings", taken), ("restart", restart)];
    lists
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(key, names)| (key.to_owned(), json!(names)))
        .collect()
}

/// The top-level keys that differ, and those of `[node]`.
fn changed(old: &Value, new: &Value, prefix: &str) -> Vec<String> {
    let none = Map::new();
    let old = old.as_object().unwrap_or(&none);
    let new = new.as_object().unwrap_or(&none);
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    let differ = keys
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key));
    differ
        .flat_map(|key| match (key.as_str(), old.get(key), new.get(key)) {
            ("node", Some(old), Some(new)) if prefix.is_empty() => changed(old, new, "node."),
            _ => vec![format!("{prefix}{key}")],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    fn settings(text: &str) -> Settings {
        let text = format!("service = []\n{text}");
        crate::config::parse(&text).unwrap().settings
    }

    #[test]
    fn what_changed_is_told_by_name_and_what_takes_a_restart_apart() {
        let first = settings("[node]\nname = \"a\"\nthreads = 1");
        let living = Living::new(first.clone());
        let second = settings(
            "[node]\nname = \"b\"\nthreads = 1\nevents_kept = 7\n[admin]\nsocket = \"/x\"",
        );
        let prepared = living.prepare(second.clone()).unwrap();
        let wanted = json!({"settings": ["admin", "node.events_kept"], "restart": ["node.name"]});
        assert_eq!(Value::Object(prepared.told), wanted);
        (prepared.commit)();
        assert_eq!(living.now().node.name.as_str(), "a");
        let again = living.prepare(second).unwrap();
        let told = Value::Object(again.told);
        assert_eq!(told, json!({"restart": ["node.name"]}), "it still does");
        assert!(living.prepare(first).is_ok_and(|back| back.told.len() == 1));
    }

    #[test]
    fn one_that_cannot_get_ready_keeps_all_from_taking_it_in() {
        let living = Living::new(Settings::default());
        let taken_in = Arc::new(AtomicU32::new(0));
        let refuses = Arc::new(Mutex::new(true));
        let (counter, switch) = (Arc::clone(&taken_in), Arc::clone(&refuses));
        living.join(move |_| {
            let counter = Arc::clone(&counter);
            Ok(Box::new(move || {
                counter.fetch_add(1, Relaxed);
            }))
        });
        living.join(move |_| match *held(&switch) {
            true => Err(CommandError::invalid("not this one")),
            false => Ok(Box::new(|| {})),
        });
        let next = settings("[node]\naccess_log = true");
        assert!(living.prepare(next.clone()).is_err());
        assert!(!living.now().node.access_log);
        *held(&refuses) = false;
        drop(living.prepare(next.clone()).unwrap());
        assert_eq!(taken_in.load(Relaxed), 0);
        (living.prepare(next).unwrap().commit)();
        assert_eq!(taken_in.load(Relaxed), 1);
        assert!(living.now().node.access_log);
    }
}
