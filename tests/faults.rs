//! A node whose disk, directory or journal does not play along: it says so in a sentence, leaves
//! nothing half done, goes on with what it has, and changes again once it can.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[path = "support/admin.rs"]
mod admin;
#[path = "support/running.rs"]
mod running;
#[path = "support/mod.rs"]
mod support;

use std::{
    fs,
    net::SocketAddr,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use admin::Admin;
use running::{Dir, Node};
use rustix::process::{Pid, Resource, Rlimit, geteuid, prlimit};
use serde_json::{Value, json};
use support::{echo, exchange, soon};
use tokio::net::TcpStream;

/// An account without any rights.
const NOBODY: u32 = 65534;

fn config(state: &str, hosts: &[SocketAddr]) -> String {
    let service = support::service("web", &["127.0.0.1:0"], hosts, "");
    format!("[node]\nstate_dir = \"{state}\"\nthreads = 1\n\n{service}")
}

/// Skips a test that the machine cannot run; where it has to, that is a failure.
fn cannot(why: &str) {
    let required = std::env::var_os("REQUIRE_REAL").is_some_and(|value| value == "1");
    assert!(!required, "REQUIRE_REAL is set: {why}");
    eprintln!("skipped: {why}");
}

/// Starts it, and returns with what it ended and complained. Its file is as before.
async fn refused(node: &mut Node) -> (Option<i32>, String) {
    let before = fs::read_to_string(&node.file).unwrap();
    let said = node.said().len();
    node.start(None);
    eventually!(node.ended().is_some());
    let code = node.ended().unwrap().code();
    assert_eq!(fs::read_to_string(&node.file).unwrap(), before);
    let complaint = node.said()[said..].to_owned();
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(complaint.starts_with("pointsman: "), "{complaint}");
    (code, complaint)
}

/// Gives the first host another weight; returns the error, if any.
async fn weigh(admin: &mut Admin, weight: u32) -> Option<(String, String)> {
    let command = json!({"command": "set-weight", "host": "web/blue/w1", "weight": weight});
    let answer = admin.ask(&command).await.unwrap();
    let error = &answer["error"];
    let text = |key: &str| error[key].as_str().unwrap().to_owned();
    (answer["ok"] == false).then(|| (text("code"), text("message")))
}

/// The weight that the first host is to have, which is the one that it has.
async fn weight(admin: &mut Admin) -> Value {
    let shown = admin.data(json!({"command": "show"})).await;
    let wanted = &shown["services"][0]["group"][0]["host"][0]["weight"];
    let status = admin.data(json!({"command": "status"})).await;
    let runs = &status["services"][0]["groups"][0]["hosts"][0]["weight"];
    assert_eq!(runs, wanted, "what runs is not what is wanted");
    wanted.clone()
}

/// A connection through the node.
async fn through(admin: &mut Admin) -> TcpStream {
    let status = admin.data(json!({"command": "status"})).await;
    let address = status["services"][0]["listen"][0].as_str().unwrap();
    let mut client = soon(TcpStream::connect(address)).await.unwrap();
    assert_eq!(exchange(&mut client, b"hello").await.unwrap(), b"hello");
    client
}

/// No gap in the revisions, and the file says what runs.
async fn is_whole(node: &Node, admin: &mut Admin) {
    let history = admin.data(json!({"command": "history"})).await;
    let revisions = history["revisions"].as_array().unwrap();
    let numbers = revisions
        .iter()
        .rev()
        .map(|one| one["revision"].as_u64().unwrap());
    assert!(numbers.eq(1..=revisions.len() as u64), "{revisions:?}");
    let answer = admin.ask(&json!({"command": "diff"})).await.unwrap();
    assert!(answer["ok"] == true && answer["diff"].is_null(), "{answer}");
    for entry in fs::read_dir(node.file.parent().unwrap()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with("tmp"), "{name} is left");
    }
}

/// What goes on while nothing can be changed, and that changes are made again once `mend` has
/// been called. `code` is how they are refused.
async fn goes_on(
    node: &mut Node,
    code: &str,
    says: &str,
    break_it: impl Fn(),
    mend: impl FnOnce(),
) {
    let mut admin = node.ready().await;
    assert_eq!(weigh(&mut admin, 2).await, None);
    let mut session = through(&mut admin).await;
    let text = fs::read_to_string(&node.file).unwrap();
    for tried in 3..6 {
        // Again each time: what was given up may have left room.
        break_it();
        let error = weigh(&mut admin, tried).await;
        let (answered, message) = error.unwrap_or_else(|| panic!("{tried} was taken"));
        assert_eq!(answered, code, "{message}");
        assert!(message.contains(says), "{message}");
    }
    assert_eq!(weight(&mut admin).await, 2);
    assert_eq!(fs::read_to_string(&node.file).unwrap(), text);
    assert_eq!(exchange(&mut session, b"still").await.unwrap(), b"still");
    through(&mut admin).await;
    let diff = admin.ask(&json!({"command": "diff"})).await.unwrap();
    assert!(diff["ok"] == true && diff["diff"].is_null(), "{diff}");
    mend();
    eventually!(weigh(&mut admin, 7).await.is_none());
    assert_eq!(weight(&mut admin).await, 7);
    is_whole(node, &mut admin).await;
    // And it starts again on what is there.
    node.kill();
    node.start(None);
    let mut admin = node.ready().await;
    assert_eq!(weight(&mut admin).await, 7);
    is_whole(node, &mut admin).await;
}

