//! The bytes of a file as text.
//! It must not know what the text means.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;

use super::error::ConfigError;

/// The largest file that is read, in bytes: 16 MiB.
pub const MAX_BYTES: u64 = 16 << 20;

/// Opens a file that can be read without waiting for anybody: a named pipe is none, nor a device.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Or a pipe would be open only when somebody writes to it.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = options.read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    match kind.is_file() || kind.is_dir() {
        true => Ok(file),
        false => Err(io::Error::other("it is no ordinary file")),
    }
}

/// What stands in the file at `path`.
pub(super) fn text_of(path: &Path) -> Result<String, ConfigError> {
    let mut bytes = Vec::new();
    let outcome = open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    let path = path.to_owned();
    if let Err(source) = outcome {
        return Err(ConfigError::Unreadable { path, source });
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ConfigError::TooLarge { path });
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let good = error.as_bytes().iter().take(good);
        let line = good.filter(|byte| **byte == b'\n').count() + 1;
        ConfigError::NotText { path, line }
    })
}
