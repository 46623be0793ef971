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

use super::{BuildError, Means, Outcome, Prober, Target, build};
use crate::model::{
    address::{Endpoint, HostAddress},
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
    /// Takes in what came of a probe, asked at `at`; says how long after its beginning the next one is to begin,
    /// before chance is added. `None` when there is to be no other.
    fn observed(
        &self,
        target: &Target,
        at: Option<&Endpoint>,
        outcome: Outcome,
    ) -> Option<Duration>;

    /// Where the host is reached now, which has a name; `None` while that is not known.
    fn reached(&self, target: &Target) -> Option<Endpoint>;
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

/// Why a change is refused that brings a probe which cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hosts of {group} cannot be probed: {source}")]
pub struct CannotProbe {
    /// Whose hosts.
    pub group: GroupPath,
    /// Why.
    pub source: BuildError,
}

/// Probes that were made before they are wanted. Dropped, they leave no trace.
#[derive(Debug, Default)]
pub struct Ready(HashMap<GroupPath, (Probe, Arc<Prober>)>);

/// Probes hosts until dropped.
#[derive(Debug)]
pub struct Checker {
    runtime: Handle,
    observer: Arc<dyn Observer>,
    slots: Arc<Semaphore>,
    means: Means,
    is_stale: bool,
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
            is_stale: false,
            probers: HashMap::new(),
            checks: HashMap::new(),
        }
    }

    /// Makes those of `probes` that are not there yet, by `means` where new ones are to come. Reads
    /// the files of certificates.
    ///
    /// # Errors
    /// The first that cannot be made.
    pub fn prepare<'a>(
        &self,
        probes: impl Iterator<Item = (GroupPath, &'a Probe)>,
        means: Option<&Means>,
    ) -> Result<Ready, CannotProbe> {
        let mut ready = Ready::default();
        for (group, probe) in probes {
            let is_there = |(known, _): &(Probe, Arc<Prober>)| {
                known == probe && (means.is_none() || !has_means(known))
            };
            if self.probers.get(&group).is_some_and(is_there) {
                continue;
            }
            match build(probe, means.unwrap_or(&self.means)) {
                Ok(prober) => ready.0.insert(group, (probe.clone(), Arc::new(prober))),
                Err(source) => return Err(CannotProbe { group, source }),
            };
        }
        Ok(ready)
    }

    /// Has `ready` used by the next [`Self::become_like`].
    pub fn take_in(&mut self, ready: Ready) {
        self.probers.extend(ready.0);
    }

    /// What probes have from the settings from the next [`Self::become_like`] on. Those that have
    /// nothing from them go on as they were.
    pub fn set_means(&mut self, means: Means) {
        self.means = means;
        self.probers.retain(|_, (probe, _)| !has_means(probe));
        self.is_stale = true;
    }

    /// Whether [`Self::become_like`] is to be called, for means that came after the last one.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Makes `wanted` what is probed.
    pub fn become_like(&mut self, wanted: Vec<Wanted>) {
        self.is_stale = false;
        let known: HashSet<GroupPath> = wanted.iter().map(|group| group.group.clone()).collect();
        self.probers.retain(|group, _| known.contains(group));
        let mut old = std::mem::take(&mut self.checks);
        for group in wanted {
            let Some(prober) = self.prober(&group) else {
                continue;
            };
            for target in group.targets {
                let kept = old
                    .remove(&target.host)
                    .filter(|check| check.target == target && Arc::ptr_eq(&check.prober, &prober));
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
                        observer.observed(target, None, Outcome::not_asked(error.to_string()));
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

/// Whether the probe has anything from the settings.
fn has_means(probe: &Probe) -> bool {
    probe.program().is_some() || probe.ca().is_some()
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
        let at = match &target.address {
            HostAddress::At(endpoint) => Some(endpoint.clone()),
            HostAddress::Named(_) => observer.reached(&target),
        };
        let outcome = match &at {
            Some(at) => prober.ask(&target, at.clone()).await,
            None => Outcome::not_asked("its name is not resolved".to_owned()),
        };
        drop(slot);
        let Some(pause) = observer.observed(&target, at.as_ref(), outcome) else {
            return;
        };
        // Up to a tenth more or less, so that nodes and hosts do not fall into step.
        let pause = pause.mul_f64(0.9 + 0.2 * rand::random::<f64>());
        sleep_until((began + pause).max(Instant::now() + REST)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::Pin,
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
    };

    use serde_json::json;

    use super::{
        super::{Asked, Probe as Ask, Prober},
        *,
    };

    /// A probe that takes its time, and counts how many go on.
    #[derive(Debug)]
    struct Slow {
        takes: Duration,
        going: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    }

    impl Ask for Slow {
        fn ask<'a>(
            &'a self,
            _target: &'a Target,
            _address: &'a Asked,
            _deadline: Instant,
        ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
            Box::pin(async {
                let going = self.going.fetch_add(1, SeqCst) + 1;
                self.most.fetch_max(going, SeqCst);
                sleep(self.takes).await;
                self.going.fetch_sub(1, SeqCst);
                Outcome::passed("it answers")
            })
        }
    }

    /// Writes down when it was told of which host.
    #[derive(Debug)]
    struct Noted {
        pause: Duration,
        told: Mutex<Vec<(HostPath, Instant)>>,
    }

    impl Noted {
        fn of(&self, host: &str) -> Vec<Instant> {
            let told = self.told.lock().unwrap();
            let of_host =
                |(path, at): &(HostPath, Instant)| (path.host.as_str() == host).then_some(*at);
            told.iter().filter_map(of_host).collect()
        }
    }

    impl Observer for Noted {
        fn reached(&self, _target: &Target) -> Option<Endpoint> {
            None
        }

        fn observed(
            &self,
            target: &Target,
            _at: Option<&Endpoint>,
            _outcome: Outcome,
        ) -> Option<Duration> {
            let mut told = self.told.lock().unwrap();
            told.push((target.host.clone(), Instant::now()));
            Some(self.pause)
        }
    }

    fn probe(interval: &str) -> Probe {
        let probe = json!({"kind": "tcp", "interval": interval, "timeout": "100ms"});
        serde_json::from_value(probe).unwrap()
    }

    fn wanted(hosts: usize, interval: &str) -> Wanted {
        let target = |index| Target {
            host: format!("web/blue/w{index}").parse().unwrap(),
            address: "127.0.0.1:9".parse().unwrap(),
        };
        Wanted {
            group: "web/blue".parse().unwrap(),
            probe: probe(interval),
            targets: (1..=hosts).map(target).collect(),
        }
    }

    fn noted(pause: Duration) -> Arc<Noted> {
        let told = Mutex::default();
        Arc::new(Noted { pause, told })
    }

    /// A checker whose probes of `wanted` take `takes`; and the most of them that went on at once.
    fn checker(
        observer: &Arc<Noted>,
        wanted: &Wanted,
        takes: Duration,
    ) -> (Checker, Arc<AtomicUsize>) {
        let most = Arc::new(AtomicUsize::new(0));
        let probe = Slow {
            takes,
            going: Arc::default(),
            most: Arc::clone(&most),
        };
        let prober = Prober {
            probe: Box::new(probe),
            port: None,
            timeout: takes,
        };
        let mut checker = Checker::new(Handle::current(), Arc::clone(observer) as Arc<_>);
        let entry = (wanted.probe.clone(), Arc::new(prober));
        checker.probers.insert(wanted.group.clone(), entry);
        (checker, most)
    }

    const INTERVAL: Duration = Duration::from_secs(2);
    const TAKES: Duration = Duration::from_millis(5);

    #[tokio::test(start_paused = true)]
    async fn each_host_is_probed_at_its_interval_give_or_take_a_tenth() {
        let (observer, wanted) = (noted(INTERVAL), wanted(3, "2s"));
        let (mut checker, _) = checker(&observer, &wanted, TAKES);
        checker.become_like(vec![wanted]);
        let began = Instant::now();
        sleep(Duration::from_secs(60)).await;
        for host in ["w1", "w2", "w3"] {
            let told = observer.of(host);
            assert!(told[0] - began <= FIRST + TAKES, "the first one comes soon");
            assert!((26..=34).contains(&told.len()), "{}", told.len());
            for pair in told.windows(2) {
                let gap = pair[1] - pair[0];
                let (least, most) = (INTERVAL.mul_f64(0.89), INTERVAL.mul_f64(1.11));
                assert!(least <= gap && gap <= most, "{gap:?}");
            }
        }
        let first: HashSet<_> = ["w1", "w2", "w3"].map(|host| observer.of(host)[0]).into();
        assert!(first.len() > 1, "they are not in step");
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_are_probed_at_once_and_all_have_their_turn() {
        let hosts = 3 * AT_ONCE;
        let (observer, wanted) = (noted(INTERVAL), wanted(hosts, "2s"));
        let (mut checker, most) = checker(&observer, &wanted, Duration::from_secs(1));
        checker.become_like(vec![wanted]);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(most.load(SeqCst), AT_ONCE);
        let told = observer.told.lock().unwrap();
        let hosts_told: HashSet<_> = told.iter().map(|(host, _)| host.clone()).collect();
        assert_eq!(hosts_told.len(), hosts);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_is_never_probed_twice_at_once() {
        let (observer, wanted) = (noted(Duration::from_millis(10)), wanted(1, "2s"));
        let (mut checker, most) = checker(&observer, &wanted, Duration::from_secs(1));
        checker.become_like(vec![wanted]);
        sleep(Duration::from_secs(20)).await;
        assert_eq!(most.load(SeqCst), 1);
        assert!(observer.of("w1").len() >= 18);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_change_does_not_touch_goes_on_and_what_is_gone_is_not_probed() {
        let (observer, before) = (noted(INTERVAL), wanted(2, "2s"));
        let (mut checker, _) = checker(&observer, &before, TAKES);
        checker.become_like(vec![before.clone()]);
        sleep(Duration::from_secs(10)).await;
        let mut after = wanted(3, "2s");
        after.targets.remove(1);
        let mut changes = 0;
        // Were the probing begun anew at each change, it would seldom come to a second probe.
        while changes < 100 {
            checker.become_like(vec![after.clone()]);
            changes += 1;
            sleep(Duration::from_millis(200)).await;
        }
        let told = observer.of("w1");
        assert!((13..=18).contains(&told.len()), "{}", told.len());
        assert!(
            observer.of("w2").len() <= 7,
            "it was probed for ten seconds"
        );
        assert!(observer.of("w3").len() >= 8, "it was added");
        drop(checker);
        let ended = observer.told.lock().unwrap().len();
        sleep(Duration::from_secs(10)).await;
        assert_eq!(observer.told.lock().unwrap().len(), ended);
    }
}
