//! Another program in the place of a node's, and the process that takes over.
//! It must not know why.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::node::Node;

/// The program that is tested.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_pointsman");

/// A process that took over. It is killed when this is dropped.
pub struct Heir(pub Pid);

impl Heir {
    /// The one that an answer to `upgrade` names.
    pub fn of(answer: &Value) -> Self {
        let process = answer["data"]["process"].as_i64().unwrap();
        Self(Pid::from_raw(process as i32).unwrap())
    }

    /// It has ended; where its parent had ended before, perhaps nobody has asked how.
    pub fn has_ended(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.as_raw_nonzero()));
        stat.map_or(true, |stat| stat.contains(") Z "))
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

/// A node that is run by a program in its own folder, which can be replaced.
pub fn prepare(config: &str) -> Node {
    let mut node = Node::prepare(config);
    node.program = node.folder.join("pointsman");
    install(&node, PROGRAM);
    node
}

/// Puts `program` in the place of the one that is there.
pub fn install(node: &Node, program: &str) {
    let new = node.folder.join("pointsman.new");
    let _ = fs::remove_file(&new);
    symlink(program, &new).unwrap();
    fs::rename(&new, &node.program).unwrap();
}

/// The same for one that breaks at a step of the hand-over.
pub fn install_broken(node: &Node, step: &str) {
    let script = node.folder.join("broken");
    let text = format!("#!/bin/sh\nPOINTSMAN_FAULT=upgrade:{step} exec {PROGRAM} \"$@\"\n");
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    install(node, script.to_str().unwrap());
}

/// Upgrades, and gives the process that runs then.
pub async fn upgrade(node: &Node) -> (Heir, Value) {
    let answer = node.done(json!({"command": "upgrade", "reason": "a newer one"}));
    let heir = Heir::of(&answer);
    assert!(!heir.has_ended());
    (heir, answer)
}
