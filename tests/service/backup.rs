//! A backup of a running node, and a node that is restored from it.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::json;

use crate::{config, node::Node, support::echo};

/// Saves what `node` has; returns what `config/backup` said if it failed.
fn save(node: &Node, archive: &Path) -> Result<(), String> {
    let settings = node.folder.join("settings");
    let _ = fs::create_dir(&settings);
    fs::copy(
        node.folder.join("pointsman.toml"),
        settings.join("pointsman.toml"),
    )
    .unwrap();
    let mut backup = Command::new("config/backup");
    backup
        .arg(archive)
        .arg(node.folder.join("pointsman-state"))
        .arg(settings);
    let output = backup.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(complaint)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_taken_between_changes_has_every_change_that_was_answered() {
    let node = Arc::new(Node::start(&config(&[echo().await])).await);
    let (changing, stop) = (Arc::clone(&node), Arc::new(AtomicBool::new(false)));
    let asked = Arc::clone(&stop);
    let changes = tokio::spawn(async move {
        let mut weight = 1;
        while !asked.load(Relaxed) {
            weight = weight % 200 + 1;
            let command = json!({"command": "set-weight", "host": "web/blue/w1", "weight": weight});
            let node = Arc::clone(&changing);
            let done = tokio::task::spawn_blocking(move || node.done(command));
            done.await.unwrap();
            // So that it rests now and then.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let archive = node.folder.join("backup.tar.gz");
    for _ in 0..3 {
        let answered = node.revision();
        save(&node, &archive).unwrap();
        let mut restored = Node::prepare("");
        let mut unpack = Command::new("tar");
        unpack
            .arg("-xzf")
            .arg(&archive)
            .arg("-C")
            .arg(&restored.folder);
        assert!(unpack.status().unwrap().success());
        let folder = restored.folder.clone();
        fs::rename(folder.join("state"), folder.join("pointsman-state")).unwrap();
        fs::rename(
            folder.join("settings/pointsman.toml"),
            folder.join("pointsman.toml"),
        )
        .unwrap();
        restored.up().await;
        let (there, history) = (restored.revision(), restored.history());
        assert!(there >= answered, "{there}, and {answered} was answered");
        let numbers = history.iter().map(|one| one["revision"].as_u64().unwrap());
        let expected = (0..).map(|back| there - back).take(history.len());
        assert!(numbers.eq(expected), "{history:?}");
        restored.done(json!({"command": "set-weight", "host": "web/blue/w1", "weight": 250}));
        restored.down().await;
    }
    stop.store(true, Relaxed);
    changes.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_stopped_is_saved_too() {
    let mut node = Node::start(&config(&[echo().await])).await;
    node.done(json!({"command": "set-weight", "host": "web/blue/w1", "weight": 7}));
    node.down().await;
    save(&node, &node.folder.join("backup.tar.gz")).unwrap();
    let nowhere = Node::prepare("");
    let complaint = save(&nowhere, &nowhere.folder.join("backup.tar.gz")).unwrap_err();
    assert!(complaint.contains("pointsman-state'"), "{complaint}");
}
