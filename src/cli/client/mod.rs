//! A client of a node: of its HTTP API over the Unix socket, TLS or loopback, or over a broker.
//! It must not know what the commands mean, nor show anything.

mod bus;
mod connect;
mod known;
mod reply;
mod stream;
mod token;
mod via;

use std::{path::PathBuf, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request as HttpRequest, Response,
    body::{Bytes, Incoming},
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST},
};
use serde_json::Value;
use tokio::time::timeout;

use super::Exit;
use bus::Bus;
pub(super) use bus::BusOptions;
pub(super) use reply::Reply;
use stream::HttpStream;
pub(super) use stream::{Opened, Stream};
pub(super) use token::Keeper;
pub(super) use via::Via;

use crate::{doors::stomp::key::Key, model::command::Request};

/// How long an answer may take. A change is answered when it is on disk.
const ANSWER: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes: 64 MiB.
const LARGEST: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Nothing is there to be asked.
    #[error(
        "nobody listens on {0}; start the balancer with `pointsman run`, or say with --via where \
         it listens"
    )]
    Nobody(String),
    /// The socket is not for this user.
    #[error(
        "you may not use {0}; be one of the group that it belongs to, or the user that the \
         balancer runs as"
    )]
    NotAllowed(Via),
    /// It cannot be reached.
    #[error("cannot reach {0}: {1}")]
    Unreachable(Via, std::io::Error),
    /// It is there, but is not who it should be.
    #[error("cannot trust {0}: {1}; --ca-file names the authority that vouches for it")]
    Untrusted(Via, std::io::Error),
    /// What to trust cannot be read.
    #[error("cannot read the authorities in {0}: {1}")]
    Authorities(PathBuf, String),
    /// A broker, or what came by it.
    #[error("{0}: {1}")]
    Bus(Box<Via>, crate::doors::stomp::caller::CallError),
    /// The node could be anybody.
    #[error(transparent)]
    Unknown(#[from] known::KnownError),
    /// The password for the broker cannot be read.
    #[error("cannot read the password for the broker in {0}: {1}")]
    Passcode(PathBuf, std::io::Error),
    /// It is there and says nothing.
    #[error(
        "no answer from {0} within 30 s; whether it was done is not known, `pointsman history` \
         will tell"
    )]
    Silent(Via),
    /// The connection ended too early.
    #[error("{0} broke off before the answer was complete: {1}")]
    Broken(Via, Box<dyn std::error::Error + Send + Sync>),
}

impl Trouble {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Nobody(_)
            | Self::Unreachable(..)
            | Self::Silent(_)
            | Self::Bus(..)
            | Self::Broken(..) => Exit::Unavailable,
            Self::NotAllowed(_) => Exit::Denied,
            Self::Untrusted(..) | Self::Authorities(..) | Self::Unknown(_) | Self::Passcode(..) => {
                Exit::Failed
            }
        }
    }
}

/// Asks a node, a connection for each question.
#[derive(Debug)]
pub(super) struct Client {
    via: Option<Via>,
    ca_file: Option<PathBuf>,
    bus: BusOptions,
    /// What a login over a broker is to be known by.
    key: Key,
}

impl Client {
    pub(super) fn new(via: Option<Via>, ca_file: Option<PathBuf>, bus: BusOptions) -> Self {
        Self {
            via,
            ca_file,
            bus,
            key: Key::random(),
        }
    }

    /// Itself, where the way leads over a broker.
    fn bus(&self) -> Option<Bus<'_>> {
        match &self.via {
            Some(Via::Bus(place)) => Some(Bus {
                place,
                options: &self.bus,
                ca_file: self.ca_file.as_ref(),
            }),
            Some(Via::Unix(_) | Via::Https(_) | Via::Http(_)) | None => None,
        }
    }

    /// Asks for `request` in the name of whoever is logged in there.
    pub(super) async fn command(&self, request: &Request) -> Result<(Via, Reply), Trouble> {
        if let Some(bus) = self.bus() {
            return bus.command(&request.to_json()).await;
        }
        let path = "/v1/commands";
        let (via, reply) = self.ask(path, &request.to_json(), true).await?;
        if reply.login_ended() {
            Keeper::new(&via).forget();
        }
        Ok((via, reply))
    }

    /// Asks for a login.
    pub(super) async fn login(&self, body: &Value) -> Result<(Via, Reply), Trouble> {
        match self.bus() {
            Some(bus) => bus.login(body, &self.key).await,
            None => self.ask("/v1/login", body, false).await,
        }
    }

    async fn ask(&self, path: &str, body: &Value, in_name: bool) -> Result<(Via, Reply), Trouble> {
        let (via, mut connection) = connect::connect(self.via.as_ref(), self.ca_file()).await?;
        let mut builder = HttpRequest::builder()
            .method(Method::POST)
            .uri(path)
            .header(CONTENT_TYPE, "application/json")
            .header(HOST, via.authority());
        let token = Keeper::new(&via).token().filter(|_| in_name);
        if let Some(token) = &token {
            builder = builder.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let broken = |error| Trouble::Broken(via.clone(), error);
        let request = builder
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|error| broken(error.into()))?;
        let answer = async {
            let response = connection.send_request(request).await;
            read(response.map_err(|error| broken(error.into()))?)
                .await
                .map_err(broken)
        };
        let answer = timeout(ANSWER, answer).await;
        let (status, text) = answer.map_err(|_| Trouble::Silent(via.clone()))??;
        let reply = Reply::new(&via, status, text, token.is_some());
        Ok((via, reply))
    }

    /// Listens to what happens, after the event `since` if given.
    pub(super) async fn events(&self, since: Option<&str>) -> Result<Opened, Trouble> {
        if let Some(bus) = self.bus() {
            let since = since.and_then(|since| since.parse().ok());
            return Ok(match bus.events(since).await? {
                Ok(stream) => Opened::Stream(Stream::Bus(Box::new(stream))),
                Err(refusal) => Opened::Refused(refusal),
            });
        }
        let (via, mut connection) = connect::connect(self.via.as_ref(), self.ca_file()).await?;
        let mut builder = HttpRequest::builder()
            .uri("/v1/events")
            .header(ACCEPT, "text/event-stream")
            .header(HOST, via.authority());
        let token = Keeper::new(&via).token();
        if let Some(token) = &token {
            builder = builder.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(since) = since {
            builder = builder.header("last-event-id", since);
        }
        let broken = |error| Trouble::Broken(via.clone(), error);
        let request = builder
            .body(Full::new(Bytes::new()))
            .map_err(|error| broken(error.into()))?;
        let response = timeout(ANSWER, connection.send_request(request)).await;
        let response = response.map_err(|_| Trouble::Silent(via.clone()))?;
        let response = response.map_err(|error| broken(error.into()))?;
        if response.status().is_success() {
            let stream = HttpStream::new(via, response.into_body());
            return Ok(Opened::Stream(Stream::Http(stream)));
        }
        let refusal = timeout(ANSWER, read(response)).await;
        let refusal = refusal.map_err(|_| Trouble::Silent(via.clone()))?;
        let (status, text) = refusal.map_err(broken)?;
        let reply = Reply::new(&via, status, text, token.is_some());
        if reply.login_ended() {
            Keeper::new(&via).forget();
        }
        Ok(Opened::Refused(reply))
    }

    fn ca_file(&self) -> Option<&std::path::Path> {
        self.ca_file.as_deref()
    }
}

async fn read(
    response: Response<Incoming>,
) -> Result<(u16, String), Box<dyn std::error::Error + Send + Sync>> {
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), LARGEST)
        .collect()
        .await?;
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Ok((status, text))
}
