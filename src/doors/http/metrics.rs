//! The door for those who only watch: `/metrics`, over TCP, as text.
//! It must not answer anything else, nor have figures collected as often as anybody asks.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
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
use tokio::{net::TcpListener, sync::Mutex};
use tokio_util::sync::CancellationToken;

use super::{serve, tcp::Accepting};

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
    listener: StdListener,
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
        let listener = StdListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Shows `figures` to whoever connects, until `stop`.
    ///
    /// # Errors
    /// When the runtime cannot poll the socket.
    pub async fn serve(self, figures: Arc<dyn Figures>, stop: CancellationToken) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
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
        serve::answer(Arc::new(accepting), router, stop).await;
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
