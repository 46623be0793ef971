//! The program as a whole: threads, balancer and signals, wired together, from start to exit.
//! It must not hold any behaviour of its own that a module below could have.

mod activation;
mod begin;
mod bus;
mod bus_door;
pub mod directory;
mod document;
mod doors;
mod handover;
mod last_good;
pub(crate) mod lost_lines;
mod metrics;
mod names;
mod node;
mod notify;
mod people;
mod probing;
mod settings;
mod signals;
mod trouble;
mod watchdog;

use std::{io, path::Path, sync::Arc, time::Duration};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

pub(crate) use handover::Predecessor;
use handover::{Estate, Inherited};
pub use node::NodeError;
use node::{Node, start_node};
use notify::Notify;
pub(crate) use people::{check as check_people, trial};
use signals::Signals;
use watchdog::Watchdog;

use crate::{
    config::{Config, Settings},
    control::{Balancer, balancer::ApplyError, status::NodeStatus},
    health::Means,
    model::topology::Topology,
    proxy::threads::DataThreads,
};

/// Descriptors of the program itself: journal, doors, signals, listeners.
const OWN: u64 = 40;
/// Descriptors for pipes and whatever comes, where there are enough.
const SPARE: u64 = 448;
/// With fewer descriptors nothing can be balanced, and libraries below us panic for want of one.
const LEAST_DESCRIPTORS: u64 = 32;

/// Why the program could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No threads, no pollers, no signal handlers.
    #[error("cannot set up the process: {0}")]
    Process(#[from] io::Error),
    /// The limit on open files leaves no room for anything.
    #[error("{0} open files are too few: at least {LEAST_DESCRIPTORS} are needed (`ulimit -Hn`)")]
    Descriptors(u64),
    /// The configuration cannot be run here.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The node cannot start.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// How the program came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As asked, after sessions had their time.
    Orderly,
    /// At a second signal, with this number.
    AtOnce(i32),
}

/// A program that has started.
pub struct App {
    balancer: Arc<Balancer>,
    node: Option<Node>,
    room: u32,
    drain_timeout: Duration,
    signals: Signals,
    notify: Notify,
    control: Runtime,
    data: DataThreads,
}

impl App {
    /// Runs what `config` says and no more: nothing is kept, and nobody can come in.
    ///
    /// # Errors
    /// When the system refuses threads or addresses.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let app = Self::set_up(&config.settings)?;
        let means = probing::means(&Means::default(), &config.settings);
        app.balancer.set_means(means);
        app.balancer.apply(config.topology)?;
        app.say_where_it_listens();
        app.notify.ready();
        Ok(app)
    }

    /// Runs the node that `file`, which has these settings, describes.
    ///
    /// # Errors
    /// When the system refuses threads, files or addresses, or the journal is not to be had.
    pub fn start_node(file: &Path, settings: Settings) -> Result<Self, StartError> {
        // Before there are other threads: it changes the environment.
        let activated = activation::sockets()?;
        let mut app = Self::set_up(&settings)?;
        app.balancer.inherit(activated)?;
        let runtime = app.control.handle();
        let (balancer, notify) = (&app.balancer, &app.notify);
        let inherited = Inherited::default();
        app.node = Some(start_node(
            file, settings, balancer, runtime, notify, inherited,
        )?);
        app.balancer.begin_to_accept();
        app.say_where_it_listens();
        app.notify.ready();
        Ok(app)
    }

    /// Runs the node that `file`, which has these settings, describes, in the place of another
    /// process.
    ///
    /// # Errors
    /// As [`Self::start_node`], and when the other process is gone.
    pub(crate) fn take_over(
        file: &Path,
        settings: Settings,
        from: &Predecessor,
    ) -> Result<Self, StartError> {
        let mut app = Self::set_up(&settings)?;
        let Estate {
            listeners,
            doors,
            past,
        } = from.checked()?;
        app.balancer.inherit(listeners)?;
        let runtime = app.control.handle();
        let (balancer, notify) = (&app.balancer, &app.notify);
        let node = start_node(file, settings, balancer, runtime, notify, doors)?;
        app.say_where_it_listens();
        from.ready()?;
        let recorded = app.control.block_on(node.succeed(past));
        recorded.map_err(NodeError::Succession)?;
        app.balancer.begin_to_accept();
        from.serving();
        node.settle();
        app.notify.ready_in_place_of_another();
        app.node = Some(node);
        Ok(app)
    }

    /// Runs the node that `file` described when it last passed; it does not any more, and what is
    /// wrong with it is logged. `None` when none has run.
    ///
    /// # Errors
    /// As [`Self::start_node`].
    pub fn start_last_good(file: &Path) -> Option<Result<Self, StartError>> {
        let settings = last_good::find(file)?;
        Some(Self::start_node(file, settings))
    }

    /// Threads, signals and limits; nothing runs on them yet.
    fn set_up(settings: &Settings) -> Result<Self, StartError> {
        let node = &settings.node;
        let threads = node.thread_count();
        let descriptors = raise_descriptor_limit()?;
        if descriptors < LEAST_DESCRIPTORS {
            return Err(StartError::Descriptors(descriptors));
        }
        let room = room_for_sessions(descriptors, threads);
        let control = Builder::new_current_thread().enable_all().build()?;
        // Before anything is said: whoever reads that we are up may stop us.
        let signals = {
            let _inside = control.enter();
            Signals::listen()?
        };
        tracing::info!(node = %node.name, threads, "starting; {room} sessions fit");
        let data = DataThreads::start(threads, node.access_log)?;
        let balancer =
            Balancer::start_on(data.lanes(), room, control.handle(), Topology::default())?;
        if let Some(resolver) = names::resolver()? {
            balancer.resolve_by(resolver);
        }
        Ok(Self {
            balancer: Arc::new(balancer),
            node: None,
            room,
            drain_timeout: node.drain_timeout.duration(),
            signals,
            notify: Notify::from_environment(),
            control,
            data,
        })
    }

    fn say_where_it_listens(&self) {
        warn_of_large_limits(&self.balancer.topology(), self.room);
        for service in &self.balancer.status().services {
            for address in &service.listen {
                tracing::info!(service = %service.name, %address, "listening");
            }
        }
    }

    /// How everything is.
    pub fn status(&self) -> NodeStatus {
        self.balancer.status()
    }

    /// Runs until SIGTERM or SIGINT, with `beside` for as long; then lets sessions end.
    pub fn run(self, beside: impl AsyncFnOnce(&Balancer)) -> End {
        let Self {
            balancer,
            node,
            room: _,
            drain_timeout,
            mut signals,
            notify,
            control,
            data,
        } = self;
        let reload = node.as_ref().map(|node| node.control.clone());
        let patience = || match &node {
            Some(node) => node.living.now().node.drain_timeout.duration(),
            None => drain_timeout,
        };
        let watchdog = Watchdog {
            notify: notify.clone(),
            lanes: data.lanes(),
            control: reload.clone(),
            balancer: Arc::clone(&balancer),
        };
        control.spawn(watchdog.run());
        let succeeded = match &node {
            Some(node) => node.succeeded.clone(),
            None => CancellationToken::new(),
        };
        let end = control.block_on(async {
            tokio::select! {
                () = signals.until_the_end(reload.as_ref(), &notify) => {}
                () = trouble::report(&balancer) => {}
                () = succeeded.cancelled() => node.iter().for_each(Node::close_doors),
                () = beside(&balancer) => {}
            }
            end_sessions(&balancer, &mut signals, &notify, patience()).await
        });
        if let Some(node) = node {
            node.stop(&control);
        }
        end
    }
}

