//! The nodes whose public keys are known: a file that people write, as ssh's `known_hosts`.
//! It must not write to it: a key is learnt from `pointsman pubkey` on the node's machine only.

use std::{
    env, fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// That of the machine, after a person's own.
const SYSTEM: &str = "/etc/pointsman/known_nodes";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum KnownError {
    /// The node is not in the files.
    #[error(
        "the key of node {0} is not known; run `pointsman pubkey` on its machine, and give it with \
         --node-key or write the line `{0} KEY` into {path}",
        path = .1.display()
    )]
    Unknown(String, PathBuf),
    /// A file cannot be read.
    #[error("cannot read {}: {}", .0.display(), .1)]
    Unreadable(PathBuf, io::Error),
}

/// The key of `node`.
pub(super) fn key(node: &str) -> Result<String, KnownError> {
    let own = own_file().unwrap_or_else(|| PathBuf::from(SYSTEM));
    for file in [own.as_path(), Path::new(SYSTEM)] {
        match fs::read_to_string(file) {
            Ok(text) => {
                if let Some(key) = find(&text, node) {
                    return Ok(key.to_owned());
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(KnownError::Unreadable(file.to_owned(), error)),
        }
    }
    Err(KnownError::Unknown(node.to_owned(), own))
}

fn own_file() -> Option<PathBuf> {
    let of = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let config = of("XDG_CONFIG_HOME").or_else(|| Some(of("HOME")?.join(".config")))?;
    Some(config.join("pointsman/known_nodes"))
}

/// Lines are `NODE KEY`; what begins with `#` is a comment. The first line of a node counts.
fn find<'a>(text: &'a str, node: &str) -> Option<&'a str> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    let mut known = lines.filter_map(|line| line.split_once(char::is_whitespace));
    known
        .find(|(name, _)| *name == node)
        .map(|(_, key)| key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_node_has_its_key() {
        let text = "# ours\n\nlb1 AAAA=\nlb10\tBBBB=  \n#lb2 CCCC=\nlb1 DDDD=\n";
        assert_eq!(find(text, "lb1"), Some("AAAA="));
        assert_eq!(find(text, "lb10"), Some("BBBB="));
        assert_eq!(find(text, "lb2"), None);
    }
}
