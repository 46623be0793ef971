//! The file: edited by hand while the node runs and while it does not, broken, and in two parts.
//! It must not be about what commands do to it; `changes` is.

use std::{fs, os::unix::fs::symlink, path::Path};

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::Signal,
};
use serde_json::{Value, json};

use crate::{
    config, eventually, hosts,
    node::{Node, user},
    settings,
    support::service,
};

fn weight(host: &str, weight: u16) -> Value {
    json!({"command": "set-weight", "host": host, "weight": weight})
}

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// What is said of something in the place of the file, and what puts it there.
type Pit = (&'static str, fn(&Path));

const W1: &str = "name = \"w1\"";

#[tokio::test]
async fn a_hand_edit_is_taken_in_by_reload_and_by_a_hangup_as_the_work_of_the_file() {
    let node = Node::start(&config(&hosts())).await;
    node.edit(W1, "name = \"w1\"\nweight = 5");
    let answer = node.done(json!({"command": "reload", "reason": "by hand"}));
    assert_eq!(answer["revision"], 2);
    assert_eq!(answer["diff"], json!(["~ web/blue/w1 weight: 1 → 5"]));
    node.edit("weight = 5", "weight = 6");
    node.signal(Signal::HUP);
    eventually!(node.revision() == 3);
    let history = node.history();
    let told = |key: &str| {
        history
            .iter()
            .map(|one| one[key].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(told("author"), ["file", "file", "file"]);
    assert_eq!(told("door"), ["file", "socket", "file"]);
    assert_eq!(history[1]["reason"], "by hand");
    assert_eq!(
        node.told("config.changed").last().unwrap()["author"],
        "file"
    );
    assert_eq!(node.shown()[0]["group"][0]["host"][0]["weight"], 6);
    node.done(weight("web/blue/w1", 7));
    assert!(node.file().contains("weight = 7"), "{}", node.file());
}

#[tokio::test]
async fn a_change_over_a_door_never_overwrites_a_hand_edit() {
    let node = Node::start(&config(&hosts())).await;
    node.edit(W1, "name = \"w1\" # ada: do not touch");
    let edited = node.file();
    let (code, message) = node.refused(weight("web/blue/w2", 9));
    assert_eq!(code, "conflict");
    assert!(message.contains("reload"), "{message}");
    assert_eq!((node.file(), node.revision()), (edited, 1));
    node.done(json!({"command": "reload"}));
    node.done(weight("web/blue/w2", 9));
    assert!(node.file().contains("# ada: do not touch"));
    assert!(node.leftovers().is_empty(), "{:?}", node.leftovers());
}

#[tokio::test]
async fn a_broken_file_at_reload_is_reported_as_a_whole_and_what_runs_goes_on() {
    let node = Node::start(&config(&hosts())).await;
    let before = node.shown();
    node.edit(W1, "name = \"w1\"\nweight = 999\ncolour = \"red\"");
    let broken = node.file();
    let (code, message) = node.refused(json!({"command": "reload"}));
    assert_eq!(code, "invalid");
    for wanted in ["toml:14", "999", "toml:15", "colour"] {
        assert!(message.contains(wanted), "{wanted}: {message}");
    }
    node.signal(Signal::HUP);
    eventually!(node.log().contains("not reloaded"));
    assert_eq!(
        (node.shown(), node.revision(), node.file()),
        (before, 1, broken)
    );
    assert_eq!(node.refused(weight("web/blue/w1", 2)).0, "conflict");
}

#[tokio::test]
async fn with_a_broken_file_at_start_the_last_good_revision_runs() {
    let people = settings("[auth]") + &user("root", "role = \"admin\"");
    let services = service("web", &["127.0.0.1:0"], &hosts(), "");
    for breaking in ["weight = 999", "weight = = 1", "weight = ["] {
        let mut node = Node::start(&(people.clone() + &services)).await;
        let token = node.login("root");
        let command = weight("web/blue/w1", 4);
        let (status, _) = node.post("/v1/commands", Some(&token), &command);
        assert_eq!(status, 200);
        let before = node.shown();
        node.down().await;
        node.edit("weight = 4", breaking);
        let broken = node.file();
        node.up().await;
        assert_eq!((node.shown(), node.revision()), (before, 2));
        assert!(node.log().contains("last good revision"), "{}", node.log());
        assert!(node.log().contains("toml:2"), "{}", node.log());
        let denied = node.refused(command.clone()).0;
        assert_eq!(denied, "denied", "people are who they were");
        let (status, _) = node.post("/v1/commands", Some(&token), &weight("web/blue/w1", 5));
        assert_eq!((status, node.file()), (409, broken));
        node.edit(breaking, "weight = 8");
        let (status, answer) =
            node.post("/v1/commands", Some(&token), &json!({"command": "reload"}));
        assert_eq!((status, &answer["revision"]), (200, &json!(3)), "{answer}");
    }
}

#[tokio::test]
async fn a_file_that_never_passed_runs_nothing() {
    let mut node = Node::prepare(&config(&hosts()).replace(W1, "nom = \"w1\""));
    node.spawn();
    assert_eq!(node.ended().await, Some(4));
    assert!(node.log().contains("nom"), "{}", node.log());
}

#[tokio::test]
async fn what_was_edited_while_the_node_was_down_is_a_revision_of_the_file() {
    let mut node = Node::start(&config(&hosts())).await;
    node.done(weight("web/blue/w2", 3));
    node.down().await;
    node.edit("weight = 3", "weight = 4");
    node.up().await;
    let newest = &node.history()[0];
    assert_eq!(
        (&newest["revision"], &newest["author"], &newest["door"]),
        (&json!(3), &json!("file"), &json!("file"))
    );
    assert_eq!(newest["diff"], json!(["~ web/blue/w2 weight: 3 → 4"]));
    node.done(json!({"command": "rollback", "revision": 2}));
    assert!(node.file().contains("weight = 3"));
}

#[tokio::test]
async fn comments_make_no_revision_and_are_kept_by_what_comes_after() {
    let mut node = Node::start(&config(&hosts())).await;
    node.edit(W1, "# one\nname = \"w1\"");
    let answer = node.done(json!({"command": "reload"}));
    assert_eq!(answer["revision"], 1);
    node.done(weight("web/blue/w1", 3));
    node.down().await;
    node.edit("# one", "# one\n# two");
    node.up().await;
    assert_eq!(node.revision(), 2);
    node.done(weight("web/blue/w1", 4));
    assert!(
        node.file().contains("# one\n# two\nname"),
        "{}",
        node.file()
    );
    assert_eq!(node.revision(), 3);
}

#[tokio::test]
async fn with_a_file_of_their_own_for_services_the_settings_are_never_written() {
    let settings = format!("services_file = \"services.toml\"\n{}", settings(""));
    let mut node = Node::prepare(&settings);
    let services = node.folder.join("services.toml");
    fs::write(&services, service("web", &["127.0.0.1:0"], &hosts(), "")).unwrap();
    let mut only_read = fs::metadata(node.folder.join("pointsman.toml"))
        .unwrap()
        .permissions();
    only_read.set_readonly(true);
    fs::set_permissions(node.folder.join("pointsman.toml"), only_read).unwrap();
    node.up().await;
    node.done(weight("web/blue/w1", 3));
    node.done(json!({"command": "remove-host", "host": "web/blue/w2"}));
    let text = fs::read_to_string(&services).unwrap();
    assert!(
        text.contains("weight = 3") && !text.contains("w2"),
        "{text}"
    );
    assert_eq!(node.file(), settings);
    fs::write(&services, text.replace("weight = 3", "weight = 9")).unwrap();
    assert_eq!(node.refused(weight("web/blue/w1", 4)).0, "conflict");
    assert_eq!(node.done(json!({"command": "reload"}))["revision"], 4);
    node.down().await;
    node.up().await;
    assert_eq!(node.revision(), 4);
    assert_eq!(node.file(), settings);
}

#[tokio::test]
async fn what_takes_the_place_of_the_file_and_is_none_is_said_and_waited_for_by_nobody() {
    let node = Node::start(&config(&hosts())).await;
    node.done(weight("web/blue/w1", 3));
    let path = node.folder.join("pointsman.toml");
    let aside = node.folder.join("aside.toml");
    fs::rename(&path, &aside).unwrap();
    let pits: [Pit; 5] = [
        ("no ordinary file", pipe),
        ("is a directory", |path| fs::create_dir(path).unwrap()),
        ("no such file", |path| symlink("nowhere", path).unwrap()),
        ("no ordinary file", |path| {
            symlink("/dev/zero", path).unwrap()
        }),
        ("symbolic links", |path| symlink(path, path).unwrap()),
    ];
    for (says, dig) in pits {
        dig(&path);
        for command in [
            weight("web/blue/w1", 4),
            json!({"command": "reload"}),
            json!({"command": "diff"}),
        ] {
            let (code, message) = node.refused(command.clone());
            assert_eq!(code, "failed", "{command}: {message}");
            assert!(message.contains(says), "{command}: {message}");
        }
        assert_eq!(node.shown()[0]["group"][0]["host"][0]["weight"], 3);
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
    }
    fs::rename(&aside, &path).unwrap();
    node.done(weight("web/blue/w1", 5));
    assert_eq!(node.revision(), 3);
    assert!(node.leftovers().is_empty(), "{:?}", node.leftovers());
}
