//! The bytes of a file as text.
//! It must not know what the text means.

use std::{io::ErrorKind, path::Path};

use super::error::ConfigError;
use crate::files;

/// What stands in the file at `path`.
pub(super) fn text_of(path: &Path) -> Result<String, ConfigError> {
    let bytes = files::read(path).map_err(|source| {
        let path = path.to_owned();
        if source.kind() == ErrorKind::FileTooLarge {
            ConfigError::TooLarge { path }
        } else {
            ConfigError::Unreadable { path, source }
        }
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let good = error.as_bytes().iter().take(good);
        let line = good.filter(|byte| **byte == b'\n').count() + 1;
        let path = path.to_owned();
        ConfigError::NotText { path, line }
    })
}
