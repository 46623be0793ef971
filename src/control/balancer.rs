//! A running balancer, as a program or an embedder holds it.
//! It must not own the process: no signals, no exit, no logging set-up, nothing global.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::runtime::Handle;

use super::{
    kept::Kept,
    listening::Key,
    reconcile::{PrepareError, Prepared, Runtime},
    status::NodeStatus,
    watch::{self, Rope},
};
use crate::{
    health::{Means, checker::Ready, report::Report},
    model::{
        address::Endpoint,
        check::check,
        event::Event,
        name::{HostPath, Name},
        problem::Problem,
        state::Target,
        topology::Topology,
    },
    proxy::lane::Lane,
};

/// How often a shutdown looks whether sessions are left.
const LOOK: Duration = Duration::from_millis(10);
/// How long a program that ends at once waits for its sessions to be reset.
const CUT: Duration = Duration::from_millis(200);
/// How long lines of the access log that wait may take to be written.
const FLUSH: Duration = Duration::from_secs(1);
/// How long sessions that were reset may take to be gone.
const GRACE: Duration = Duration::from_secs(2);

/// A running balancer.
///
/// Dropping it stops to accept, as [`Self::shut_down`] does first; open sessions go on to their
/// end for as long as the runtime that they are on.
#[derive(Debug)]
pub struct Balancer {
    runtime: Arc<Mutex<Runtime>>,
    /// Below the runtime: when this is dropped, the watch sees that it is gone.
    bell: Rope,
}

/// Why a topology cannot be run. What ran before still does.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It contradicts itself.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
    /// The world refused it.
    #[error(transparent)]
    Refused(#[from] PrepareError),
    /// There is nothing to run it on.
    #[error("cannot make an event loop: {0}")]
    Descriptors(io::Error),
}

fn lines(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// What was left when a balancer was shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// Sessions that had to be reset because their time was over.
    pub reset: u32,
}

impl Balancer {
    /// Runs `topology` on the tokio runtime that this is called from, or that `runtime` names.
    /// Session limits are what the topology says; there is no other.
    ///
    /// # Errors
    /// When the topology contradicts itself, an address cannot be bound, or there are no
    /// descriptors.
    pub fn start(topology: Topology, runtime: Handle) -> Result<Self, ApplyError> {
        let lanes = Lane::on_runtime(&runtime).map_err(ApplyError::Descriptors)?;
        Self::start_on(lanes, u32::MAX, &runtime, topology)
    }

    /// Runs `topology` on `lanes`, on which `room` sessions fit. Hosts are probed on `probes`.
    ///
    /// # Errors
    /// When the topology contradicts itself, or an address cannot be bound.
    pub fn start_on(
        lanes: Vec<Arc<Lane>>,
        room: u32,
        probes: &Handle,
        topology: Topology,
    ) -> Result<Self, ApplyError> {
        let runtime = Arc::new(Mutex::new(Runtime::new(lanes, room)));
        let bell = watch::begin(&runtime, probes);
        let balancer = Self { runtime, bell };
        balancer.apply(topology)?;
        Ok(balancer)
    }

    /// Makes `next` what runs. Open sessions go on.
    ///
    /// # Errors
    /// When it contradicts itself, an address cannot be bound, or a probe lacks what it needs; then
    /// nothing has changed.
    pub fn apply(&self, next: Topology) -> Result<(), ApplyError> {
        let (prepared, probes) = self.check_and_prepare(next)?;
        self.commit(prepared, probes);
        Ok(())
    }

    pub(super) fn check_and_prepare(
        &self,
        next: Topology,
    ) -> Result<(Prepared, Ready), ApplyError> {
        let problems = check(&next);
        if !problems.is_empty() {
            return Err(ApplyError::Invalid(problems));
        }
        let probes = self.prepare_probes(&next, None)?;
        Ok((self.prepare(next)?, probes))
    }

