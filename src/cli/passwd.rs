//! `pointsman passwd`: the hash of a password, for the configuration.
//! It must not write the password anywhere.

use argon2::{Argon2, PasswordHasher};
use secrecy::{ExposeSecret, SecretString};

use super::{Exit, ask, complain, say};

/// The longest password, in bytes: longer ones are rejected at log-in.
const LONGEST: usize = 256;

pub(super) fn run() -> Exit {
    match asked() {
        Ok(password) => hashed(&password),
        Err(error) => {
            complain(&error);
            error.exit()
        }
    }
}

/// Typed twice by a person, who cannot see it.
fn asked() -> Result<SecretString, ask::AskError> {
    loop {
        let password = ask::secret("Password: ")?;
        if !ask::is_person() {
            return Ok(password);
        }
        let again = ask::secret("Once more: ")?;
        if password.expose_secret() == again.expose_secret() {
            return Ok(password);
        }
        complain(&"these were not the same; again");
    }
}

fn hashed(password: &SecretString) -> Exit {
    let password = password.expose_secret();
    let wrong = if password.trim().is_empty() {
        Some("a password has something in it".to_owned())
    } else if password.len() > LONGEST {
        Some(format!("a password has at most {LONGEST} bytes"))
    } else if password.contains('\0') {
        Some("a password has no NUL in it".to_owned())
    } else {
        None
    };
    if let Some(wrong) = wrong {
        complain(&wrong);
        return Exit::Invalid;
    }
    match hash(password) {
        Ok(hash) => {
            say(&hash);
            Exit::Done
        }
        Err(error) => {
            complain(&format_args!("cannot hash: {error}"));
            Exit::Failed
        }
    }
}

/// As `auth.user.password_hash` takes it: argon2id with a salt from the system.
fn hash(password: &str) -> Result<String, argon2::password_hash::Error> {
    let hash = Argon2::default().hash_password(password.as_bytes())?;
    Ok(hash.to_string())
}
