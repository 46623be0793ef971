//! Opens a connection to a node and speaks HTTP/1.1 on it.
//! It must not send anything before it is sure whom it has reached.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream, lookup_host},
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use super::{
    Trouble,
    via::{Place, Via},
};

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);
/// How long to wait where nobody more can wait to be let in.
const AGAIN: Duration = Duration::from_millis(20);
/// The authorities that the system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

pub(super) type Connection = SendRequest<Full<Bytes>>;

trait Bytestream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytestream for T {}

/// Connects by `via`, or by the first of the default ways on which somebody listens.
pub(super) async fn connect(
    via: Option<&Via>,
    ca_file: Option<&Path>,
) -> Result<(Via, Connection), Trouble> {
    let ways = via.map_or_else(|| Via::defaults().to_vec(), |via| vec![via.clone()]);
    let mut nobody = Vec::new();
    for via in ways {
        let opened = timeout(CONNECT, open(&via, ca_file)).await;
        let late = || io::Error::from(ErrorKind::TimedOut);
        let opened = opened.unwrap_or_else(|_| Err(Trouble::Unreachable(via.clone(), late())));
        match opened {
            Ok(stream) => return speak(via, stream).await,
            Err(Trouble::Nobody(way)) => nobody.push(way),
            Err(trouble) => return Err(trouble),
        }
    }
    Err(Trouble::Nobody(nobody.join(" or ")))
}

async fn speak(via: Via, stream: Box<dyn Bytestream>) -> Result<(Via, Connection), Trouble> {
    let spoken = handshake(TokioIo::new(stream)).await;
    let (sender, connection) =
        spoken.map_err(|error| Trouble::Broken(via.clone(), error.into()))?;
    // Its error is also that of the request that waits.
    tokio::spawn(async { drop(connection.await) });
    Ok((via, sender))
}

async fn open(via: &Via, ca_file: Option<&Path>) -> Result<Box<dyn Bytestream>, Trouble> {
    let failed = |error: io::Error| {
        let kind = error.kind();
        if matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
            Trouble::Nobody(via.to_string())
        } else if kind == ErrorKind::PermissionDenied {
            Trouble::NotAllowed(via.clone())
        } else {
            Trouble::Unreachable(via.clone(), error)
        }
    };
    Ok(match via {
        Via::Bus(_) => return Err(failed(io::Error::other("a broker speaks no HTTP"))),
        Via::Unix(path) => Box::new(dial_local(path).await.map_err(failed)?),
        Via::Http(place) => Box::new(dial(place, true).await.map_err(failed)?),
        Via::Https(place) => {
            let config = trust(ca_file.unwrap_or(Path::new(SYSTEM_AUTHORITIES)))?;
            let untrusted = |error| Trouble::Untrusted(via.clone(), error);
            let name = ServerName::try_from(place.host.clone())
                .map_err(|error| untrusted(io::Error::other(error)))?;
            let stream = dial(place, false).await.map_err(failed)?;
            let secured = TlsConnector::from(Arc::new(config)).connect(name, stream);
            Box::new(secured.await.map_err(|error| {
                // Of TLS itself; anything else is of the connection under it.
                if error.kind() == ErrorKind::InvalidData {
                    untrusted(error)
                } else {
                    failed(error)
                }
            })?)
        }
    })
}

/// Where so many wait to be let in that there is no room to wait, tries again until it is too late.
async fn dial_local(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(AGAIN).await,
            connected => return connected,
        }
    }
}

async fn dial(place: &Place, loopback_only: bool) -> io::Result<TcpStream> {
    let mut last = io::Error::other("it has no address");
    for address in lookup_host((place.host.as_str(), place.port)).await? {
        // A name of loopback that leads elsewhere is not to be believed.
        if loopback_only && !address.ip().is_loopback() {
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => {
                keep_alive(&stream)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Who follows events may hear nothing for hours, and is to notice when the other side is gone.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(30))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10))?;
    stream.set_nodelay(true)
}

fn trust(file: &Path) -> Result<ClientConfig, Trouble> {
    let wrong = |why: String| Trouble::Authorities(PathBuf::from(file), why);
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        // One that the system has and rustls does not take is not needed by anybody here.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(wrong("there is no certificate in it".to_owned()));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
