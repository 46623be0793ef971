//! The door for those who only watch: `/metrics`, over TCP, as text.
//! It must not answer anything else, nor have figures collected as often as anybody asks.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::{
    serve,
    tcp::{Accepting, Bound, Heirloom},
};

/// How long what was collected is given to others who ask: anybody may, and collecting takes time.
const FRESH: Duration = Duration::from_secs(1);
/// The text format of Prometheus: "Exposition formats", version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where figures come from.
pub trait Figures: Send + Sync + 'static {
    /// All of them, in the text format. Called on a thread that may be kept busy.
    fn collect(&self) -> String;
}

/// A TCP socket on which figures can be read.
#[derive(Debug)]
pub struct MetricsDoor {
    bound: Bound,
}

struct Shared {
    figures: Arc<dyn Figures>,
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl MetricsDoor {
    /// Binds to `listen`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn bind(listen: SocketAddr) -> io::Result<Self> {
        Ok(Self::on(Bound::bind(listen)?))
    }

    /// The same on a socket that is bound.
    pub fn on(bound: Bound) -> Self {
        Self { bound }
    }

    /// The address that it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.bound.address()
    }

    /// What another process may inherit of it.
    pub fn heirloom(&self) -> Heirloom {
        self.bound.heirloom()
    }

    /// Shows `figures` to whoever connects, until `stop`; to nobody while it is to `rest`.
    ///
    /// # Errors
    /// When the runtime cannot poll the socket.
    pub async fn serve(
        self,
        figures: Arc<dyn Figures>,
        rest: watch::Receiver<bool>,
        stop: CancellationToken,
    ) -> io::Result<()> {
        // Kept until the end, so that it can be inherited.
        let bound = self.bound;
        let listener = bound.listener()?;
        let shared = Arc::new(Shared {
            figures,
            last: Mutex::default(),
        });
        let router = Router::new()
            .route("/metrics", get(show))
            .fallback(async || (StatusCode::NOT_FOUND, "figures are at /metrics\n"))
            .with_state(shared);
        let accepting = Accepting {
            listener,
            tls: None,
        };
        serve::answer(Arc::new(accepting), router, rest, stop).await;
        drop(bound);
        Ok(())
    }
}

async fn show(State(shared): State<Arc<Shared>>) -> Response {
    // Held while they are collected: who asks meanwhile gets the same.
    let mut last = shared.last.lock().await;
    let fresh = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH);
    let text = if let Some((_, text)) = fresh {
        text.clone()
    } else {
        let figures = Arc::clone(&shared.figures);
        let Ok(text) = tokio::task::spawn_blocking(move || figures.collect()).await else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let text = Bytes::from(text);
        *last = Some((Instant::now(), text.clone()));
        text
    };
    ([(header::CONTENT_TYPE, TEXT)], text).into_response()
}
