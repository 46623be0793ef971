//! Keys in files: made once, read at each start, for their owner's eyes only.
//! It must not use a key that somebody else could have read or written.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::key::Key;

/// The folder of the keys in the state directory.
pub const FOLDER: &str = "keys";
/// The node's X25519 key, which opens sealed log-ins.
pub const NODE: &str = "node.x25519";
/// The key that encrypts those of logins in the journal.
pub const LOGINS: &str = "logins.chacha20poly1305";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or made.
    #[error("cannot use the key {}: {source}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may have read it.
    #[error(
        "the key {} may be used by others than its owner: its mode is {mode:o}, not 600",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is somebody else's.
    #[error("the key {} belongs to another user than the one this runs as", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It is something else.
    #[error("{} is no key: it does not have 32 bytes", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
}

/// The key `name` in the state directory; made where there is none yet.
///
/// # Errors
/// Why it cannot be used.
pub fn key(state_dir: &Path, name: &str) -> Result<Key, KeyFileError> {
    let folder = state_dir.join(FOLDER);
    let path = folder.join(name);
    let unusable = |source| KeyFileError::Unusable {
        path: path.clone(),
        source,
    };
    match File::open(&path) {
        Ok(file) => read(&path, file),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(&folder, &path).map_err(unusable)?;
            // Of two that start at once, one key is made, and both read it.
            read(&path, File::open(&path).map_err(unusable)?)
        }
        Err(error) => Err(unusable(error)),
    }
}

fn read(path: &Path, file: File) -> Result<Key, KeyFileError> {
    let path = path.to_owned();
    let unusable = |source| KeyFileError::Unusable {
        path: path.clone(),
        source,
    };
    let metadata = file.metadata().map_err(unusable)?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Open { path, mode });
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(KeyFileError::Foreign { path });
    }
    let mut bytes = Vec::new();
    file.take(33).read_to_end(&mut bytes).map_err(unusable)?;
    match bytes.try_into() {
        Ok(bytes) => Ok(Key::new(bytes)),
        Err(_) => Err(KeyFileError::NoKey { path }),
    }
}

/// A key is there as a whole or not at all, also after a crash.
fn make(folder: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(Key::random().bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&new, path);
    fs::remove_file(&new)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => File::open(folder)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owners() {
        let dir = std::env::temp_dir().join(format!("pointsman-keys-{}", std::process::id()));
        let first = key(&dir, NODE).unwrap();
        assert_eq!(key(&dir, NODE).unwrap().bytes(), first.bytes());
        assert_ne!(key(&dir, LOGINS).unwrap().bytes(), first.bytes());
        let path = dir.join(FOLDER).join(NODE);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(&dir.join(FOLDER))), (0o600, 0o700));
        assert_eq!(fs::read_dir(dir.join(FOLDER)).unwrap().count(), 2);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let told = key(&dir, NODE).unwrap_err().to_string();
        assert!(told.ends_with("its mode is 640, not 600"), "{told}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, [1; 31]).unwrap();
        assert!(matches!(key(&dir, NODE), Err(KeyFileError::NoKey { .. })));
        fs::write(&path, [1; 33]).unwrap();
        assert!(matches!(key(&dir, NODE), Err(KeyFileError::NoKey { .. })));
        fs::remove_dir_all(&dir).unwrap();
    }
}
