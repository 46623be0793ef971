//! The checker: probes each host at its intervals, for as long as it is wanted.
//! It must not judge what comes of a probe; it tells the observer, who says when the next is due.
//!
//! A task for each host: so there is at most one probe of a host at a time. What a change does not
//! touch goes on as it was.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::Semaphore,
    task::AbortHandle,
    time::{Instant, sleep, sleep_until},
};

use super::{Means, Outcome, Prober, Target, build};
use crate::model::{
    name::{GroupPath, HostPath},
    topology::Probe,
};

/// Probes at a time, of all hosts. Where more are due they wait, and what they find comes later.
const AT_ONCE: usize = 512;
/// Within how long the first probes are spread, at most.
const FIRST: Duration = Duration::from_secs(1);
/// How long after the end of a probe the next begins, at least.
const REST: Duration = Duration::from_millis(10);

/// Who is told what comes of probes.
pub trait Observer: Send + Sync + fmt::Debug {
    /// Takes in what came of a probe; says how long after its beginning the next one is to begin,
    /// before chance is added. `None` when there is to be no other.
    fn observed(&self, target: &Target, outcome: Outcome) -> Option<Duration>;
}

/// The hosts of a group, and how they are to be probed.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The group.
    pub group: GroupPath,
    /// How.
    pub probe: Probe,
    /// Which hosts.
    pub targets: Vec<Target>,
}

/// Probes hosts until dropped.
#[derive(Debug)]
pub struct Checker {
    runtime: Handle,
    observer: Arc<dyn Observer>,
    slots: Arc<Semaphore>,
    means: Means,
    probers: HashMap<GroupPath, (Probe, Arc<Prober>)>,
    checks: HashMap<HostPath, Check>,
}

/// The probing of one host.
#[derive(Debug)]
struct Check {
    target: Target,
    prober: Arc<Prober>,
    task: AbortHandle,
}

impl Drop for Check {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Checker {
    /// Nothing is probed yet. Probes will run on `runtime`.
    pub fn new(runtime: Handle, observer: Arc<dyn Observer>) -> Self {
        Self {
            runtime,
            observer,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            means: Means::default(),
            probers: HashMap::new(),
            checks: HashMap::new(),
        }
    }

    /// What probes have from the settings from the next [`Self::become_like`] on.
    pub fn set_means(&mut self, means: Means) {
        self.means = means;
        self.probers.clear();
    }

    /// Makes `wanted` what is probed.
    pub fn become_like(&mut self, wanted: Vec<Wanted>) {
        let known: HashSet<GroupPath> = wanted.iter().map(|group| group.group.clone()).collect();
        self.probers.retain(|group, _| known.contains(group));
        let mut old = std::mem::take(&mut self.checks);
        for group in wanted {
            let Some(prober) = self.prober(&group) else {
                continue;
            };
            for target in group.targets {
                let kept = old.remove(&target.host).filter(|check| {
                    check.target == target && Arc::ptr_eq(&check.prober, &prober)
                });
                let check = kept.unwrap_or_else(|| self.check(&target, &prober, &group.probe));
                self.checks.insert(target.host, check);
            }
        }
    }

    fn prober(&mut self, group: &Wanted) -> Option<Arc<Prober>> {
        if let Some((probe, prober)) = self.probers.get(&group.group)
            && *probe == group.probe
        {
            return Some(Arc::clone(prober));
        }
        match build(&group.probe, &self.means) {
            Ok(prober) => {
                let prober = Arc::new(prober);
                let entry = (group.probe.clone(), Arc::clone(&prober));
                self.probers.insert(group.group.clone(), entry);
                Some(prober)
            }
            Err(error) => {
                tracing::error!(group = %group.group, %error, "its hosts cannot be probed");
                let (observer, targets) = (Arc::clone(&self.observer), group.targets.clone());
                // Not from here: whoever calls us may hold what the observer needs.
                self.runtime.spawn(async move {
                    for target in &targets {
                        observer.observed(target, Outcome::not_asked(error.to_string()));
                    }
                });
                None
            }
        }
    }

    fn check(&self, target: &Target, prober: &Arc<Prober>, probe: &Probe) -> Check {
        let first = probe.interval.duration().min(FIRST);
        let probing = keep_probing(
            Arc::clone(prober),
            target.clone(),
            Arc::clone(&self.observer),
            Arc::clone(&self.slots),
            first,
        );
        Check {
            target: target.clone(),
            prober: Arc::clone(prober),
            task: self.runtime.spawn(probing).abort_handle(),
        }
    }
}

async fn keep_probing(
    prober: Arc<Prober>,
    target: Target,
    observer: Arc<dyn Observer>,
    slots: Arc<Semaphore>,
    first: Duration,
) {
    sleep(first.mul_f64(rand::random())).await;
    loop {
        let Ok(slot) = slots.acquire().await else {
            return;
        };
        let began = Instant::now();
        let outcome = prober.ask(&target).await;
        drop(slot);
        let Some(pause) = observer.observed(&target, outcome) else {
            return;
        };
        // Up to a tenth more or less, so that nodes and hosts do not fall into step.
        let pause = pause.mul_f64(0.9 + 0.2 * rand::random::<f64>());
        sleep_until((began + pause).max(Instant::now() + REST)).await;
    }
}
