//! What TLS to a broker goes by: authorities, and our own certificate.
//! It must not connect, nor keep what it has read.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::Trust;
use crate::files;

/// The authorities that the system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Reads the files of `trust`. Blocks.
///
/// # Errors
/// Which of them is wrong, and how.
pub(super) fn read(trust: &Trust) -> Result<ClientConfig, String> {
    let ca_file = trust.ca_file.as_deref();
    let ca_file = ca_file.unwrap_or(Path::new(SYSTEM_AUTHORITIES));
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca_file)? {
        // One that the system has and rustls does not take is not needed by anybody here.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(at(ca_file, "there is no usable certificate in it"));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let Some((cert_file, key_file)) = &trust.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let key =
        PrivateKeyDer::from_pem_slice(&bytes(key_file)?).map_err(|error| at(key_file, error))?;
    let chain = certificates(cert_file)?;
    let config = builder.with_client_auth_cert(chain, key);
    config.map_err(|error| at(cert_file, error))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_slice_iter(&bytes(file)?).collect::<Result<Vec<_>, _>>();
    read.map_err(|error| at(file, error))
}

fn bytes(file: &Path) -> Result<Vec<u8>, String> {
    files::read(file).map_err(|error| at(file, error))
}

fn at(file: &Path, what: impl std::fmt::Display) -> String {
    format!("{}: {what}", file.display())
}
