//! The HTTP API, the same on the Unix socket and on TCP: routes, and what they share.
//! It must not hold state of its own but bounds: what it says is as true as the control task is.
//!
//! [`unix::SocketDoor`] and [`tcp::TcpDoor`] accept, [`serve`] keeps connections within their
//! bounds, [`guard`] looks at every request first, and [`commands`], [`accounts`] and [`events`]
//! answer.

mod accounts;
mod body;
mod caller;
mod commands;
mod events;
mod guard;
pub mod metrics;
mod openapi;
mod reply;
mod serve;
mod slots;
mod stall;
pub mod tcp;
mod tls;
mod turned_away;
pub mod unix;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{Extension, State},
    http::StatusCode,
    middleware,
    response::Response,
    routing::{get, post},
};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use self::{
    guard::{Guard, Id},
    reply::Refusal,
    turned_away::TurnedAway,
};
use super::Authority;
use crate::{auth::clock::Clock, control::Control, model::error::Code};

/// Event streams that may be open at once, over all listeners.
const STREAMS: usize = 64;
/// How long an answer to `/readyz` counts: asking is free for all, the control task's time is not.
const READY_FOR: Duration = Duration::from_secs(1);
/// How long the control task may take until it counts as not ready.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// What the API answers from. Cheap to clone; all listeners share one.
#[derive(Clone, Debug)]
pub struct Api {
    control: Control,
    authority: Arc<dyn Authority>,
    streams: Arc<Semaphore>,
    ready: Arc<Mutex<Option<(Instant, bool)>>>,
    turned_away: Arc<TurnedAway>,
    /// Whether who comes is left to another process.
    rest: watch::Receiver<bool>,
    stop: CancellationToken,
}

impl Api {
    /// The API of the node behind `control`, for those whom `authority` knows, until `stop`.
    pub fn new(control: Control, authority: Arc<dyn Authority>, stop: CancellationToken) -> Self {
        Self {
            control,
            authority,
            streams: Arc::new(Semaphore::new(STREAMS)),
            ready: Arc::default(),
            turned_away: Arc::new(TurnedAway::new(Clock::system())),
            rest: watch::channel(false).1,
            stop,
        }
    }

    /// The same, which lets nobody in while `rest` is true: who comes waits, perhaps for another
    /// process that listens on the same socket.
    #[must_use]
    pub fn resting(self, rest: watch::Receiver<bool>) -> Self {
        Self { rest, ..self }
    }

    fn router(self, guard: Guard) -> Router {
        Router::new()
            .route("/v1/commands", post(commands::execute))
            .route("/v1/login", post(accounts::login))
            .route("/v1/logout", post(accounts::logout))
            .route("/v1/events", get(events::stream))
            .route("/v1/openapi.json", get(openapi::describe))
            .route("/healthz", get(healthy))
            .route("/readyz", get(ready))
            .fallback(unknown)
            .method_not_allowed_fallback(wrong_method)
            .layer(middleware::from_fn_with_state(
                Arc::new(guard),
                guard::watch,
            ))
            .with_state(self)
    }
}

/// That somebody answers is the answer.
async fn healthy(Extension(id): Extension<Id>) -> Response {
    reply::done(&id, None)
}

/// Ready is who can carry out commands.
async fn ready(State(api): State<Api>, Extension(id): Extension<Id>) -> Response {
    let mut known = api.ready.lock().await;
    let ready = match *known {
        Some((at, ready)) if at.elapsed() < READY_FOR => ready,
        Some(_) | None => {
            let asked = tokio::time::timeout(READY_WITHIN, api.control.events(0, 0)).await;
            let ready = matches!(asked, Ok(Ok(_)));
            *known = Some((Instant::now(), ready));
            ready
        }
    };
    if ready {
        reply::done(&id, None)
    } else {
        let message = "the node cannot carry out commands now";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message).reply(&id)
    }
}

async fn unknown(Extension(id): Extension<Id>) -> Response {
    let message = "there is nothing at this path; /v1/openapi.json lists what there is";
    Refusal::new(StatusCode::NOT_FOUND, Code::NotFound, message).reply(&id)
}

async fn wrong_method(Extension(id): Extension<Id>) -> Response {
    let message = "this path does not take this method";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Code::Invalid, message).reply(&id)
}
