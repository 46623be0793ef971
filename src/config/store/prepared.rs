//! A new file that lies beside the one whose place it will take.
//! It must not decide what it says.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use super::{Content, StoreError, backup::remove_if_there};
use crate::config::{digest::Digest, text::text_of};

const ENDING: &str = ".pointsman-tmp";

/// A new file that lies beside the one whose place it will take. Dropping it removes it.
#[derive(Debug)]
#[must_use = "dropping it removes it"]
pub struct Prepared {
    target: PathBuf,
    temporary: PathBuf,
    /// What the file in place was when this was made.
    found: Digest,
    content: Content,
    replaced: u64,
    is_done: bool,
}

impl Prepared {
    /// Writes `text` beside `target`, for the same owner and with the same mode, and to the disk.
    pub(super) fn write(
        target: PathBuf,
        found: Digest,
        replaced: u64,
        text: &str,
        content: Content,
    ) -> Result<Self, StoreError> {
        let temporary = temporary(&target, replaced);
        let old = fs::metadata(&target).map_err(StoreError::refused("look at", &target))?;
        remove_if_there(&temporary).map_err(StoreError::refused("replace", &temporary))?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(StoreError::refused("create", &temporary))?;
        // From here on dropping this removes the file, whatever fails.
        let prepared = Self {
            target,
            temporary,
            found,
            content,
            replaced,
            is_done: false,
        };
        let path = &prepared.temporary;
        fill(&file, text).map_err(StoreError::refused("write", path))?;
        take_after(&file, &old).map_err(StoreError::refused("set the mode of", path))?;
        file.sync_all()
            .map_err(StoreError::refused("write", path))?;
        Ok(prepared)
    }

    /// What the file will be.
    pub fn digest(&self) -> Digest {
        self.content.digest
    }

    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    pub(super) fn replaced(&self) -> u64 {
        self.replaced
    }

    pub(super) fn content(&self) -> Content {
        self.content.clone()
    }

    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Whether the file in place is still that for which this was made.
    pub(super) fn check_unedited(&self) -> Result<(), StoreError> {
        let text = text_of(&self.target)?;
        if Digest::of(text.as_bytes()) == self.found {
            return Ok(());
        }
        let path = self.target.clone();
        Err(StoreError::Edited { path })
    }

    pub(super) fn put_into_place(&mut self) -> Result<(), StoreError> {
        let (from, to) = (&self.temporary, &self.target);
        fs::rename(from, to).map_err(StoreError::refused("replace", to))?;
        self.is_done = true;
        let directory = self.target.parent().unwrap_or(Path::new("/"));
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(StoreError::refused("write", directory))
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.is_done {
            // What cannot be removed now is removed when the files are opened the next time.
            let _ = remove_if_there(&self.temporary);
        }
    }
}

pub(super) fn fill(mut file: impl Write, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.flush()
}

/// Gives `file` the owner and mode of `old`, as far as we may. Where we may not give it the group,
/// nobody else's group gets the rights of that one.
fn take_after(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    let mut mode = old.mode() & 0o7777;
    if (new.uid(), new.gid()) != (old.uid(), old.gid())
        && fchown(file, Some(old.uid()), Some(old.gid())).is_err()
        && new.gid() != old.gid()
        && fchown(file, None, Some(old.gid())).is_err()
    {
        mode &= !0o070;
    }
    file.set_permissions(Permissions::from_mode(mode))
}

fn temporary(target: &Path, replaced: u64) -> PathBuf {
    let mut name = prefix(target);
    name.push(format!("{replaced:08}{ENDING}"));
    target.with_file_name(name)
}

/// `.pointsman.toml.`: the file is hidden from whoever reads all `*.toml` of a directory.
fn prefix(target: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".");
    name
}

/// Removes what a crash left beside `target`.
pub(super) fn remove_leftovers(target: &Path) -> io::Result<()> {
    leftovers(target)?
        .iter()
        .try_for_each(|path| remove_if_there(path))
}

/// What a crash left beside `target`.
pub(super) fn leftovers(target: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let prefix = prefix(target);
    for entry in fs::read_dir(target.parent().unwrap_or(Path::new("/")))? {
        let entry = entry?;
        let name = entry.file_name();
        let rest = name
            .as_encoded_bytes()
            .strip_prefix(prefix.as_encoded_bytes());
        let number = rest.and_then(|rest| rest.strip_suffix(ENDING.as_bytes()));
        if number.is_some_and(|number| number.iter().all(u8::is_ascii_digit)) {
            found.push(entry.path());
        }
    }
    Ok(found)
}
