//! Serving: the accept loop of a listener, and what becomes of what it accepts.
//! It must not wait for a peer before it accepts the next.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Api,
    caller::Peer,
    guard::Guard,
    slots::{Held, Slots},
    stall::Stall,
};

/// Connections on one listener.
const CONNECTIONS: usize = 256;
/// How long the head of a request may take, and how long a connection may stay idle.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How many bytes and headers the head of a request may have.
const HEAD: usize = 64 * 1024;
const HEADERS: usize = 64;
/// How long accepting rests when there are no descriptors to accept with.
const REST: Duration = Duration::from_millis(100);
/// How long requests have to be answered once we stop.
const GRACE: Duration = Duration::from_secs(3);

/// A socket that accepts, and what makes a peer and a stream of what it accepts.
pub(super) trait Accepts: Send + Sync + 'static {
    /// What is accepted.
    type Raw: Send + 'static;
    /// What requests are read from.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection. Cancel safe.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Raw>> + Send;

    /// Gets a connection ready; may take its time.
    fn open(
        self: Arc<Self>,
        raw: Self::Raw,
        held: &Held,
    ) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
}

/// Serves `api` until it is told to stop, and tells meanwhile who was turned away.
pub(super) async fn serve<A: Accepts>(accepts: Arc<A>, api: Api, guard: Guard) {
    let (router, stop) = (api.clone().router(guard), api.stop.clone());
    let rest = api.rest.clone();
    tokio::select! {
        () = answer(accepts, router, rest, stop) => {}
        () = api.keep_telling() => {}
    }
    if tokio::time::timeout(GRACE, api.tell_the_rest())
        .await
        .is_err()
    {
        tracing::warn!("requests that were turned away last are not recorded");
    }
}

/// Accepts until `stop`, and then who waits already; nobody while it is to `rest`. Lets requests
/// that were begun be answered.
pub(super) async fn answer<A: Accepts>(
    accepts: Arc<A>,
    router: Router,
    mut rest: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    let slots = Slots::new(CONNECTIONS);
    let connections = TaskTracker::new();
    let mut failing = false;
    let mut waited = 0;
    while waited < CONNECTIONS {
        let accepted = tokio::select! {
            biased;
            accepted = accept(&*accepts, &mut rest) => accepted,
            () = stop.cancelled() => break,
        };
        waited += usize::from(stop.is_cancelled());
        match accepted {
            Ok(raw) => {
                failing = false;
                let Some(held) = slots.take() else {
                    continue; // Dropping it hangs up.
                };
                let (accepts, router) = (Arc::clone(&accepts), router.clone());
                let stop = stop.clone();
                connections.spawn(async move {
                    tokio::select! {
                        () = held.taken() => {}
                        () = connection(accepts, raw, router, &held, stop) => {}
                    }
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Once, and not each time that it is tried again.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "cannot accept connections to the API; trying again");
                }
                tokio::time::sleep(REST).await;
            }
        }
    }
    // Closes the socket, where no other door has it: nobody is to wait on it for nothing.
    drop(accepts);
    connections.close();
    connections.wait().await;
}

/// The next connection, as long as it is not to rest. Cancel safe.
async fn accept<A: Accepts>(accepts: &A, rest: &mut watch::Receiver<bool>) -> io::Result<A::Raw> {
    loop {
        // Whoever could end it may be gone: then it stays as it is.
        if rest.wait_for(|rest| !rest).await.is_err() && *rest.borrow() {
            std::future::pending().await
        }
        tokio::select! {
            biased;
            Ok(()) = rest.changed() => {}
            accepted = accepts.accept() => return accepted,
        }
    }
}

/// What comes of `act`; `None` where it is not done a while after `stop`.
async fn in_time<T>(stop: &CancellationToken, act: impl Future<Output = T>) -> Option<T> {
    let over = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        done = act => Some(done),
        () = over => None,
    }
}

/// Errors that say something about who connected, and nothing about us.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

async fn connection<A: Accepts>(
    accepts: Arc<A>,
    raw: A::Raw,
    router: Router,
    held: &Held,
    stop: CancellationToken,
) {
    let opening = tokio::time::timeout(HEAD_WITHIN, accepts.open(raw, held));
    let (stream, peer) = match in_time(&stop, opening).await {
        Some(Ok(Ok(opened))) => opened,
        Some(Ok(Err(error))) => return tracing::debug!(%error, "a connection to the API failed"),
        Some(Err(_)) | None => {
            return tracing::debug!("a connection to the API was not opened in time");
        }
    };
    let service = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let answering = peer.slot.answering();
        let answer = service.call(request);
        async move {
            // The count lives as long as the body, which is sent after the answer is there.
            let answer = answer.await?;
            Ok::<_, std::convert::Infallible>(answer.map(|body: Body| {
                body.map_frame(move |frame| {
                    let _counted = &answering;
                    frame
                })
            }))
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(HEADERS)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(Stall::new(stream)), service);
    let mut served = pin!(served);
    let ended = tokio::select! {
        // What has come already is a request that was begun.
        biased;
        ended = served.as_mut() => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            tokio::time::timeout(GRACE, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the API ended early");
    }
}