/// A small file system of its own; gone when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(at);
        let done = geteuid().is_root() && mount.status().is_ok_and(|status| status.success());
        if !done {
            cannot("a file system can only be mounted by root, where that is allowed");
        }
        done.then(|| Self(at.to_owned()))
    }

    fn fill(&self) {
        let ballast = vec![0; 4096];
        let mut file = fs::OpenOptions::new();
        let file = file.create(true).append(true).open(self.0.join("ballast"));
        let mut file = file.unwrap();
        while std::io::Write::write_all(&mut file, &ballast).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn with_the_disk_of_the_journal_full_changes_are_unavailable_and_all_else_goes_on() {
    let dir = Dir::new();
    let Some(disk) = Small::mount(&dir.0.join("state")) else {
        return;
    };
    let mut node = Node::new(&dir.0, &config("state", &[echo().await]));
    node.start(None);
    let (fill, empty) = (|| disk.fill(), || disk.empty());
    goes_on(&mut node, "unavailable", "full", fill, empty).await;
    node.kill();
}

#[tokio::test]
async fn with_the_disk_of_the_file_full_changes_fail_and_all_else_goes_on() {
    let dir = Dir::new();
    let Some(disk) = Small::mount(&dir.0.join("etc")) else {
        return;
    };
    let state = Dir::new();
    let text = config(state.0.join("state").to_str().unwrap(), &[echo().await]);
    let mut node = Node::new(&disk.0, &text);
    (node.state, node.log) = (state.0.join("state"), dir.0.join("log"));
    node.start(None);
    let (fill, empty) = (|| disk.fill(), || disk.empty());
    goes_on(&mut node, "failed", "no space left", fill, empty).await;
    node.kill();
}

#[tokio::test]
async fn with_a_full_disk_it_starts_on_the_journal_that_it_has_and_not_without_one() {
    let dir = Dir::new();
    let Some(disk) = Small::mount(&dir.0.join("state")) else {
        return;
    };
    let mut node = Node::new(&dir.0, &config("state", &[echo().await]));
    disk.fill();
    let (code, complaint) = refused(&mut node).await;
    assert_eq!(code, Some(1));
    assert!(
        complaint.contains("full") || complaint.contains("space"),
        "{complaint}"
    );
    disk.empty();
    node.start(None);
    let mut admin = node.ready().await;
    assert_eq!(weigh(&mut admin, 2).await, None);
    node.kill();
    disk.fill();
    node.start(None);
    let mut admin = node.ready().await;
    assert_eq!(weight(&mut admin).await, 2);
    through(&mut admin).await;
    // What was in the log is in the journal now, and has left room.
    disk.fill();
    assert_eq!(weigh(&mut admin, 3).await.unwrap().0, "unavailable");
    disk.empty();
    eventually!(weigh(&mut admin, 4).await.is_none());
    is_whole(&node, &mut admin).await;
    node.kill();
}

#[tokio::test]
async fn where_files_may_not_grow_changes_are_refused_until_they_may() {
    let dir = Dir::new();
    let mut node = Node::new(&dir.0, &config("state", &[echo().await]));
    let plain = node.command();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    command
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(&dir.0);
    node.start_as(command);
    let id = Pid::from_raw(node.id().cast_signed()).unwrap();
    let limit = |bytes| {
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(id), Resource::Fsize, limit).unwrap();
    };
    goes_on(
        &mut node,
        "unavailable",
        "journal",
        || limit(Some(1024)),
        || limit(None),
    )
    .await;
}

