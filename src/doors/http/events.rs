//! The event stream: server-sent events, from where the reader left off.
//! It must not leave out an event that its reader may see, nor wait for a slow reader but here.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Extension, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use hyper::body::{Bytes, Frame};
use secrecy::SecretString;
use tokio::sync::{
    OwnedSemaphorePermit,
    broadcast::{Receiver, error::RecvError},
    mpsc,
};

use super::{
    Api,
    caller::{self, Caller, Peer},
    guard::{Id, only},
    reply::Refusal,
};
use crate::{
    control::{
        cloud_event::{cloud_event, visible},
        record::Recorded,
    },
    model::{error::Code, principal::Principal},
};

/// How often a comment shows that the stream still lives, and the login is looked at.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Events that are read from the journal at once.
const BATCH: usize = 256;
/// Pieces that wait for the reader to take them.
const WAITING: usize = 16;

pub(super) async fn stream(
    State(api): State<Api>,
    Extension(id): Extension<Id>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let opened = async {
        let caller = Caller::of(&api, &peer, &headers).await?;
        let since = resumed(&headers)?;
        let permit = api.streams.clone().try_acquire_owned().map_err(|_| {
            let message = "too many event streams are open";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message)
        })?;
        Ok::<_, Refusal>((caller, since, permit))
    };
    let (caller, since, permit) = match opened.await {
        Ok(opened) => opened,
        Err(refusal) => return refusal.reply(&id),
    };
    let (send, receive) = mpsc::channel(WAITING);
    let reader = Reader {
        // Before the journal is read: an event between the two is read twice, and sent once.
        published: api.control.subscribe(),
        token: caller.token,
        // Not `since`: a node that lost its journal counts from 1 again, and its events are news.
        seen: 0,
        api,
        peer,
        send,
        _permit: permit,
    };
    tokio::spawn(reader.run(since));
    let mut response = Response::new(Body::new(Pieces(receive)));
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The number of the last event that the reader has.
fn resumed(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    if !headers.contains_key("last-event-id") {
        return Ok(None);
    }
    let since = only(headers, "last-event-id").and_then(|text| text.parse().ok());
    let wrong = || Refusal::invalid("last-event-id is the sequence number of an event");
    since.map(Some).ok_or_else(wrong)
}

/// Somebody who reads events.
struct Reader {
    api: Api,
    peer: Peer,
    token: Option<SecretString>,
    published: Receiver<Recorded>,
    /// The number of the last event that was looked at; 0 before the first.
    seen: u64,
    send: mpsc::Sender<Bytes>,
    _permit: OwnedSemaphorePermit,
}

/// Why a stream ends: its reader is gone, may no longer read, or the journal cannot be read. The
/// reader comes again with the last id it has.
struct Ended;

impl Reader {
    async fn run(mut self, since: Option<u64>) {
        let stop = self.api.stop.clone();
        let gone = self.send.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = gone.closed() => {}
            Err(Ended) = self.follow(since) => {}
        }
    }

    async fn follow(&mut self, since: Option<u64>) -> Result<Infallible, Ended> {
        self.say(": events follow\n\n".to_owned()).await?;
        if let Some(since) = since {
            self.catch_up(since).await?;
        }
        let mut missed = 0;
        let mut alive = tokio::time::interval(KEEP_ALIVE);
        loop {
            let next = tokio::select! {
                next = self.published.recv() => Some(next),
                _ = alive.tick() => None,
            };
            match next {
                None => {
                    self.principal().await?;
                    self.say(": still here\n\n".to_owned()).await?;
                }
                Some(Err(RecvError::Closed)) => return Err(Ended),
                Some(Err(RecvError::Lagged(events))) => missed += events,
                // The first after a gap says where the gap began.
                Some(Ok(event)) if missed > 0 => {
                    let before = event.sequence.saturating_sub(missed + 1);
                    missed = 0;
                    self.catch_up(before.max(self.seen)).await?;
                    self.tell(&[event]).await?;
                }
                Some(Ok(event)) => self.tell(&[event]).await?,
            }
        }
    }

    /// Tells what the journal has after `since`.
    async fn catch_up(&mut self, since: u64) -> Result<(), Ended> {
        let mut since = since;
        loop {
            let batch = self.api.control.events(since, BATCH).await;
            let batch = batch.map_err(|_| Ended)?;
            let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
                return Ok(());
            };
            if first.sequence > since + 1 {
                let (from, to) = (since + 1, first.sequence - 1);
                let gone = format!(": events {from} to {to} are no longer kept\n\n");
                self.say(gone).await?;
            }
            since = last.sequence;
            self.tell(&batch).await?;
        }
    }

    async fn tell(&mut self, events: &[Recorded]) -> Result<(), Ended> {
        let principal = self.principal().await?;
        for recorded in events {
            if recorded.sequence <= self.seen {
                continue;
            }
            self.seen = recorded.sequence;
            let Some(event) = visible(&recorded.event, &principal) else {
                continue;
            };
            let control = &self.api.control;
            let shown = Recorded {
                event,
                ..recorded.clone()
            };
            let event = cloud_event(&shown, control.node(), control.epoch());
            // JSON has no line breaks outside strings, and none unescaped in them.
            let text = format!("id: {}\ndata: {event}\n\n", recorded.sequence);
            self.say(text).await?;
        }
        Ok(())
    }

    /// Who reads, if they still may: a login that has ended ends its streams.
    async fn principal(&self) -> Result<Principal, Ended> {
        let found = caller::principal(&self.api, &self.peer, self.token.as_ref());
        found.await.ok_or(Ended)
    }

    async fn say(&self, text: String) -> Result<(), Ended> {
        self.send.send(text.into()).await.map_err(|_| Ended)
    }
}

/// A body of the pieces that come.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.poll_recv(cx);
        piece.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}
