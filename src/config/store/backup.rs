//! The files that were replaced, kept under the numbers of their revisions.
//! It must not touch the file itself.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// How many replaced files are kept.
pub(super) const KEPT: usize = 50;

/// Keeps the file at `target` in `directory` as that of `revision`.
pub(super) fn keep(directory: &Path, target: &Path, revision: u64) -> io::Result<()> {
    let mut name = prefix(target);
    name.push(format!("{revision:08}"));
    let backup = directory.join(&name);
    name.push(".tmp");
    let temporary = directory.join(name);
    remove_if_there(&temporary)?;
    // A link is complete at once and takes no room; across file systems there is none.
    if fs::hard_link(target, &temporary).is_err() {
        fs::copy(target, &temporary)?;
        File::open(&temporary)?.sync_all()?;
    }
    fs::rename(&temporary, &backup)?;
    // Renaming a file to another name of the same file does nothing.
    remove_if_there(&temporary)?;
    File::open(directory)?.sync_all()
}

/// Removes the oldest, and what a crash left.
pub(super) fn prune(directory: &Path, target: &Path) -> io::Result<()> {
    let mut backups: Vec<(u64, PathBuf)> = Vec::new();
    let prefix = prefix(target);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let rest = name
            .as_encoded_bytes()
            .strip_prefix(prefix.as_encoded_bytes());
        let Some(Ok(rest)) = rest.map(str::from_utf8) else {
            continue;
        };
        let is_number = |text: &str| text.len() >= 8 && text.bytes().all(|b| b.is_ascii_digit());
        match rest.strip_suffix(".tmp") {
            Some(number) if is_number(number) => remove_if_there(&entry.path())?,
            None if is_number(rest) => {
                backups.push((rest.parse().unwrap_or(u64::MAX), entry.path()));
            }
            Some(_) | None => {}
        }
    }
    backups.sort();
    let old = backups.len().saturating_sub(KEPT);
    for (_, path) in backups.iter().take(old) {
        remove_if_there(path)?;
    }
    Ok(())
}

/// The name of the file with a dot.
fn prefix(target: &Path) -> OsString {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name
}

pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
