//! Ordinary files, read without waiting for anybody and up to a bound.
//! It must not know what stands in them.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;

/// The largest file that is read, in bytes: 16 MiB.
pub const MAX_BYTES: u64 = 16 << 20;

/// Opens a file that can be read without waiting for anybody: a named pipe is none, nor a device.
///
/// # Errors
/// When the system refuses, or it is something else. A directory refuses to be read.
pub fn open(path: &Path) -> io::Result<File> {
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
///
/// # Errors
/// As [`open`]; `FileTooLarge` for one of more than [`MAX_BYTES`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn only_an_ordinary_file_of_a_bounded_size_is_read() {
        let folder = std::env::temp_dir().join(format!("pointsman-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (pipe, large) = (folder.join("pipe"), folder.join("large"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        for path in [pipe.as_path(), Path::new("/dev/zero")] {
            assert_eq!(
                read(path).unwrap_err().to_string(),
                "it is no ordinary file"
            );
        }
        assert_eq!(
            read(&folder).unwrap_err().kind(),
            io::ErrorKind::IsADirectory
        );
        let file = File::create(&large).unwrap();
        file.set_len(MAX_BYTES).unwrap();
        assert_eq!(read(&large).unwrap().len() as u64, MAX_BYTES);
        file.set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(
            read(&large).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
