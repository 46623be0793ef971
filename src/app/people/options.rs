//! What the settings say of people, as those who keep logins take it.
//! It must not decide anything that the settings leave open.

use secrecy::SecretString;

use crate::{
    auth::{
        backends::{Backend, Fallback},
        local::User,
        login::Options,
        rules::{Matcher, Rights, Rule},
    },
    config,
    model::principal::{Role, Scope},
};

pub(super) fn options(auth: &config::Auth) -> Options {
    let backend = |backend: &config::Backend| match backend {
        config::Backend::Local => Backend::Local,
    };
    Options {
        backends: auth.backends.iter().map(backend).collect(),
        fallback: Fallback::None,
        login_ttl: auth.login_ttl.duration(),
        users: auth.users.iter().map(user).collect(),
        rules: auth.rules.iter().map(rule).collect(),
        ..Options::default()
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

fn rule(rule: &config::Rule) -> Rule {
    Rule {
        matcher: Matcher::User(rule.user.as_str().to_owned()),
        rights: rights(rule.role, &rule.services),
    }
}
