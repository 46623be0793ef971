//! Figures for those who watch: collected when somebody asks, from what is counted anyway.
//! It must not count anything itself, nor wait for the control task.

mod node;
mod process;
mod services;
mod text;

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use text::Kind;
use tokio::{runtime::Handle, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{
    handover::{Inherited, Socket},
    lost_lines,
    people::People,
    settings::Commit,
};
use crate::{
    config::Settings,
    control::{Balancer, Control, outside::Bus},
    doors::http::{
        metrics::{Figures, MetricsDoor},
        tcp::Heirloom,
    },
};

/// Why figures cannot be shown.
#[derive(Debug, thiserror::Error)]
#[error("metrics: cannot listen on {address}: {}", source.kind())]
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
        node::write_lost_lines(&mut page, lost_lines::lost(&self.balancer));
        services::write(&mut page, &self.balancer.status());
        process::write(&mut page);
        let tasks = self.runtime.metrics().num_alive_tasks() + self.balancer.tasks();
        let help = "Tasks that are alive: sessions, listeners, probes, doors.";
        page.one("pointsman_tasks", Kind::Gauge, help, tasks as f64);
        page.into_text()
    }
}

/// The door for figures, opened and replaced while the node runs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Metrics {
    figures: Arc<Sources>,
    runtime: Handle,
    stop: CancellationToken,
    open: Arc<Mutex<Option<(SocketAddr, Heirloom, CancellationToken)>>>,
    /// What another process handed to us.
    inherited: Inherited,
    /// Whether who comes is left to another process.
    rest: Arc<watch::Sender<bool>>,
}

impl Metrics {
    /// No door is open yet. It closes at `stop`.
    pub(super) fn new(
        figures: Sources,
        runtime: Handle,
        stop: CancellationToken,
        inherited: Inherited,
    ) -> Self {
        Self {
            figures: Arc::new(figures),
            runtime,
            stop,
            open: Arc::default(),
            inherited,
            rest: Arc::new(watch::channel(false).0),
        }
    }

    /// Its socket, for another process to inherit, where it is open.
    ///
    /// # Errors
    /// When there is no descriptor for it.
    pub(super) fn socket(&self) -> io::Result<Option<(Socket, OwnedFd)>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((listen, heirloom, _)) = &*open else {
            return Ok(None);
        };
        let listen = *listen;
        let fd = heirloom.duplicate()?;
        Ok(fd.map(|fd| (Socket::Metrics { listen }, fd)))
    }

    /// Whether nobody is let in from now on; who comes waits.
    pub(super) fn rest(&self, rest: bool) {
        self.rest.send_replace(rest);
    }

    /// Binds what `settings` want and is not open yet. Run, what it gives serves there, and
    /// closes what they do not want.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(super) fn prepare(&self, settings: &Settings) -> Result<Commit, MetricsError> {
        let wanted = settings.metrics.as_ref().map(|door| door.listen.socket());
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().map(|(address, ..)| *address) == wanted {
            return Ok(Box::new(|| {}));
        }
        drop(open);
        let refused = |address| move |source| MetricsError { address, source };
        let bind = |address| {
            let door = match self.inherited.metrics(address) {
                Some(bound) => MetricsDoor::on(bound),
                None => MetricsDoor::bind(address).map_err(refused(address))?,
            };
            Ok((address, door))
        };
        let bound = wanted.map(bind).transpose()?;
        let (open, runtime) = (Arc::clone(&self.open), self.runtime.clone());
        let (figures, stop) = (Arc::clone(&self.figures), self.stop.child_token());
        let rest = self.rest.subscribe();
        Ok(Box::new(move || {
            let now = bound.map(|(wanted, door)| {
                let (address, heirloom) = (door.address(), door.heirloom());
                tracing::info!(%address, "figures can be read");
                let until = stop.clone();
                runtime.spawn(async move {
                    if let Err(error) = door.serve(figures, rest, until).await {
                        tracing::error!(%error, "figures cannot be read any more");
                    }
                });
                (wanted, heirloom, stop)
            });
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((.., old)) = std::mem::replace(&mut *open, now) {
                old.cancel();
            }
        }))
    }
}
