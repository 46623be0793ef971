//! The program as a whole: threads, balancer and signals, wired together, from start to exit.
//! It must not hold any behaviour of its own that a module below could have.

use std::{io, time::Duration};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
    config::Config,
    control::{Balancer, balancer::ApplyError, status::NodeStatus},
    model::topology::Topology,
    proxy::threads::DataThreads,
};

/// Descriptors that are not for sessions: the program's own, pipes for bulk data, spare.
const RESERVED: u64 = 512;
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
    /// There is nothing to run.
    #[error("there is no [[service]] in the configuration: nothing to balance")]
    Nothing,
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
#[derive(Debug)]
pub struct App {
    balancer: Balancer,
    drain_timeout: Duration,
    signals: Signals,
    control: Runtime,
    _data: DataThreads,
}

impl App {
    /// Starts what `config` says.
    ///
    /// # Errors
    /// When the system refuses threads or addresses, or there is no service.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let Config { settings, topology } = config;
        if topology.services.is_empty() {
            return Err(StartError::Nothing);
        }
        let node = settings.node;
        let threads = node.thread_count();
        let descriptors = raise_descriptor_limit()?;
        if descriptors < LEAST_DESCRIPTORS {
            return Err(StartError::Descriptors(descriptors));
        }
        let room = room_for_sessions(descriptors);
        let control = Builder::new_current_thread().enable_all().build()?;
        // Before anything is said: whoever reads that we are up may stop us.
        let signals = {
            let _inside = control.enter();
            Signals::listen()?
        };
        tracing::info!(
            node = %node.name,
            threads,
            sessions = room,
            "starting; so many sessions fit"
        );
        warn_of_large_limits(&topology, room);
        let data = DataThreads::start(threads, node.access_log)?;
        let balancer = Balancer::start_on(data.lanes(), room, topology)?;
        for service in &balancer.status().services {
            for address in &service.listen {
                tracing::info!(service = %service.name, %address, "listening");
            }
        }
        Ok(Self {
            balancer,
            drain_timeout: node.drain_timeout.duration(),
            signals,
            control,
            _data: data,
        })
    }

    /// How everything is.
    pub fn status(&self) -> NodeStatus {
        self.balancer.status()
    }

    /// Runs until SIGTERM or SIGINT, with `beside` for as long; then lets sessions end.
    pub fn run(self, beside: impl AsyncFnOnce(&Balancer)) -> End {
        let Self {
            balancer,
            drain_timeout,
            mut signals,
            control,
            _data,
        } = self;
        control.block_on(async {
            tokio::select! {
                _signal = signals.next() => {}
                () = beside(&balancer) => {}
            }
            let active: u32 =
                balancer.status().services.iter().map(|service| service.sessions.active).sum();
            tracing::info!(sessions = active, patience = ?drain_timeout, "stopping; a second signal ends at once");
            tokio::select! {
                biased;
                signal = signals.next() => {
                    tracing::warn!("ending at once, at a second signal");
                    End::AtOnce(signal)
                }
                left = balancer.shut_down(drain_timeout) => {
                    tracing::info!(reset = left.reset, "stopped");
                    End::Orderly
                }
            }
        })
    }
}

/// The signals that ask for an end.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
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

/// Each session has two sockets.
fn room_for_sessions(descriptors: u64) -> u32 {
    let free = descriptors.saturating_sub(RESERVED).max(descriptors / 2);
    u32::try_from(free / 2).unwrap_or(u32::MAX)
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
        assert_eq!(room_for_sessions(20_512), 10_000);
        assert_eq!(room_for_sessions(256), 64);
        assert_eq!(room_for_sessions(u64::MAX), u32::MAX);
    }
}
