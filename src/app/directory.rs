//! What the settings say of a directory, as the one who asks it takes it.
//! It must not ask it.

use crate::{
    auth::{
        ldap::{self, GroupSearch, Lookup, Options, Protection, Server, Service},
        tls,
    },
    config::{Ldap, LdapFilter, Nested},
};

/// How people and groups are found where the settings leave it open.
const USER_FILTER: &str = "(uid={user})";
const GROUP_FILTER: &str = "(|(member={dn})(memberUid={user}))";

/// The directory that `settings` describe, with its secret fetched and its authorities read.
/// Blocks for files.
///
/// # Errors
/// Everything that is wrong, each in a sentence.
pub fn ldap(settings: &Ldap) -> Result<Options, Vec<String>> {
    let mut problems = Vec::new();
    let mut note = |what: &str, error: &dyn ToString| {
        problems.push(format!("auth.ldap.{what}: {}", error.to_string()));
    };
    let tls = tls::client(settings.ca_file.as_deref(), None);
    let tls = tls.map_err(|error| note("ca_file", &error)).ok();
    let secret = settings.bind_password.as_ref().map(|secret| secret.fetch());
    let secret = secret.transpose();
    let secret = secret.map_err(|error| note("bind_password", &error)).ok();
    let lookup = lookup(settings)
        .map_err(|error| note("user_filter", &error))
        .ok();
    let groups = groups(settings)
        .map_err(|error| note("group_filter", &error))
        .ok();
    match (tls, secret, lookup, groups) {
        (Some(tls), Some(secret), Some(lookup), Some(groups)) => Ok(Options {
            servers: servers(settings),
            tls,
            service: settings
                .bind_dn
                .clone()
                .zip(secret)
                .map(|(dn, password)| Service { dn, password }),
            lookup,
            groups,
            timeout: settings.timeout.duration(),
        }),
        _ => Err(problems),
    }
}

fn servers(settings: &Ldap) -> Vec<Server> {
    let protection = |tls: bool| match (tls, settings.start_tls, settings.insecure) {
        (true, _, _) => Protection::Tls,
        (false, true, _) => Protection::StartTls,
        (false, false, false) => Protection::LoopbackOnly,
        (false, false, true) => Protection::None,
    };
    let server = |url: &crate::config::LdapUrl| Server {
        host: url.host().to_owned(),
        port: url.port(),
        protection: protection(url.tls()),
    };
    settings.urls.iter().map(server).collect()
}

fn lookup(settings: &Ldap) -> Result<Lookup, String> {
    if let Some(template) = &settings.bind_template {
        return Ok(Lookup::Template(template.template().clone()));
    }
    Ok(Lookup::Search {
        base: settings.user_base.clone().unwrap_or_default(),
        filter: filter(settings.user_filter.as_ref(), USER_FILTER)?,
    })
}

fn groups(settings: &Ldap) -> Result<Option<GroupSearch>, String> {
    let Some(base) = settings.group_base.clone() else {
        return Ok(None);
    };
    Ok(Some(GroupSearch {
        base,
        filter: filter(settings.group_filter.as_ref(), GROUP_FILTER)?,
        nested: match settings.nested {
            Nested::Off => ldap::Nested::Off,
            Nested::Expand => ldap::Nested::Expand,
            Nested::Chain => ldap::Nested::Chain,
        },
    }))
}

fn filter(
    set: Option<&LdapFilter>,
    usual: &str,
) -> Result<crate::model::template::Template, String> {
    match set {
        Some(filter) => Ok(filter.template().clone()),
        None => LdapFilter::try_from(usual.to_owned()).map(|filter| filter.template().clone()),
    }
}