    /// Makes the probes of `next`, by `means` where new ones are to come.
    pub(super) fn prepare_probes(
        &self,
        next: &Topology,
        means: Option<&Means>,
    ) -> Result<Ready, PrepareError> {
        Ok(self.runtime().prepare_probes(next, means)?)
    }

    pub(super) fn prepare(&self, next: Topology) -> Result<Prepared, PrepareError> {
        self.runtime().prepare(next)
    }

    pub(super) fn commit(&self, prepared: Prepared, probes: Ready) {
        self.commit_with(Some(prepared), probes, None);
    }

    /// Takes in services, and what their probes have from the settings, at once: what names
    /// something and what it names come together, and go together.
    pub(super) fn commit_with(
        &self,
        prepared: Option<Prepared>,
        probes: Ready,
        means: Option<Means>,
    ) {
        let mut runtime = self.runtime();
        if let Some(means) = means {
            runtime.set_means(means);
        }
        runtime.take_in_probes(probes);
        if let Some(prepared) = prepared {
            runtime.commit(prepared);
        }
        runtime.check_again();
        drop(runtime);
        self.bell.ring();
    }

    /// Asks the sessions of `target` that are open now to end; they are reset.
    pub(super) fn close_sessions(&self, target: &Target) {
        self.runtime().close_sessions(target);
    }

    /// Sessions on a host, those of a removed host not among them.
    pub(super) fn active_on(&self, host: &HostPath) -> Option<u32> {
        self.runtime().host(host).map(|host| host.active())
    }

    /// Milliseconds since 1970, on a clock that never goes back, nor jumps when the machine's is set.
    pub(super) fn now(&self) -> u64 {
        self.runtime().now()
    }

    /// Tasks that are alive where sessions run: sessions, those who accept them, and whatever else
    /// an embedder has there.
    #[cfg(feature = "server")]
    pub(crate) fn tasks(&self) -> usize {
        self.runtime().tasks()
    }

    /// Which host a client of `service` would get now, and why.
    pub(super) fn explain_client(&self, service: &Name, client: IpAddr) -> (String, Vec<String>) {
        self.runtime().explain_client(service, client)
    }

    /// What probes have from the settings, from now on. A probe that cannot be made of them says
    /// nothing about its hosts.
    pub fn set_means(&self, means: Means) {
        self.commit_with(None, Ready::default(), Some(means));
    }

    /// What has happened to hosts since this was last called, oldest first: `host.down` and the
    /// like. At most 10,000 wait; past that the oldest are forgotten.
    pub fn take_events(&self) -> Vec<Event> {
        self.runtime().take_events()
    }

    /// Has `hearer` called whenever [`Self::take_events`] has something to give. It must not wait.
    /// Only the first one counts.
    pub fn hear(&self, hearer: impl Fn() + Send + Sync + 'static) {
        self.bell.hear(Box::new(hearer));
    }

    /// What there is to say of a host's health; `None` for a host that does not run.
    pub fn health_of(&self, host: &HostPath) -> Option<Report> {
        self.runtime().health_of(host)
    }

    /// Why there is nowhere to connect to for the host, whose name leads nowhere; `None` where
    /// there is.
    pub(super) fn unreachable(&self, host: &HostPath) -> Option<String> {
        self.runtime().unreachable(host)
    }

    /// Has `resolver` asked for host names from now on. Where they lead holds until it says
    /// otherwise.
    #[cfg(feature = "server")]
    pub fn resolve_by(&self, resolver: crate::discovery::dns::Resolver) {
        let follower = self.bell.follower(&self.runtime, resolver);
        self.runtime().set_follower(Box::new(follower));
    }

    /// The group of a service that takes new sessions.
    pub(super) fn serving(&self, service: &Name) -> Option<Name> {
        self.runtime().serving(service)
    }

