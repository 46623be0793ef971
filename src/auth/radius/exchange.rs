//! One question to one server over UDP: sent again until an answer is proven or time is up.
//! It must not choose the server, nor judge what a proven answer means.

use std::{fmt, io, net::SocketAddr, time::Duration};

use secrecy::SecretString;
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};

use super::{
    super::Steps,
    answer::Answer,
    packet::{Discarded, MAX_PACKET, Question, Request, Unfit},
};

/// What is asked, and how long.
pub(super) struct Asking<'a> {
    pub(super) question: Question<'a>,
    pub(super) secret: &'a SecretString,
    pub(super) proof_required: bool,
    /// How long one transmission waits for its answer.
    pub(super) timeout: Duration,
    /// How often it is sent again.
    pub(super) retries: u32,
    pub(super) steps: &'a Steps,
}

impl Asking<'_> {
    /// How long one server has in all.
    pub(super) fn window(&self) -> Duration {
        self.timeout.saturating_mul(self.retries.saturating_add(1))
    }

    /// The request for whom can be reached from the local address `from`.
    pub(super) fn request(&self, from: SocketAddr) -> Result<Request, Silence> {
        let request = Request::new(&self.question, from.ip(), self.secret, self.proof_required);
        Ok(request?)
    }
}

/// Why there is no answer that counts.
#[derive(Debug, thiserror::Error)]
pub(super) enum Silence {
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(
        "it answers without a Message-Authenticator (RFC 2869), as servers older than \
         CVE-2024-3596 do: update it, or do without that proof by \
         require_message_authenticator = false"
    )]
    Legacy,
    #[error("{0}")]
    Broken(#[from] io::Error),
    #[error("no TLS with it: {0}")]
    Tls(String),
    #[error("no answer within {}{ignored}", humantime::format_duration(*.waited))]
    Late { waited: Duration, ignored: Ignored },
}

/// What came and did not count.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    count: u64,
    last: Option<Discarded>,
    /// It was fine but for the Message-Authenticator that it had not.
    pub(super) legacy: bool,
}

impl Ignored {
    pub(super) fn add(&mut self, discarded: Discarded, steps: &Steps) {
        steps.tell(|| format!("an answer counts for nothing: {discarded}"));
        self.count = self.count.saturating_add(1);
        self.last = Some(discarded);
        self.legacy |= discarded == Discarded::NoMessageAuthenticator;
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.count, self.last) {
            (count, Some(last)) => write!(f, "; {count} counted for nothing, the last one: {last}"),
            (_, None) => f.write_str(
                "; a server that has another secret, or does not know this node, says nothing",
            ),
        }
    }
}

/// Asks the server at `address`.
///
/// # Errors
/// Why there is no answer that counts.
pub(super) async fn ask(asking: &Asking<'_>, address: SocketAddr) -> Result<Answer, Silence> {
    let socket = connected(address).await?;
    let from = socket.local_addr()?;
    let request = asking.request(from)?;
    let mut ignored = Ignored::default();
    for sent in 0..=asking.retries {
        asking.steps.tell(|| match sent {
            0 => format!("{address}: asked from {from}"),
            _ => format!("{address}: asked again"),
        });
        socket.send(request.bytes()).await?;
        let end = Instant::now() + asking.timeout;
        let heard = timeout_at(end, listen(asking, &socket, &request, &mut ignored)).await;
        if let Ok(answer) = heard {
            return answer;
        }
        // It is there, and would go on like that.
        if ignored.legacy {
            return Err(Silence::Legacy);
        }
    }
    let waited = asking.window();
    Err(Silence::Late { waited, ignored })
}

/// A socket of its own, and thereby a port, for each question; connected, so that the kernel lets
/// nobody else answer.
pub(super) async fn connected(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket)
}

/// Waits for an answer that is proven, and passes over all others.
async fn listen(
    asking: &Asking<'_>,
    socket: &UdpSocket,
    request: &Request,
    ignored: &mut Ignored,
) -> Result<Answer, Silence> {
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match request.read(buffer.get(..length).unwrap_or_default()) {
            Ok(answer) => return Ok(answer),
            Err(discarded) => ignored.add(discarded, asking.steps),
        }
    }
}
