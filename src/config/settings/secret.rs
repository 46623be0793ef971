//! A secret in the settings: where it is kept, and how it is fetched from there.
//! It must not stand in a message, a log or a `Debug`.

use std::{
    env, fmt,
    io::{self, Read},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::files;

/// The longest secret, in bytes.
const MAX_SECRET: usize = 64 * 1024;

/// Where a secret is: `{ file = "…" }`, `{ env = "…" }`, `{ credential = "…" }` of the service
/// manager (systemd.exec(5), `LoadCredential=`), or a plain string.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "SecretText", into = "SecretText")]
pub enum Secret {
    /// In this file.
    File(PathBuf),
    /// In this variable of the environment.
    Env(String),
    /// In the file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// Here, for everybody who may read the settings.
    Plain(Plain),
}

/// A secret that stands in the settings themselves.
#[derive(Clone, PartialEq, Eq)]
pub struct Plain(String);

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain(…)")
    }
}

/// Why a secret cannot be had. It says where it should be, and nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("{0} cannot be read: {1}")]
    File(PathBuf, io::Error),
    /// There is no such variable.
    #[error("the variable {0} is not in the environment")]
    Env(String),
    /// Nobody hands out credentials.
    #[error("the credential {0} was not handed out: $CREDENTIALS_DIRECTORY is not set")]
    Credential(String),
    /// There is nothing in it.
    #[error("the secret is empty")]
    Empty,
    /// There is too much in it.
    #[error("the secret is longer than {MAX_SECRET} bytes")]
    Long,
}

impl Secret {
    /// Fetches it. One line break at the end of a file does not count.
    ///
    /// # Errors
    /// When it cannot be had, is empty, longer than 64 KiB, or a file is not UTF-8.
    pub fn fetch(&self) -> Result<SecretString, SecretError> {
        let secret = match self {
            Self::File(path) => read(path)?,
            Self::Env(name) => {
                let value = env::var(name).map_err(|_| SecretError::Env(name.clone()))?;
                SecretString::from(value)
            }
            Self::Credential(name) => {
                let directory = env::var_os("CREDENTIALS_DIRECTORY");
                let directory = directory.ok_or_else(|| SecretError::Credential(name.clone()))?;
                read(&Path::new(&directory).join(name))?
            }
            Self::Plain(plain) => SecretString::from(plain.0.clone()),
        };
        match secret.expose_secret().len() {
            0 => Err(SecretError::Empty),
            1..=MAX_SECRET => Ok(secret),
            _ => Err(SecretError::Long),
        }
    }

    /// Whether it stands in the settings themselves, which is worth a warning.
    pub const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

fn read(path: &Path) -> Result<SecretString, SecretError> {
    let error = |error| SecretError::File(path.to_owned(), error);
    let mut text = String::new();
    // Two more than a secret may have: room for the line break.
    let most = u64::try_from(MAX_SECRET + 2).unwrap_or(u64::MAX);
    let file = files::open(path).map_err(error)?;
    file.take(most).read_to_string(&mut text).map_err(error)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(SecretString::from(text))
}

/// How [`Secret`] is written.
#[derive(Serialize)]
#[serde(untagged)]
enum SecretText {
    Plain(String),
    Table(SecretTable),
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct SecretTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

impl TryFrom<SecretText> for Secret {
    type Error = &'static str;

