//! One directory server: where it is, and how a connection to it is opened and protected.
//! It must not log anybody in.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::TlsConnector;

use super::frame::{self, element};

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// TLS from the first byte: `ldaps://`.
    Tls,
    /// TLS after the server agreed to it: `ldap://` with StartTLS (RFC 4511 section 4.14).
    StartTls,
    /// None, which only a loopback address may do.
    LoopbackOnly,
    /// None, wherever the server is.
    None,
}

impl Protection {
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Tls => "with TLS",
            Self::StartTls => "with TLS after StartTLS",
            Self::LoopbackOnly => "in the clear, on this machine",
            Self::None => "in the clear",
        }
    }
}

/// One directory server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How connections to it are protected.
    pub protection: Protection,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protection {
            Protection::Tls => "ldaps",
            Protection::StartTls | Protection::LoopbackOnly | Protection::None => "ldap",
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

/// Whatever carries bytes.
pub(super) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Carrier for S {}

/// `StartTLS`, as message 1: an extended request with its name.
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

impl Server {
    /// Opens a connection, protected as it has to be. Has no deadline of its own.
    ///
    /// # Errors
    /// When the server cannot be reached, or not with the protection that is wanted.
    pub(super) async fn connect(&self, tls: &Arc<ClientConfig>) -> io::Result<Box<dyn Carrier>> {
        let stream = self.reach().await?;
        match self.protection {
            Protection::Tls => self.protect(stream, tls).await,
            Protection::StartTls => {
                let stream = start_tls(stream).await?;
                self.protect(stream, tls).await
            }
            Protection::LoopbackOnly | Protection::None => Ok(Box::new(stream)),
        }
    }

    async fn reach(&self) -> io::Result<TcpStream> {
        let found = lookup_host((self.host.as_str(), self.port)).await?;
        let mut addresses: Vec<SocketAddr> = found.collect();
        if self.protection == Protection::LoopbackOnly {
            addresses.retain(|address| address.ip().to_canonical().is_loopback());
            if addresses.is_empty() {
                let message = "not on this machine, and passwords would go there in the clear";
                return Err(io::Error::other(message));
            }
        }
        let stream = TcpStream::connect(addresses.as_slice()).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn protect(
        &self,
        stream: TcpStream,
        tls: &Arc<ClientConfig>,
    ) -> io::Result<Box<dyn Carrier>> {
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::clone(tls));
        let stream = connector.connect(name, stream).await?;
        Ok(Box::new(stream))
    }
}

/// Asks for TLS. What the server says until it has agreed is thrown away with its answer, so that
/// nobody in between can slip something in.
async fn start_tls(mut stream: TcpStream) -> io::Result<TcpStream> {
    stream.write_all(START_TLS).await?;
    let answer = frame::read(&mut stream).await?;
    match answer.as_deref().and_then(agreed) {
        Some(0) => Ok(stream),
        Some(code) => {
            let message = format!("the server refuses StartTLS with result code {code}");
            Err(io::Error::other(message))
        }
        None => Err(io::Error::other("the server does not answer to StartTLS")),
    }
}

/// The result code of an answer to message 1.
fn agreed(message: &[u8]) -> Option<u8> {
    let parts = element(message)?.content;
    let id = element(parts)?;
    let answer = element(id.rest)?;
    let code = element(answer.content)?;
    match (id.content, answer.tag, code.tag, code.content) {
        ([1], 0x78, 0x0a, [code]) => Some(*code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_to_start_tls_counts_as_one() {
        let answer = [0x30, 12, 2, 1, 1, 0x78, 7, 10, 1, 0, 4, 0, 4, 0];
        assert_eq!(agreed(&answer), Some(0));
        for (index, value) in [(4, 2), (5, 0x61), (7, 4)] {
            let mut other = answer;
            other[index] = value;
            assert_eq!(agreed(&other), None, "{index}");
        }
        let mut refusal = answer;
        refusal[9] = 53;
        assert_eq!(agreed(&refusal), Some(53));
        assert_eq!(agreed(&answer[..8]), None);
    }

    #[test]
    fn the_request_has_the_length_that_it_says() {
        let request = element(START_TLS).unwrap();
        assert!(request.rest.is_empty());
        let operation = element(element(request.content).unwrap().rest).unwrap();
        assert!(operation.rest.is_empty());
        assert_eq!(
            element(operation.content).unwrap().content,
            b"1.3.6.1.4.1.1466.20037"
        );
    }

    #[test]
    fn a_server_is_called_as_in_its_url() {
        let server = |host: &str, protection| {
            let server = Server {
                host: host.to_owned(),
                port: 636,
                protection,
            };
            server.to_string()
        };
        assert_eq!(server("::1", Protection::Tls), "ldaps://[::1]:636");
        assert_eq!(
            server("a.example", Protection::StartTls),
            "ldap://a.example:636"
        );
    }
}
