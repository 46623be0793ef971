//! `pointsman pubkey`: the public key of a node, for those who log in over the bus.
//! It must not make a key that the node could not use.

use std::{fs, io::ErrorKind, os::unix::fs::MetadataExt, path::Path};

use rustix::process::geteuid;

use super::{Exit, complain, complain_of_config, say};
use crate::{
    config::read,
    doors::stomp::{key_file, seal::NodeKey},
};

/// Prints the public key of the node that `file` describes. The key is made where there is none,
/// so that it can be handed out before the node first starts.
pub(super) fn run(file: &Path) -> Exit {
    let config = match read(file) {
        Ok(config) => config,
        Err(error) => {
            complain_of_config(&error);
            return Exit::Invalid;
        }
    };
    let state_dir = &config.settings.node.state_dir;
    if let Err(why) = check_owner(state_dir) {
        complain(&why);
        return Exit::Denied;
    }
    match key_file::key(state_dir, key_file::NODE) {
        Ok(key) => {
            say(&NodeKey::new(&key).public());
            Exit::Done
        }
        Err(error) => {
            complain(&error);
            Exit::Failed
        }
    }
}

/// Whether what is made in `state_dir` would be the node's.
fn check_owner(state_dir: &Path) -> Result<(), String> {
    match fs::metadata(state_dir) {
        Ok(metadata) if metadata.uid() != geteuid().as_raw() => Err(format!(
            "{} belongs to the user with the id {}; run this as that user",
            state_dir.display(),
            metadata.uid()
        )),
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(format!("cannot look into {}: {error}", state_dir.display()))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}
