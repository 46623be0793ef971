//! Files replaced, kept, and left alone.

use std::{
    os::unix::fs::{PermissionsExt, symlink},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;
use crate::config::parse;

const TEXT: &str = "# ours\nservice = []\n";
const OTHER: &str = include_str!("../../../tests/data/edit/commented.toml");

/// A directory of its own, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pointsman-store-{}-{number}", process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        let place = Self(path);
        fs::write(place.file(), TEXT).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        self.0.join("pm.toml")
    }

    fn store(&self) -> Store {
        let store = Store::open(&self.file(), &self.0.join("state")).unwrap();
        store.tidy().unwrap();
        store
    }

    fn backup(&self, revision: u64) -> Option<String> {
        fs::read_to_string(self.0.join(format!("state/backups/pm.toml.{revision:08}"))).ok()
    }

    /// The names beside the file.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn other() -> Topology {
    parse(OTHER).unwrap().topology
}

#[test]
fn a_change_replaces_the_file_and_keeps_the_old_one() {
    let place = Place::new();
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o640)).unwrap();
    let store = place.store();
    let (_, digest) = store.read().unwrap();
    let mut prepared = store.prepare(Some(&digest), &other(), 7).unwrap();
    assert_eq!(fs::read_to_string(place.file()).unwrap(), TEXT);
    store.commit(&mut prepared).unwrap();
    store.commit(&mut prepared).unwrap();
    let (config, digest) = store.read().unwrap();
    assert_eq!(config.topology, other());
    assert_eq!(digest, prepared.digest());
    assert_eq!(place.backup(7).as_deref(), Some(TEXT));
    drop(prepared);
    assert_eq!(place.names(), ["pm.toml", "state"]);
    let mode = fs::metadata(place.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
}

#[test]
fn what_is_prepared_and_dropped_leaves_nothing() {
    let place = Place::new();
    let prepared = place.store().prepare(None, &other(), 1).unwrap();
    assert_eq!(place.names().len(), 3);
    drop(prepared);
    assert_eq!(place.names(), ["pm.toml", "state"]);
    assert_eq!(place.backup(1), None);
}

#[test]
fn a_file_that_was_edited_by_hand_is_left_alone() {
    let place = Place::new();
    let store = place.store();
    let (_, digest) = store.read().unwrap();
    let mut prepared = store.prepare(Some(&digest), &other(), 1).unwrap();
    fs::write(place.file(), "# mine\nservice = []\n").unwrap();
    let told = store.commit(&mut prepared).unwrap_err().to_string();
    let wanted = format!(
        "{} was edited by hand; `reload` takes in what it says now",
        place.file().display()
    );
    assert_eq!(told, wanted);
    let again = store.prepare(Some(&digest), &other(), 1);
    assert_eq!(again.unwrap_err().to_string(), wanted);
    let text = fs::read_to_string(place.file()).unwrap();
    assert_eq!(text, "# mine\nservice = []\n");
}

#[test]
fn wherever_a_commit_is_cut_off_the_file_is_the_old_or_the_new_one() {
    for steps in 0..4 {
        let place = Place::new();
        let store = place.store();
        let mut prepared = store.prepare(None, &other(), 1).unwrap();
        let backups = place.0.join("state/backups");
        if steps > 0 {
            backup::keep(&backups, &place.file(), 1).unwrap();
        }
        if steps > 1 {
            // A backup that was cut off itself.
            fs::write(backups.join("pm.toml.00000001.tmp"), "half").unwrap();
        }
        if steps > 2 {
            prepared.put_into_place().unwrap();
        }
        std::mem::forget(prepared);
        let store = place.store();
        let (config, digest) = store.read().unwrap();
        assert_eq!(place.names(), ["pm.toml", "state"]);
        let wanted = if steps > 2 {
            other()
        } else {
            Topology::default()
        };
        assert_eq!(config.topology, wanted);
        let mut again = store.prepare(Some(&digest), &other(), 1).unwrap();
        store.commit(&mut again).unwrap();
        assert_eq!(store.read().unwrap().0.topology, other());
        assert_eq!(fs::read_dir(&backups).unwrap().count(), 1, "{steps}");
    }
}

#[test]
fn a_symlink_stays_and_its_target_is_replaced() {
    let place = Place::new();
    let link = place.0.join("link.toml");
    symlink("pm.toml", &link).unwrap();
    let store = Store::open(&link, &place.0.join("state")).unwrap();
    let mut prepared = store.prepare(None, &other(), 1).unwrap();
    store.commit(&mut prepared).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(
        fs::read_to_string(place.file())
            .unwrap()
            .contains("\"web\"")
    );
    assert_eq!(place.backup(1).as_deref(), Some(TEXT));
}

#[test]
fn the_newest_fifty_backups_are_kept() {
    let place = Place::new();
    let store = place.store();
    let (mut now, mut next) = (Topology::default(), other());
    for revision in 1..=60 {
        let mut prepared = store.prepare(None, &next, revision).unwrap();
        store.commit(&mut prepared).unwrap();
        std::mem::swap(&mut now, &mut next);
    }
    let backups = fs::read_dir(place.0.join("state/backups")).unwrap();
    assert_eq!(backups.count(), backup::KEPT);
    assert!(place.backup(10).is_none() && place.backup(11).is_some());
}

#[test]
fn services_in_a_file_of_their_own_are_written_there() {
    let place = Place::new();
    let settings = "services_file = \"own.toml\"\n[node]\nname = \"lb1\"\n";
    fs::write(place.file(), settings).unwrap();
    let missing = place.store().read().unwrap_err().to_string();
    assert!(
        missing.ends_with("own.toml: there is no such file"),
        "{missing}"
    );
    fs::write(place.0.join("own.toml"), TEXT).unwrap();
    let store = place.store();
    let (config, digest) = store.read().unwrap();
    assert_eq!(config.settings.node.name.as_str(), "lb1");
    let mut prepared = store.prepare(Some(&digest), &other(), 1).unwrap();
    store.commit(&mut prepared).unwrap();
    assert_eq!(store.read().unwrap().0.topology, other());
    assert_eq!(fs::read_to_string(place.file()).unwrap(), settings);
    fs::write(place.0.join("own.toml"), "service = []\n[node]\n").unwrap();
    let told = store.read().unwrap_err().to_string();
    assert!(
        told.contains("own.toml:2: unknown key `node`; there is only `service`"),
        "{told}"
    );
}

#[test]
fn what_the_system_refuses_is_told_with_the_path_and_nothing_is_done() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let error = prepared::fill(&full, "text").unwrap_err();
    let error = StoreError::refused("write", Path::new("/etc/pm.toml"))(error);
    assert_eq!(
        error.to_string(),
        "cannot write /etc/pm.toml: no space left on device"
    );
    let place = Place::new();
    let store = place.store();
    let mut prepared = store.prepare(None, &other(), 1).unwrap();
    fs::remove_dir_all(place.0.join("state")).unwrap();
    let told = store.commit(&mut prepared).unwrap_err();
    assert!(matches!(told, StoreError::NoBackup { .. }), "{told}");
    assert_eq!(store.read().unwrap().0.topology, other());
    fs::remove_file(place.file()).unwrap();
    let told = store.prepare(None, &other(), 1).unwrap_err().to_string();
    let wanted = format!(
        "cannot read {}: there is no such file",
        place.file().display()
    );
    assert_eq!(told, wanted);
}
