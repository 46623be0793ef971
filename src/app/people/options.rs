//! What the settings say of people, as those who keep logins take it.
//! It must not decide anything that the settings leave open.

use secrecy::SecretString;

use super::directories::{Directories, build};
use crate::{
    auth::{
        Trial,
        backends::{Backend, Fallback},
        local::User,
        login::{Logins, Options},
        rules::{Matcher, Rights, Rule},
    },
    config::{self, LoginDoor, Settings},
    model::{
        error::CommandError,
        principal::{Door, Role, Scope},
    },
};

/// Says whether the people of these settings can be let in, without touching what the settings
/// name: secrets, certificates, directories.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn check(settings: &Settings) -> Result<(), CommandError> {
    let nobody = config::Auth::default();
    let auth = settings.auth.as_ref().unwrap_or(&nobody);
    let local = Options {
        backends: vec![Backend::Local],
        fallback: Fallback::None,
        ..options(auth)
    };
    Logins::prepare(local).map(drop)
}

/// A log-in to be tried as these settings have it. Fetches secrets and reads certificates.
///
/// # Errors
/// `invalid`, with everything that is wrong.
pub(crate) fn trial(settings: &Settings) -> Result<Trial, CommandError> {
    Trial::new(&complete(settings)?)
}

/// All of it, with the directories: their secrets are fetched and their certificates read.
///
/// # Errors
/// `invalid`, with everything that is wrong.
pub(super) fn complete(settings: &Settings) -> Result<Options, CommandError> {
    let nobody = config::Auth::default();
    let auth = settings.auth.as_ref().unwrap_or(&nobody);
    let Directories { all, again } = build(auth, settings.node.name.as_str())?;
    Ok(Options {
        directories: all,
        ask_again: again,
        ..options(auth)
    })
}

/// All of it but the directories.
fn options(auth: &config::Auth) -> Options {
    Options {
        backends: auth.backends.iter().map(backend).collect(),
        fallback: match auth.fallback {
            config::Fallback::None => Fallback::None,
            config::Fallback::Next => Fallback::Next,
            config::Fallback::LocalBreakGlass => Fallback::LocalBreakGlass,
        },
        break_glass_doors: auth.break_glass_doors.iter().map(door).collect(),
        login_ttl: auth.login_ttl.duration(),
        recheck: auth.recheck.duration(),
        trust: auth.radius.as_ref().map_or_else(
            || Options::default().trust,
            |radius| radius.trust.duration(),
        ),
        users: auth.users.iter().map(user).collect(),
        rules: auth.rules.iter().filter_map(rule).collect(),
        ..Options::default()
    }
}

fn backend(backend: &config::Backend) -> Backend {
    match backend {
        config::Backend::Ldap => Backend::Ldap,
        config::Backend::Radius => Backend::Radius,
        config::Backend::Local => Backend::Local,
    }
}

fn door(door: &LoginDoor) -> Door {
    match door {
        LoginDoor::Socket => Door::Socket,
        LoginDoor::Http => Door::Http,
    }
}

fn rights(role: Role, services: &Scope) -> Rights {
    Rights {
        role,
        services: services.clone(),
    }
}

fn user(user: &config::User) -> User {
    User {
        name: user.name.as_str().to_owned(),
        password_hash: SecretString::from(user.password_hash.as_str().to_owned()),
        rights: user.role.map(|role| rights(role, &user.services)),
    }
}

/// `None` for a rule about nobody, which no settings that passed have.
fn rule(rule: &config::Rule) -> Option<Rule> {
    let user = rule.user.as_ref();
    let user = user.map(|user| Matcher::User(user.as_str().to_owned()));
    let group = || rule.group.clone().map(Matcher::Group);
    let value = || rule.radius.as_ref();
    let radius = || value().map(|value| Matcher::Radius(value.as_str().to_owned()));
    Some(Rule {
        matcher: user.or_else(group).or_else(radius)?,
        rights: rights(rule.role, &rule.services),
    })
}
