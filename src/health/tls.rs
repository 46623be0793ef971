//! The probe that does a TLS handshake and looks at the certificate, and TLS for other probes.
//! It must not let a certificate pass that it could not check.

use std::{fmt, future::Future, io, path::Path, pin::Pin, sync::Arc, time::Duration};

use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tokio::time::Instant;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Asked, BuildError, Means, Outcome, Probe, Target,
    connect::{Stream, connect, within},
};
use crate::{
    files,
    model::topology::{
        Days,
        probe::{TlsProbe, Trust},
    },
};

const DAY: u64 = 86_400;
/// The first second of the year 10000, before which every certificate ends (RFC 5280, section
/// 4.1.2.5), in seconds since 1970.
const AFTER_ALL: u64 = 253_402_300_800;

/// TLS as the client, with the certificates that are trusted.
#[derive(Clone)]
pub(super) struct Client {
    config: Arc<ClientConfig>,
    verifier: Arc<WebPkiServerVerifier>,
    name: Option<ServerName<'static>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// As `trust` wants it. Reads files, so it blocks.
    pub(super) fn new(trust: &Trust, means: &Means) -> Result<Self, BuildError> {
        let unusable = |error: &dyn fmt::Display| BuildError::Certificates(error.to_string());
        let name = match &trust.server_name {
            Some(name) => {
                let name = ServerName::try_from(name.as_str().to_owned());
                Some(name.map_err(|error| unusable(&error))?)
            }
            None => None,
        };
        let roots = Arc::new(match &trust.ca {
            Some(ca) => {
                let file = means.authorities.get(ca);
                let file = file.ok_or_else(|| BuildError::NoCertificates(ca.clone()))?;
                roots_in(file)?
            }
            None => roots_of_the_system()?,
        });
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .map_err(|error| unusable(&error))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            config: Arc::new(config),
            verifier,
            name,
        })
    }

    /// Whom the certificate must be for; `None` where that is no name that one could be for.
    fn name(&self, address: &Asked) -> Option<ServerName<'static>> {
        let name = self.name.clone();
        name.or_else(|| ServerName::try_from(address.server_name()).ok())
    }

    /// Does the handshake on `stream`, which leads to `address`.
    pub(super) async fn handshake(
        &self,
        stream: Box<dyn Stream>,
        address: &Asked,
        deadline: Instant,
    ) -> Result<TlsStream<Box<dyn Stream>>, Outcome> {
        let named = || {
            Outcome::failed(format!(
                "no certificate can be for {}",
                address.server_name()
            ))
        };
        let name = self.name(address).ok_or_else(named)?;
        let shown = name.to_str().into_owned();
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let late = format!("{address} did not finish the TLS handshake");
        let handshake = connector.connect(name, stream);
        let refused = |error| refusal(&error, address, &shown);
        within(deadline, &late, handshake).await?.map_err(refused)
    }

    /// For how many whole days the certificate that `stream` showed is still good.
    fn days_left(&self, stream: &TlsStream<Box<dyn Stream>>, address: &Asked) -> Option<u64> {
        let (_, connection) = stream.get_ref();
        let (leaf, others) = connection.peer_certificates()?.split_first()?;
        // Nothing is good by then, and the error says until when it was.
        let then = UnixTime::since_unix_epoch(Duration::from_secs(AFTER_ALL));
        let name = self.name(address)?;
        let error = self
            .verifier
            .verify_server_cert(leaf, others, &name, &[], then)
            .err()?;
        let end = not_after(&error)?;
        let left = end.as_secs().saturating_sub(UnixTime::now().as_secs());
        Some(left / DAY)
    }
}

/// When the certificate that `error` complains of ended.
fn not_after(error: &rustls::Error) -> Option<UnixTime> {
    if let rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
        not_after, ..
    }) = error
    {
        Some(*not_after)
    } else {
        None
    }
}

/// The outcome for a handshake that ended with `error`; `name` is whom the certificate must be for.
fn refusal(error: &io::Error, address: &Asked, name: &str) -> Outcome {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(tls) = tls else {
        return Outcome::of_error(&format!("{address} broke off the TLS handshake"), error);
    };
    let what = if let rustls::Error::InvalidCertificate(wrong) = tls {
        fault(wrong, name)
    } else {
        None
    };
    let what = what.unwrap_or_else(|| format!("the TLS handshake with {address} failed: {tls}"));
    Outcome::failed(what)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's own words do for what is rare"
)]
fn fault(wrong: &CertificateError, name: &str) -> Option<String> {
    match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some("the certificate has ended".to_owned())
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some(format!("the certificate is not for {name}"))
        }
        CertificateError::UnknownIssuer => {
            Some("nobody who is trusted vouches for the certificate".to_owned())
        }
        _ => None,
    }
}

fn roots_in(file: &Path) -> Result<RootCertStore, BuildError> {
    let unusable = |what: String| BuildError::Certificates(format!("{}: {what}", file.display()));
    let mut roots = RootCertStore::empty();
    let bytes = files::read(file).map_err(|error| unusable(error.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("there is no certificate in it".to_owned()));
    }
    Ok(roots)
}

/// Those of the system that can be read: a broken one among many is left out.
fn roots_of_the_system() -> Result<RootCertStore, BuildError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let message = "the system has none; name your own with `ca`";
        return Err(BuildError::Certificates(message.to_owned()));
    }
    Ok(roots)
}

/// Does a TLS handshake, and looks at the certificate.
#[derive(Debug)]
pub(super) struct Tls {
    client: Client,
    min_days: Days,
    warn_days: Days,
}

impl Tls {
    pub(super) fn new(wanted: &TlsProbe, means: &Means) -> Result<Self, BuildError> {
        Ok(Self {
            client: Client::new(&wanted.trust, means)?,
            min_days: wanted.min_days,
            warn_days: wanted.warn_days,
        })
    }

    async fn days(&self, address: &Asked, deadline: Instant) -> Result<u64, Outcome> {
        let stream = connect(address, deadline).await?;
        let stream = self.client.handshake(stream, address, deadline).await?;
        let days = self.client.days_left(&stream, address);
        days.ok_or_else(|| Outcome::failed("the certificate does not say when it ends"))
    }

    fn judge(&self, days: u64) -> Outcome {
        let least = u64::from(self.min_days.get());
        let mut outcome = if days < least {
            Outcome::failed(format!("the certificate ends in {days} days, not {least}"))
        } else {
            Outcome::passed(format!("the certificate ends in {days} days"))
        };
        outcome.warning = days >= least && days < u64::from(self.warn_days.get());
        outcome.certificate_days = Some(u32::try_from(days).unwrap_or(u32::MAX));
        outcome
    }
}

impl Probe for Tls {
    fn ask<'a>(
        &'a self,
        _target: &'a Target,
        address: &'a Asked,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            match self.days(address, deadline).await {
                Ok(days) => self.judge(days),
                Err(outcome) => outcome,
            }
        })
    }
}
