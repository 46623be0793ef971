//! The settings that were good last, for a start with a file that does not pass.
//! It must not be asked while the file passes.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::config::{Settings, state_dir_of};

const NAME: &str = "settings.json";

/// Settings, and the file that said so: another file may share the state directory.
#[derive(Deserialize, Serialize)]
struct Kept {
    file: PathBuf,
    settings: Settings,
}

/// Keeps the `settings` of `file` in their state directory, for their owner's eyes only.
pub(super) fn keep(file: &Path, settings: &Settings) {
    if let Err(error) = write(file, settings) {
        tracing::warn!(%error, "the settings cannot be kept for a start without a good file");
    }
}

fn write(file: &Path, settings: &Settings) -> io::Result<()> {
    let path = settings.node.state_dir.join(NAME);
    let new = path.with_extension("new");
    let text = serde_json::to_vec_pretty(&Kept {
        file: fs::canonicalize(file)?,
        settings: settings.clone(),
    })?;
    // Left over where the mode could be another.
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(new, path)
}

/// Those that were good when `file` last was, as far as it still says where they are.
pub(super) fn find(file: &Path) -> Option<Settings> {
    let text = fs::read_to_string(state_dir_of(file)?.join(NAME)).ok()?;
    let kept: Kept = serde_json::from_str(&text).ok()?;
    (kept.file == fs::canonicalize(file).ok()?).then_some(kept.settings)
}
