//! A new connection to a broker, up to its CONNECTED.
//! It must not go on with a broker that speaks another version, or is not who it should be.

use std::{io, pin::Pin, sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use secrecy::ExposeSecret;
use stomp_rs::protocol::frame::Connect;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{
    Broker, Options, Trust,
    frame::{Decoder, Frame, Headers, Limits, ServerCommand, encode},
    trust,
};

/// Of what a broker says at a log-in, that much is kept.
const GREETING: usize = 4096;

/// TCP, or TLS over it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that stands, nothing subscribed yet.
pub(super) struct Connected {
    pub(super) stream: Box<dyn Stream>,
    /// What came behind CONNECTED already.
    pub(super) rest: Vec<u8>,
    pub(super) beats: Beats,
}

/// What both sides have agreed on; `None`: nothing is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beats {
    /// The broker is to hear from us at least that often.
    pub(super) ours: Option<Duration>,
    /// We hear from the broker at least that often.
    pub(super) theirs: Option<Duration>,
}

/// Opens a stream to a broker; another one in tests.
pub(super) type Open =
    Box<dyn Fn(Broker, Trust) -> Pin<Box<dyn Future<Output = Opened> + Send>> + Send + Sync>;
/// A stream, or why there is none, for people.
pub(super) type Opened = Result<Box<dyn Stream>, String>;

/// Connects to `broker`, over TLS where it is to be, to who it should be. Waits as long as the
/// other side lets it; the caller sets the time.
pub(super) async fn open(broker: Broker, trust: Trust) -> Opened {
    let failed = |error: io::Error| format!("cannot connect: {error}");
    let stream = TcpStream::connect((broker.host.as_str(), broker.port));
    let stream = stream.await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    if !broker.tls {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(broker.host).map_err(|error| error.to_string())?;
    let config = tokio::task::spawn_blocking(move || trust::read(&trust)).await;
    let config = config.map_err(|error| error.to_string())??;
    let secured = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let secured = secured.await.map_err(|error| format!("TLS: {error}"))?;
    Ok(Box::new(secured))
}

/// Says CONNECT on `stream` and reads what comes back.
///
/// # Errors
/// Why not, for people.
pub(super) async fn log_in(
    mut stream: Box<dyn Stream>,
    broker: &Broker,
    options: &Options,
) -> Result<Connected, String> {
    let beat = u32::try_from(options.heart_beat.as_millis()).unwrap_or(u32::MAX);
    let mut connect = Connect::new("1.2", broker.host.clone()).heartbeat(beat, beat);
    if let Some(login) = &options.login {
        connect = connect.header("login", login.clone());
    }
    if let Some(client_id) = &options.client_id {
        connect = connect.header("client-id", client_id.clone());
    }
    if let Some(passcode) = &options.passcode {
        connect = connect.header("passcode", passcode.expose_secret());
    }
    let mut bytes = Vec::new();
    encode(&connect.into(), &mut bytes).map_err(|error| error.to_string())?;
    let said = stream.write_all(&bytes).await;
    bytes.fill(0); // the passcode is in there
    said.map_err(broken)?;
    stream.flush().await.map_err(broken)?;

    let mut decoder = Decoder::new(Limits::with_body(GREETING));
    let mut buffer = [0; GREETING];
    loop {
        let read = stream.read(&mut buffer).await.map_err(broken)?;
        if read == 0 {
            return Err("the broker hung up during the log-in".to_owned());
        }
        let mut input = buffer.get(..read).unwrap_or_default();
        let frame = decoder.decode(&mut input);
        if let Some(frame) = frame.map_err(|error| error.to_string())? {
            let beats = greeted(&frame, beat)?;
            let rest = input.to_vec();
            return Ok(Connected {
                stream,
                rest,
                beats,
            });
        }
    }
}

fn broken(error: io::Error) -> String {
    format!("the connection broke during the log-in: {error}")
}

/// Takes the answer to CONNECT for what it is.
fn greeted(frame: &Frame, beat: u32) -> Result<Beats, String> {
    match frame.command {
        ServerCommand::Connected => {}
        ServerCommand::Error => {
            return Err(format!(
                "the broker refused the log-in: {}",
                complaint(&frame.headers)
            ));
        }
        ServerCommand::Message | ServerCommand::Receipt => {
            return Err("the broker answered the log-in with another frame".to_owned());
        }
    }
    match frame.headers.get("version") {
        Some("1.2") => Ok(agree(frame.headers.get("heart-beat"), beat)),
        // An older one has no escapes: a sender could forge headers.
        version => {
            let version: String = version.unwrap_or("1.0").chars().take(20).collect();
            Err(format!("the broker speaks STOMP {version:?}, and not 1.2"))
        }
    }
}

/// What comes of heart-beats that both sides want; section "Heart-beating".
fn agree(theirs: Option<&str>, ours: u32) -> Beats {
    let parse = |text: &str| text.trim().parse::<u32>().ok();
    let parsed = theirs.and_then(|text| {
        let (can, wants) = text.split_once(',')?;
        Some((parse(can)?, parse(wants)?))
    });
    let (can, wants) = parsed.unwrap_or((0, 0));
    let both = |one: u32, other: u32| {
        (one > 0 && other > 0).then(|| Duration::from_millis(one.max(other).into()))
    };
    Beats {
        ours: both(ours, wants),
        theirs: both(can, ours),
    }
}

/// What an ERROR says, on one line and not too long.
pub(super) fn complaint(headers: &Headers) -> String {
    let message = headers.get("message").unwrap_or("it does not say why");
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    message.chars().map(printable).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_of_both_sides_sets_the_pace_and_either_may_decline() {
        let ms = |ms| Some(Duration::from_millis(ms));
        for (theirs, ours, expected) in [
            (Some("500,1000"), 700, (ms(1000), ms(700))),
            (Some("0,0"), 700, (None, None)),
            (Some("10,0"), 700, (None, ms(700))),
            (Some("10,10"), 0, (None, None)),
            (Some("x,1"), 5, (None, None)),
            (Some("1"), 5, (None, None)),
            (None, 5, (None, None)),
        ] {
            let beats = agree(theirs, ours);
            assert_eq!((beats.ours, beats.theirs), expected, "{theirs:?} {ours}");
        }
    }
}