#[tokio::test]
async fn where_the_directory_of_the_file_may_not_be_written_changes_fail_until_it_may() {
    if !geteuid().is_root() {
        return cannot("only root can start it as somebody else");
    }
    let dir = Dir::under(&std::env::temp_dir());
    let program = dir.0.join("pointsman");
    fs::copy(env!("CARGO_BIN_EXE_pointsman"), &program).unwrap();
    let state = dir.0.join("lib");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(NOBODY), Some(NOBODY)).unwrap();
    let etc = dir.0.join("etc");
    fs::create_dir(&etc).unwrap();
    let text = config(state.join("state").to_str().unwrap(), &[echo().await]);
    let mut node = Node::new(&etc, &text);
    (node.state, node.log) = (state.join("state"), dir.0.join("log"));
    let start = |node: &mut Node| {
        let mut command = Command::new(&program);
        command
            .arg("run")
            .arg(&node.file)
            .current_dir(&etc)
            .uid(NOBODY)
            .gid(NOBODY);
        node.start_as(command);
    };
    let allow = |mode| fs::set_permissions(&etc, fs::Permissions::from_mode(mode)).unwrap();
    start(&mut node);
    let mut admin = node.ready().await;
    let (code, message) = weigh(&mut admin, 2).await.unwrap();
    assert_eq!(code, "failed", "{message}");
    assert!(
        message.contains("permission denied") && message.contains("etc"),
        "{message}"
    );
    through(&mut admin).await;
    is_whole(&node, &mut admin).await;
    allow(0o777);
    assert_eq!(weigh(&mut admin, 3).await, None);
    is_whole(&node, &mut admin).await;
    allow(0o755);
    assert_eq!(weigh(&mut admin, 4).await.unwrap().0, "failed");
    assert_eq!(weight(&mut admin).await, 3);
    node.kill();
    start(&mut node);
    let mut admin = node.ready().await;
    assert_eq!(weight(&mut admin).await, 3);
}

#[tokio::test]
async fn a_journal_that_another_process_has_is_left_to_it() {
    let dir = Dir::new();
    let text = config("state", &[echo().await]);
    let mut first = Node::new(&dir.0, &text);
    first.start(None);
    let mut admin = first.ready().await;
    let mut second = Node::new(&dir.0, &text);
    second.log = dir.0.join("second");
    let (code, complaint) = refused(&mut second).await;
    assert_eq!(code, Some(1));
    assert!(
        complaint.ends_with("is in use by another process\n"),
        "{complaint}"
    );
    assert_eq!(weigh(&mut admin, 2).await, None);
    // Its socket is still there, too.
    assert_eq!(weigh(&mut first.ready().await, 3).await, None);
    through(&mut admin).await;
}

/// A node that has run, and what it left in its journal after `change`.
async fn with_journal(dir: &Dir, change: impl FnOnce(&Path)) -> (Node, Vec<u8>) {
    let mut node = Node::new(&dir.0, &config("state", &[echo().await]));
    node.start(None);
    let mut admin = node.ready().await;
    assert_eq!(weigh(&mut admin, 2).await, None);
    node.kill();
    let journal = node.state.join("journal.db");
    change(&journal);
    let bytes = fs::read(&journal).unwrap();
    (node, bytes)
}

/// It does not start, says `sentence`, and leaves the journal alone.
async fn is_left_alone(node: &mut Node, journal: &[u8], sentence: &str) {
    let (code, complaint) = refused(node).await;
    assert_eq!(code, Some(1), "{complaint}");
    assert!(complaint.contains(sentence), "{complaint}");
    assert!(complaint.contains("journal.db"), "{complaint}");
    let after = fs::read(node.state.join("journal.db")).unwrap();
    assert!(after == journal, "the journal was changed");
}

#[tokio::test]
async fn a_journal_from_a_newer_version_is_refused_and_left_alone() {
    let dir = Dir::new();
    let newer = |path: &Path| {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection
            .pragma_update(None, "user_version", 1000)
            .unwrap();
    };
    let (mut node, journal) = with_journal(&dir, newer).await;
    is_left_alone(
        &mut node,
        &journal,
        "is of version 1000, written by a newer",
    )
    .await;
}

#[tokio::test]
async fn a_damaged_journal_is_refused_and_left_alone() {
    let dir = Dir::new();
    let damage = |path: &Path| {
        let connection = rusqlite::Connection::open(path).unwrap();
        drop(connection);
        let mut bytes = fs::read(path).unwrap();
        // All but the first page.
        bytes[4096..].fill(0x55);
        fs::write(path, bytes).unwrap();
        let _ = fs::remove_file(path.with_extension("db-wal"));
    };
    let (mut node, journal) = with_journal(&dir, damage).await;
    is_left_alone(&mut node, &journal, "is damaged: ").await;
    let other = |path: &Path| fs::write(path, "something else\n".repeat(1000)).unwrap();
    let dir = Dir::new();
    let (mut node, journal) = with_journal(&dir, other).await;
    is_left_alone(&mut node, &journal, "is no journal of Pointsman").await;
}

#[tokio::test]
async fn a_file_where_the_state_directory_should_be_is_said() {
    let dir = Dir::new();
    let mut node = Node::new(&dir.0, &config("state", &[echo().await]));
    fs::write(&node.state, "mine").unwrap();
    let (code, complaint) = refused(&mut node).await;
    assert_eq!(code, Some(1));
    assert!(complaint.contains("cannot create state: "), "{complaint}");
    assert_eq!(fs::read_to_string(&node.state).unwrap(), "mine");
}
