//! The settings of the programs that may be run, which services can only name.
//! It must not run one, nor look whether it is there.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::period::Period;

/// A program that may be run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its file, and its arguments.
    pub command: CommandLine,
    /// How long it may take; who runs it may allow it less.
    #[serde(default = "timeout")]
    pub timeout: Period,
}

const fn timeout() -> Period {
    Period::from_secs(5)
}

/// The file of a program, by its absolute path, and its arguments. No shell reads them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct CommandLine(Vec<String>);

impl CommandLine {
    /// The file.
    pub fn file(&self) -> PathBuf {
        self.0.first().map(PathBuf::from).unwrap_or_default()
    }

    /// The arguments.
    pub fn arguments(&self) -> &[String] {
        self.0.get(1..).unwrap_or_default()
    }
}

impl TryFrom<Vec<String>> for CommandLine {
    type Error = String;

    fn try_from(command: Vec<String>) -> Result<Self, String> {
        let Some(file) = command.first() else {
            return Err("a command has at least the path of a program".to_owned());
        };
        if !Path::new(file).is_absolute() {
            return Err(format!(
                "{file:?} is no absolute path; write it like \"/usr/bin/true\""
            ));
        }
        if command.iter().any(|part| part.contains('\0')) {
            return Err("nothing in a command can have a NUL character".to_owned());
        }
        Ok(Self(command))
    }
}

impl From<CommandLine> for Vec<String> {
    fn from(command: CommandLine) -> Self {
        command.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_absolute_path_with_arguments() {
        let read = |parts: &[&str]| {
            CommandLine::try_from(parts.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let command = read(&["/usr/bin/check", "--quick", "a b"]).unwrap();
        assert_eq!(command.file(), Path::new("/usr/bin/check"));
        assert_eq!(command.arguments(), ["--quick", "a b"]);
        for wrong in [&[][..], &["check"], &["./check"], &[""], &["/bin/x", "\0"]] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
