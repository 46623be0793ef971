//! Whether this process is alive, and how it is: what a service manager is told again and again.
//! It must not say that all is well while any thread that matters does not answer.

use std::{
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::notify::Notify;
use crate::{
    control::{
        Balancer, Control,
        status::{HostStatus, NodeStatus},
    },
    health::report::Health,
    model::topology::Admin,
    proxy::{lane::Lane, threads::TICK},
};

/// How often the line about how things are is written anew, at most.
const STATUS: Duration = Duration::from_secs(2);

/// Who has to answer, and who is told.
pub(super) struct Watchdog {
    pub(super) notify: Notify,
    pub(super) lanes: Vec<Arc<Lane>>,
    pub(super) control: Option<Control>,
    pub(super) balancer: Arc<Balancer>,
}

impl Watchdog {
    /// Tells for as long as it runs.
    pub(super) async fn run(self) {
        if !self.notify.is_heard() {
            return;
        }
        #[cfg(debug_assertions)]
        self.break_where_asked();
        tokio::join!(self.feed(), self.say_how_it_is());
    }

    /// Says at half the time that the manager waits that we are alive, if we are.
    async fn feed(&self) {
        let Some(half) = wanted().map(|period| period / 2) else {
            return;
        };
        let mut pulses: Vec<Pulse> = self.lanes.iter().map(Pulse::of).collect();
        let mut asked: Option<JoinHandle<Option<u64>>> = None;
        let mut often = interval(half);
        often.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            often.tick().await;
            let answered = asked.as_ref().is_none_or(JoinHandle::is_finished);
            let silent = pulses.iter_mut().position(|pulse| !pulse.beats(half));
            match (answered, silent) {
                (true, None) => self.notify.watchdog(),
                (false, _) => tracing::error!("the control task does not answer"),
                (true, Some(thread)) => tracing::error!(thread, "a data thread does not answer"),
            }
            if answered && let Some(control) = self.control.clone() {
                asked = Some(tokio::spawn(async move { control.revision().await }));
            }
        }
    }

    /// The fault switch of debug builds: a data thread that never comes back.
    #[cfg(debug_assertions)]
    #[expect(
        clippy::disallowed_methods,
        reason = "that it blocks is what it is for"
    )]
    fn break_where_asked(&self) {
        let asked = env::var("POINTSMAN_FAULT").is_ok_and(|switch| switch == "stuck-data:1");
        if let Some(lane) = self.lanes.first().filter(|_| asked) {
            let event_loop = lane.event_loop().clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                event_loop.spawn(async { std::thread::sleep(Duration::from_secs(600)) });
            });
        }
    }

    async fn say_how_it_is(&self) {
        let mut said = String::new();
        let mut often = interval(STATUS);
        loop {
            often.tick().await;
            let revision = match &self.control {
                Some(control) => control.revision().await,
                None => None,
            };
            let line = line(&self.balancer.status(), revision);
            if line != said {
                self.notify.status(&line);
                said = line;
            }
        }
    }
}

/// How often the manager wants to hear that we are alive, if it does, and from this process:
/// sd_watchdog_enabled(3).
fn wanted() -> Option<Duration> {
    if env::var("WATCHDOG_PID").is_ok_and(|id| id != std::process::id().to_string()) {
        return None;
    }
    let micros: u64 = env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros))
}

/// The heart of a data thread, as it was last felt.
struct Pulse {
    lane: Arc<Lane>,
    beats: u64,
    at: Instant,
}

impl Pulse {
    fn of(lane: &Arc<Lane>) -> Self {
        Self {
            lane: Arc::clone(lane),
            beats: lane.beats(),
            at: Instant::now(),
        }
    }

    /// Whether it has beaten within the last `within`, or the time of two beats.
    fn beats(&mut self, within: Duration) -> bool {
        let beats = self.lane.beats();
        if beats != self.beats {
            self.beats = beats;
            self.at = Instant::now();
        }
        self.at.elapsed() <= within.max(2 * TICK)
    }
}

/// How things are.
fn line(status: &NodeStatus, revision: Option<u64>) -> String {
    let groups = status.services.iter().flat_map(|service| &service.groups);
    let wanted: Vec<_> = groups
        .flat_map(|group| &group.hosts)
        .filter(|host| host.admin == Admin::Enabled)
        .collect();
    // One that is not probed counts as one that is up: it takes sessions.
    let up = |host: &&&HostStatus| matches!(host.health.health, Health::Up | Health::Unknown);
    let up = wanted.iter().filter(up).count();
    let sessions = status.services.iter().map(|service| service.sessions);
    let sessions: u32 = sessions.map(|sessions| sessions.active).sum();
    let mut line = format!(
        "{} services, {up} of {} enabled hosts up, {sessions} sessions",
        status.services.len(),
        wanted.len(),
    );
    if let Some(revision) = revision {
        line.push_str(&format!(", revision {revision}"));
    }
    line
}