    /// How much of the sessions that a host is picked for it takes now, as far as it is not full;
    /// `None` where new sessions do not go to it.
    pub(super) fn takes_sessions(&self, host: &HostPath) -> Option<f64> {
        self.runtime().takes_sessions(host)
    }

    /// What is to be kept of the services' health over a restart.
    pub(super) fn health(&self) -> HashMap<Name, Kept> {
        self.runtime().health()
    }

    /// What was kept of it, for the services that are run next.
    pub(super) fn restore_health(&self, kept: HashMap<Name, Kept>) {
        self.runtime().restore_health(kept);
    }

    /// Has what is bound from now on taken from `listeners`, where it is there, and nothing
    /// accepted before [`Self::begin_to_accept`].
    ///
    /// # Errors
    /// When one is no socket that listens.
    pub fn inherit(&self, listeners: Vec<(Key, OwnedFd)>) -> io::Result<()> {
        self.runtime().inherit(listeners)
    }

    /// Accepts on all that was bound since [`Self::inherit`].
    pub fn begin_to_accept(&self) {
        self.runtime().begin_to_accept();
    }

    /// Whether the files of Unix sockets go when this process closes them.
    pub(super) fn answer_for_files(&self, ours: bool) {
        self.runtime().answer_for_files(ours);
    }

    /// Every listener, for another process to inherit.
    pub(super) fn listeners(&self) -> io::Result<Vec<(Key, OwnedFd)>> {
        self.runtime().listeners()
    }

    /// What runs.
    pub fn topology(&self) -> Topology {
        self.runtime().topology().clone()
    }

    /// The IP addresses that `service` listens on, as bound; none for one that does not run.
    pub fn addresses(&self, service: &Name) -> Vec<SocketAddr> {
        let runtime = self.runtime();
        let service = runtime.topology().service(service);
        let bound = service.map_or_else(Vec::new, |service| runtime.bound(service));
        bound.iter().filter_map(Endpoint::ip).collect()
    }

    /// Whether each session leaves a line in the log when it ends, from now on.
    pub fn log_access(&self, access_log: bool) {
        if let Some(lane) = self.runtime().lane() {
            lane.access_log().turn(access_log);
        }
    }

    /// Lines that sessions left and nobody could write in time.
    pub fn lost_access_lines(&self) -> u64 {
        let lane = self.runtime().lane();
        lane.map_or(0, |lane| lane.access_log().lost())
    }

    /// Waits until the lines that sessions have left are written, a second at most.
    pub async fn flush_access_log(&self) {
        let lane = self.runtime().lane();
        if let Some(lane) = lane {
            lane.access_log().flush(FLUSH).await;
        }
    }

    /// How everything is.
    pub fn status(&self) -> NodeStatus {
        self.runtime().status()
    }

    /// Stops to accept, lets sessions end for as long as `patience`, then resets the rest.
    ///
    /// Cancel safe: when dropped, accepting has stopped and sessions go on.
    pub async fn shut_down(&self, patience: Duration) -> Shutdown {
        let acceptors = {
            let mut runtime = self.runtime();
            runtime.stop_accepting();
            runtime.acceptors()
        };
        acceptors.wait().await;
        self.sessions_end_within(patience).await;
        let reset = self.runtime().active_sessions();
        if reset > 0 {
            self.runtime().close_all_sessions();
            self.sessions_end_within(GRACE).await;
        }
        Shutdown { reset }
    }

    /// Resets every session that is open, and waits a moment for that to happen.
    pub async fn cut(&self) {
        self.runtime().close_all_sessions();
        self.sessions_end_within(CUT).await;
    }

    async fn sessions_end_within(&self, patience: Duration) {
        let deadline = tokio::time::Instant::now() + patience;
        while self.runtime().active_sessions() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Never held across a wait; what a panic leaves behind is whole.
    fn runtime(&self) -> MutexGuard<'_, Runtime> {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let mut runtime = self.runtime();
        runtime.stop_accepting();
        runtime.retire_lanes();
    }
}