/// Lets the sessions end within `patience`, or cuts them at a second signal.
async fn end_sessions(
    balancer: &Balancer,
    signals: &mut Signals,
    notify: &Notify,
    patience: Duration,
) -> End {
    let services = balancer.status().services;
    let active: u32 = services.iter().map(|service| service.sessions.active).sum();
    // What another process took the place of says nothing any more.
    notify.stopping(patience);
    tracing::info!(
        sessions = active,
        ?patience,
        "stopping; a second signal ends at once"
    );
    tokio::select! {
        biased;
        signal = signals.next() => {
            tracing::warn!("ending at once, at a second signal");
            // Or else the kernel ends them, cleanly, and a cut stream looks whole.
            balancer.cut().await;
            balancer.flush_access_log().await;
            End::AtOnce(signal)
        }
        left = balancer.shut_down(patience) => {
            balancer.flush_access_log().await;
            tracing::info!(reset = left.reset, "stopped");
            End::Orderly
        }
    }
}

/// Raises the limit on open files as far as this user may; returns what it is then.
fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.current.unwrap_or(u64::MAX))
}

/// How many sessions fit: each has two sockets. The program's own descriptors grow with the
/// threads; pipes for bulk data are counted where there is plenty.
fn room_for_sessions(descriptors: u64, threads: usize) -> u32 {
    let own = OWN + 4 * threads as u64;
    let spare = (descriptors / 16).min(SPARE);
    let free = descriptors.saturating_sub(own + spare);
    u32::try_from(free / 2).unwrap_or(u32::MAX).max(1)
}

fn warn_of_large_limits(topology: &Topology, room: u32) {
    for service in &topology.services {
        if let Some(sessions) = service.limits.sessions.map(|count| count.get())
            && sessions > room
        {
            tracing::warn!(
                service = %service.name, sessions, room,
                "limits.sessions is more than the file descriptors allow; raise the hard limit"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_descriptors_are_room_for_a_session() {
        assert_eq!(room_for_sessions(20_496, 2), 10_000);
        assert_eq!(room_for_sessions(256, 2), 96);
        assert_eq!(room_for_sessions(32, 2), 1);
        assert_eq!(room_for_sessions(u64::MAX, 2), u32::MAX);
    }
}
