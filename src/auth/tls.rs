//! How this node looks at the certificates of directories.
//! It must not open a connection, and never let a certificate pass that it cannot check.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};

use crate::files;

/// Why no certificate could be checked.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read, or is not PEM.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, pem::Error),
    /// There is no certificate in the file.
    #[error("{}: there is no certificate in it", .0.display())]
    Empty(PathBuf),
    /// The system trusts nobody.
    #[error("the system has no certificate authorities; name your own in `ca_file`")]
    System,
    /// What this node shows of itself cannot be used.
    #[error("{}: {}", .0.display(), .1)]
    Identity(PathBuf, rustls::Error),
    /// The TLS library refuses.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// What this node shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those that lead to its authority, as PEM.
    pub cert_file: PathBuf,
    /// The private key, as PEM.
    pub key_file: PathBuf,
}

/// TLS 1.2 or 1.3 to servers for whom one of the authorities in `ca_file` (PEM) vouches, or,
/// without one, one that the system trusts. Names and addresses are checked. Servers that ask who
/// this node is are shown `identity`.
///
/// # Errors
/// When there is no authority to trust, or nothing to show. Reads files, so it blocks.
pub fn client(
    ca_file: Option<&Path>,
    identity: Option<&Identity>,
) -> Result<Arc<ClientConfig>, TrustError> {
    let roots = match ca_file {
        Some(path) => private(path)?,
        None => system()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let Some(Identity {
        cert_file,
        key_file,
    }) = identity
    else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let key = files::read(key_file).map_err(pem::Error::Io);
    let key = key.and_then(|key| PrivateKeyDer::from_pem_slice(&key));
    let key = key.map_err(|error| TrustError::File(key_file.clone(), error))?;
    let config = builder.with_client_auth_cert(certificates(cert_file)?, key);
    let config = config.map_err(|error| TrustError::Identity(cert_file.clone(), error))?;
    Ok(Arc::new(config))
}

fn private(path: &Path) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let read = files::read(path).map_err(pem::Error::Io);
    let read = read.and_then(|bytes| CertificateDer::pem_slice_iter(&bytes).collect());
    let read: Vec<_> = read.map_err(|error| TrustError::File(path.to_owned(), error))?;
    if read.is_empty() {
        return Err(TrustError::Empty(path.to_owned()));
    }
    Ok(read)
}

/// Those of the system that can be read: a broken one among many is left out.
fn system() -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(TrustError::System);
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_authority_is_named() {
        let path = std::env::temp_dir().join(format!("pointsman-ca-{}", std::process::id()));
        std::fs::write(&path, "nothing").unwrap();
        let empty = client(Some(&path), None).unwrap_err();
        assert!(matches!(&empty, TrustError::Empty(file) if *file == path));
        std::fs::remove_file(&path).unwrap();
        let missing = client(Some(&path), None).unwrap_err();
        assert!(missing.to_string().contains("pointsman-ca"), "{missing}");
    }
}
