//! One question to one server over TLS (RFC 6614): the same packets, in a stream.
//! It must not trust a server whose name and certificate were not checked.
//!
//! Each question has a connection of its own. Administrators log in a few times a day: a kept one
//! would mostly be one that a firewall has forgotten, and would have to be told apart from it.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    super::tls::Identity,
    answer::Answer,
    exchange::{Asking, Ignored, Silence},
    packet::MAX_PACKET,
};

/// How many answers that count for nothing are read of one connection.
const MOST_IGNORED: usize = 64;

/// Who is trusted, and what this node shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities that may vouch for the servers, as PEM.
    pub ca_file: PathBuf,
    /// What this node shows of itself.
    pub identity: Option<Identity>,
}

/// Asks the server at `address`, which must show a certificate for `name`. When the connection
/// breaks, another one is made; but while it stands, the question is not put twice, since that
/// is what TCP is for (RFC 6613, section 2.6.2), and a second one may ring a phone twice.
///
/// # Errors
/// Why there is no answer that counts.
pub(super) async fn ask(
    asking: &Asking<'_>,
    address: SocketAddr,
    name: &str,
    config: &Arc<ClientConfig>,
) -> Result<Answer, Silence> {
    let (waited, mut ignored) = (asking.window(), Ignored::default());
    let end = Instant::now() + waited;
    let mut broken = 0;
    loop {
        let stream = timeout(asking.timeout, connect(address, name, config)).await;
        let stream = stream.unwrap_or_else(|_| {
            let (waited, ignored) = (asking.timeout, Ignored::default());
            Err(Silence::Late { waited, ignored })
        })?;
        asking
            .steps
            .tell(|| match stream.get_ref().1.protocol_version() {
                Some(version) => {
                    format!("{address}: connected, {version:?}, the certificate is good")
                }
                None => format!("{address}: connected"),
            });
        match timeout_at(end, converse(asking, stream, &mut ignored)).await {
            Err(_) if ignored.legacy => return Err(Silence::Legacy),
            Err(_) => return Err(Silence::Late { waited, ignored }),
            Ok(Err(Silence::Broken(error))) if broken < asking.retries => {
                broken += 1;
                asking
                    .steps
                    .tell(|| format!("{address}: {error}; once more"));
            }
            Ok(answer) => return answer,
        }
    }
}

/// A connection to the server at `address`, whose certificate is for `name`.
pub(super) async fn connect(
    address: SocketAddr,
    name: &str,
    config: &Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, Silence> {
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| Silence::Tls(format!("{name} cannot be in a certificate")))?;
    let stream = TcpStream::connect(address).await?;
    let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    let unsafe_with = |error: io::Error| Silence::Tls(error.to_string());
    stream.await.map_err(unsafe_with)
}

async fn converse(
    asking: &Asking<'_>,
    mut stream: TlsStream<TcpStream>,
    ignored: &mut Ignored,
) -> Result<Answer, Silence> {
    let request = asking.request(stream.get_ref().0.local_addr()?)?;
    stream.write_all(request.bytes()).await?;
    stream.flush().await?;
    for _ in 0..MOST_IGNORED {
        let packet = read_packet(&mut stream).await?;
        match request.read(&packet) {
            Ok(answer) => return Ok(answer),
            Err(discarded) => ignored.add(discarded, asking.steps),
        }
    }
    Err(Silence::Tls(
        "it answers other questions all the time".to_owned(),
    ))
}

/// The next packet of the stream, by the length in its header. A length that no packet has is
/// the end of making sense of it.
async fn read_packet(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Silence> {
    let mut packet = vec![0; 4];
    stream.read_exact(&mut packet).await.map_err(hung_up)?;
    let length = match packet[..] {
        [_, _, high, low] => usize::from(u16::from_be_bytes([high, low])),
        _ => 0,
    };
    if !(20..=MAX_PACKET).contains(&length) {
        return Err(Silence::Tls("what it says is no RADIUS".to_owned()));
    }
    packet.resize(length, 0);
    let rest = packet.get_mut(4..).unwrap_or_default();
    stream.read_exact(rest).await.map_err(hung_up)?;
    Ok(packet)
}

fn hung_up(error: io::Error) -> Silence {
    let kind = error.kind();
    if kind == io::ErrorKind::InvalidData {
        // Of TLS: an alert, as when it wants a certificate and got none.
        return Silence::Tls(error.to_string());
    }
    if kind == io::ErrorKind::UnexpectedEof {
        return Silence::Broken(io::Error::new(kind, "it hung up before it answered"));
    }
    Silence::Broken(error)
}
