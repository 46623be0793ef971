//! The directories that the settings describe, ready to be asked.
//! It must not ask them anything.

use std::sync::Arc;

use crate::{
    app::directory,
    auth::{
        Authenticator,
        clock::Clock,
        ldap::Ldap,
        radius::{self, Radius},
        tls::Identity,
    },
    config::{self, Backend, RecheckWith},
    model::error::CommandError,
};

/// Who is asked about people besides the settings.
#[derive(Default)]
pub(super) struct Directories {
    pub(super) all: Vec<Arc<dyn Authenticator>>,
    /// Who is asked again about those for whom RADIUS vouched.
    pub(super) again: Option<Arc<dyn Authenticator>>,
}

/// Those that `auth` uses, as `node`. Their secrets are fetched and their certificates read.
///
/// # Errors
/// `invalid`, with everything that is wrong.
pub(super) fn build(auth: &config::Auth, node: &str) -> Result<Directories, CommandError> {
    let (mut found, mut problems) = (Directories::default(), Vec::new());
    let radius = auth
        .radius
        .as_ref()
        .filter(|_| lists(auth, Backend::Radius));
    let again = radius.is_some_and(|radius| radius.recheck_with == RecheckWith::Ldap);
    let ldap = auth.ldap.as_ref();
    if let Some(ldap) = ldap.filter(|_| again || lists(auth, Backend::Ldap)) {
        match directory::ldap(ldap) {
            Ok(options) => {
                let ldap: Arc<dyn Authenticator> = Arc::new(Ldap::new(options));
                found.again = again.then(|| Arc::clone(&ldap));
                found.all.push(ldap);
            }
            Err(wrong) => problems.extend(wrong),
        }
    }
    if let Some(radius) = radius {
        match self::radius(radius, node) {
            Ok(radius) => found.all.push(Arc::new(radius)),
            Err(wrong) => problems.extend(wrong),
        }
    }
    match problems.is_empty() {
        true => Ok(found),
        false => Err(CommandError::invalid(problems.join("; "))),
    }
}

fn lists(auth: &config::Auth, backend: Backend) -> bool {
    auth.backends.contains(&backend)
}

fn radius(settings: &config::Radius, node: &str) -> Result<Radius, Vec<String>> {
    let secret = settings.secret.as_ref().map(config::Secret::fetch);
    let wrong = |error| vec![format!("auth.radius.secret: {error}")];
    let secret = secret.transpose().map_err(wrong)?;
    let server = |server: &config::RadiusServer| radius::Server {
        host: server.host().to_owned(),
        port: server.port(),
    };
    let tls = |tls: &config::RadiusTls| {
        let identity = tls.cert_file.clone().zip(tls.key_file.clone());
        let identity = identity.map(|(cert_file, key_file)| Identity {
            cert_file,
            key_file,
        });
        radius::TlsFiles {
            ca_file: tls.ca_file.clone(),
            identity,
        }
    };
    let options = radius::Options {
        servers: settings.servers.iter().map(server).collect(),
        secret,
        tls: settings.tls.as_ref().map(tls),
        method: match settings.method {
            config::RadiusMethod::Pap => radius::Method::Pap,
            config::RadiusMethod::Chap => radius::Method::Chap,
        },
        timeout: settings.timeout.duration(),
        retries: settings.retries.get(),
        require_message_authenticator: settings.require_message_authenticator,
        role_attribute: match settings.role_attribute {
            config::RoleAttribute::FilterId => radius::RoleAttribute::FilterId,
            config::RoleAttribute::Class => radius::RoleAttribute::Class,
            config::RoleAttribute::CiscoAvpair => radius::RoleAttribute::CiscoAvpair,
        },
        trust: settings.trust.duration(),
        node: node.to_owned(),
    };
    Radius::new(options, Clock::system())
}
