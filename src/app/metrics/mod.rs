//! Figures for those who watch: collected when somebody asks, from what is counted anyway.
//! It must not count anything itself, nor wait for the control task.

mod node;
mod process;
mod services;
mod text;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use text::Kind;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{people::People, settings::Commit};
use crate::{
    config::Settings,
    control::{Balancer, Control, outside::Bus},
    doors::http::metrics::{Figures, MetricsDoor},
};

/// Why figures cannot be shown.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {address}: {source}")]
pub struct MetricsError {
    address: SocketAddr,
    source: io::Error,
}

/// Where the figures of a node are found.
pub(super) struct Sources {
    pub(super) control: Control,
    pub(super) balancer: Arc<Balancer>,
    pub(super) people: Arc<People>,
    pub(super) bus: Arc<dyn Bus>,
    /// Where all runs that is no session.
    pub(super) runtime: Handle,
}

impl Figures for Sources {
    fn collect(&self) -> String {
        let mut page = text::Page::default();
        let tally = self.control.tally();
        node::write(&mut page, tally);
        node::write_logins(&mut page, &self.people.tally());
        if let Some(bus) = self.bus.status(tally.last_event()) {
            node::write_bus(&mut page, &bus);
        }
        services::write(&mut page, &self.balancer.status());
        process::write(&mut page);
        let tasks = self.runtime.metrics().num_alive_tasks() + self.balancer.tasks();
        let help = "Tasks that are alive: sessions, listeners, probes, doors.";
        page.one("pointsman_tasks", Kind::Gauge, help, tasks as f64);
        page.into_text()
    }
}

/// The door for figures, opened and replaced while the node runs.
pub(super) struct Metrics {
    figures: Arc<Sources>,
    runtime: Handle,
    stop: CancellationToken,
    open: Arc<Mutex<Option<(SocketAddr, CancellationToken)>>>,
}

impl Metrics {
    /// No door is open yet. It closes at `stop`.
    pub(super) fn new(figures: Sources, runtime: Handle, stop: CancellationToken) -> Self {
        Self {
            figures: Arc::new(figures),
            runtime,
            stop,
            open: Arc::default(),
        }
    }

    /// Binds what `settings` want and is not open yet. Run, what it gives serves there, and
    /// closes what they do not want.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(super) fn prepare(&self, settings: &Settings) -> Result<Commit, MetricsError> {
        let wanted = settings.metrics.as_ref().map(|door| door.listen.socket());
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().map(|(address, _)| *address) == wanted {
            return Ok(Box::new(|| {}));
        }
        drop(open);
        let refused = |address| move |source| MetricsError { address, source };
        let bind = |address| {
            let door = MetricsDoor::bind(address).map_err(refused(address))?;
            let bound = door.address().map_err(refused(address))?;
            Ok((address, bound, door))
        };
        let bound = wanted.map(bind).transpose()?;
        let (open, runtime) = (Arc::clone(&self.open), self.runtime.clone());
        let (figures, stop) = (Arc::clone(&self.figures), self.stop.child_token());
        Ok(Box::new(move || {
            let now = bound.map(|(wanted, address, door)| {
                tracing::info!(%address, "figures can be read");
                let until = stop.clone();
                runtime.spawn(async move {
                    if let Err(error) = door.serve(figures, until).await {
                        tracing::error!(%error, "figures cannot be read any more");
                    }
                });
                (wanted, stop)
            });
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, old)) = std::mem::replace(&mut *open, now) {
                old.cancel();
            }
        }))
    }
}