    fn try_from(text: SecretText) -> Result<Self, Self::Error> {
        match text {
            SecretText::Plain(text) if text.is_empty() => Err("an empty secret"),
            SecretText::Plain(text) => Ok(Self::Plain(Plain(text))),
            SecretText::Table(SecretTable {
                file,
                env,
                credential,
            }) => match (file, env, credential) {
                (Some(file), None, None) => Ok(Self::File(file)),
                (None, Some(env), None) if is_variable(&env) => Ok(Self::Env(env)),
                (None, Some(_), None) => Err("this is no name of a variable"),
                (None, None, Some(name)) if is_file_name(&name) => Ok(Self::Credential(name)),
                (None, None, Some(_)) => Err("a credential has the name of a file, without a path"),
                _ => Err("a secret is in one place: `file`, `env` or `credential`"),
            },
        }
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

impl From<Secret> for SecretText {
    fn from(secret: Secret) -> Self {
        let none = SecretTable::default();
        Self::Table(match secret {
            Secret::Plain(plain) => return Self::Plain(plain.0),
            Secret::File(file) => SecretTable {
                file: Some(file),
                ..none
            },
            Secret::Env(env) => SecretTable {
                env: Some(env),
                ..none
            },
            Secret::Credential(name) => SecretTable {
                credential: Some(name),
                ..none
            },
        })
    }
}

/// By hand, because an untagged enum would not say which key of the table is wrong.
impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = SecretText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with `file`, `env` or `credential`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretText, E> {
        Ok(SecretText::Plain(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<SecretText, A::Error> {
        SecretTable::deserialize(MapAccessDeserializer::new(table)).map(SecretText::Table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Holder {
        secret: Secret,
    }

    fn parse(value: &str) -> Result<Secret, String> {
        let holder: Result<Holder, _> = toml::from_str(&format!("secret = {value}"));
        holder
            .map(|holder| holder.secret)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_secret_is_in_one_place_and_written_as_it_was_read() {
        for (text, secret) in [
            ("{ file = \"/etc/x\" }", Secret::File("/etc/x".into())),
            ("{ env = \"X\" }", Secret::Env("X".to_owned())),
            ("{ credential = \"x\" }", Secret::Credential("x".to_owned())),
            ("\"geheim\"", Secret::Plain(Plain("geheim".to_owned()))),
        ] {
            assert_eq!(parse(text).unwrap(), secret);
            let holder = Holder { secret };
            let written: Holder = toml::from_str(&toml::to_string(&holder).unwrap()).unwrap();
            assert_eq!(written.secret, holder.secret);
        }
        for wrong in [
            "\"\"",
            "7",
            "{}",
            "{ file = \"x\", env = \"X\" }",
            "{ env = \"\" }",
            "{ credential = \"../x\" }",
            "{ credential = \"..\" }",
            "{ fil = \"x\" }",
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(!error.contains("geheim"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_plain_secret_is_in_no_debug_output() {
        let secret = parse("\"geheim\"").unwrap();
        assert!(secret.is_plain());
        assert!(!format!("{secret:?}").contains("geheim"));
    }

    #[test]
    fn a_file_is_fetched_without_its_last_line_break_and_within_bounds() {
        let path = env::temp_dir().join(format!("pointsman-secret-{}", std::process::id()));
        let secret = Secret::File(path.clone());
        let fetch = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            let fetched = secret.fetch();
            fetched.map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(fetch(b"geheim\n").unwrap(), "geheim");
        assert_eq!(fetch(b" ge heim \r\n").unwrap(), " ge heim ");
        assert_eq!(fetch(b"a\n\n").unwrap(), "a\n");
        assert!(matches!(fetch(b"\n"), Err(SecretError::Empty)));
        assert!(matches!(
            fetch(&vec![b'x'; MAX_SECRET + 1]),
            Err(SecretError::Long)
        ));
        let longest = vec![b'x'; MAX_SECRET];
        assert_eq!(fetch(&longest).unwrap().len(), MAX_SECRET);
        let error = fetch(b"geheim\xff").unwrap_err().to_string();
        assert!(
            error.contains("pointsman-secret") && !error.contains("geheim"),
            "{error}"
        );
        std::fs::remove_file(&path).unwrap();
        let error = secret.fetch().unwrap_err().to_string();
        assert!(error.contains("pointsman-secret"), "{error}");
    }

    #[test]
    fn what_is_not_in_the_environment_is_named() {
        let secret = Secret::Env("POINTSMAN_NO_SUCH_VARIABLE".to_owned());
        let error = secret.fetch().unwrap_err().to_string();
        assert!(error.contains("POINTSMAN_NO_SUCH_VARIABLE"), "{error}");
        let path = Secret::Env("PATH".to_owned()).fetch().unwrap();
        assert_eq!(path.expose_secret(), env::var("PATH").unwrap());
    }
}
