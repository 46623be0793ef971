//! The certificate of the API over TCP, read again when its files change.
//! It must not let go of a certificate that works for one that does not.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::files;

/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// A certificate with its chain and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, then those that lead to an authority.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or is not PEM.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, rustls::pki_types::pem::Error),
    /// There is no certificate in the file.
    #[error("{}: there is no certificate in it", .0.display())]
    Empty(PathBuf),
    /// Certificate and key do not go together, or are of a kind that is not known.
    #[error("{}: {}", .0.display(), .1)]
    Unusable(PathBuf, rustls::Error),
}

/// When, where and how large a file is: another one has another stamp.
type Stamp = [Option<(u64, i64, i64, u64)>; 2];

/// A certificate that follows its files.
#[derive(Debug)]
pub(super) struct Reloading {
    files: CertificateFiles,
    loaded: Mutex<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    looked: Instant,
    stamp: Stamp,
    config: Arc<ServerConfig>,
}

impl Reloading {
    pub(super) fn open(files: CertificateFiles) -> Result<Self, CertificateError> {
        // First the stamp: a change while reading then counts as a later one.
        let stamp = stamp(&files);
        let config = load(&files)?;
        let loaded = Mutex::new(Loaded {
            looked: Instant::now(),
            stamp,
            config,
        });
        Ok(Self { files, loaded })
    }

    /// What to accept the next connection with.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.looked.elapsed() >= LOOK {
            loaded.looked = Instant::now();
            let stamp = stamp(&self.files);
            if stamp != loaded.stamp {
                loaded.stamp = stamp;
                match load(&self.files) {
                    Ok(config) => {
                        tracing::info!(file = %self.files.cert_file.display(), "new certificate");
                        loaded.config = config;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the new certificate is no good; keeping the old");
                    }
                }
            }
        }
        Arc::clone(&loaded.config)
    }
}

fn stamp(files: &CertificateFiles) -> Stamp {
    let of = |path: &Path| {
        let found = fs::metadata(path).ok()?;
        Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
    };
    [of(&files.cert_file), of(&files.key_file)]
}

fn load(files: &CertificateFiles) -> Result<Arc<ServerConfig>, CertificateError> {
    let CertificateFiles {
        cert_file,
        key_file,
    } = files;
    let unread = |path: &Path, error| CertificateError::File(path.to_owned(), error);
    let text = |path: &Path| {
        files::read(path).map_err(|error| unread(path, rustls::pki_types::pem::Error::Io(error)))
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text(cert_file)?)
        .collect::<Result<_, _>>()
        .map_err(|error| unread(cert_file, error))?;
    if chain.is_empty() {
        return Err(CertificateError::Empty(cert_file.clone()));
    }
    let key = PrivateKeyDer::from_pem_slice(&text(key_file)?);
    let key = key.map_err(|error| unread(key_file, error))?;
    let unusable = |error| CertificateError::Unusable(cert_file.clone(), error);
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    Ok(Arc::new(config))
}
