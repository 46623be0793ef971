//! How this node looks at the certificates of directories.
//! It must not open a connection, and never let a certificate pass that it cannot check.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Why no certificate could be checked.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read, or is not PEM.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, rustls::pki_types::pem::Error),
    /// There is nobody to trust in the file.
    #[error("{}: there is no certificate in it that could vouch for others", .0.display())]
    Empty(PathBuf),
    /// The system trusts nobody.
    #[error("the system has no certificate authorities; name your own in `ca_file`")]
    System,
    /// The TLS library refuses.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// TLS 1.2 or 1.3 to servers for whom one of the authorities in `ca_file` (PEM) vouches, or,
/// without one, one that the system trusts. Names and addresses are checked.
///
/// # Errors
/// When there is no authority to trust. Reads files, so it blocks.
pub fn client(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TrustError> {
    let roots = match ca_file {
        Some(path) => private(path)?,
        None => system()?,
    };
    let provider = Arc::new(ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}

fn private(path: &Path) -> Result<RootCertStore, TrustError> {
    let error = |error| TrustError::File(path.to_owned(), error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(error)? {
        roots.add(certificate.map_err(error)?)?;
    }
    if roots.is_empty() {
        return Err(TrustError::Empty(path.to_owned()));
    }
    Ok(roots)
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
        let empty = client(Some(&path)).unwrap_err();
        assert!(matches!(&empty, TrustError::Empty(file) if *file == path));
        std::fs::remove_file(&path).unwrap();
        let missing = client(Some(&path)).unwrap_err();
        assert!(missing.to_string().contains("pointsman-ca"), "{missing}");
    }
}
