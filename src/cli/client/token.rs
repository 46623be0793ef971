//! Where the token of a login is kept between two commands: a file for each node, for its owner's
//! eyes only.
//! It must not use a file that others could have read or written.

use std::{
    env, fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::Via;

/// The longest token, in bytes.
const LONGEST: u64 = 4096;

/// Why a token is not kept.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum TokenError {
    /// There is no folder for it.
    #[error("nowhere to keep the login: neither XDG_RUNTIME_DIR nor HOME is set")]
    Nowhere,
    /// It cannot be written.
    #[error("cannot keep the login in {0}: {1}")]
    Unwritable(PathBuf, io::Error),
}

/// Keeps the token for one node.
pub(in crate::cli) struct Keeper(Option<PathBuf>);

impl Keeper {
    pub(in crate::cli) fn new(via: &Via) -> Self {
        Self(folder().map(|folder| folder.join(file_name(via))))
    }

    /// The token, if there is one that nobody else can have touched.
    pub(in crate::cli) fn token(&self) -> Option<String> {
        let file = File::open(self.0.as_ref()?).ok()?;
        let metadata = file.metadata().ok()?;
        let own = metadata.uid() == rustix::process::geteuid().as_raw();
        if !own || metadata.mode() & 0o077 != 0 {
            return None;
        }
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text).ok()?;
        let token = text.trim();
        let sendable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        sendable.then(|| token.to_owned())
    }

    /// Keeps `token`; the one before it is replaced as a whole.
    pub(in crate::cli) fn keep(&self, token: &str) -> Result<(), TokenError> {
        let path = self.0.as_ref().ok_or(TokenError::Nowhere)?;
        write(path, token).map_err(|error| TokenError::Unwritable(path.clone(), error))
    }

    pub(in crate::cli) fn forget(&self) {
        // One that is not there is as good as removed.
        let _ = self.0.as_ref().map(fs::remove_file);
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keeper").field(&self.0).finish()
    }
}

fn write(path: &Path, token: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    // Left over by a process that had this number before.
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(token.as_bytes())?;
    fs::rename(&temporary, path)
}

/// Gone with the session of the user where the system has such a place, else in their cache.
fn folder() -> Option<PathBuf> {
    let variable = |name| env::var_os(name).map(PathBuf::from);
    let of = |name| variable(name).filter(|path| path.is_absolute());
    let runtime = of("XDG_RUNTIME_DIR").filter(|path| path.is_dir());
    let home = || of("HOME").map(|home| home.join(".cache"));
    let folder = runtime.or_else(|| of("XDG_CACHE_HOME")).or_else(home)?;
    Some(folder.join("pointsman"))
}

fn file_name(via: &Via) -> String {
    let digest = Sha256::digest(via.to_string().as_bytes());
    let hex: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}.token", hex.concat())
}
