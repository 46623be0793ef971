//! Reconcile: makes listeners, groups and hosts what a topology says, and nothing else does.
//! It must not judge a topology; it is given one that has been checked.
//!
//! In two steps. [`Runtime::prepare`] does everything that the world can refuse, beside what runs
//! and unseen: sockets are bound, pollers asked. [`Runtime::commit`] cannot fail: it swaps the
//! views, starts to accept on what was bound and stops what is no longer wanted. A `Prepared`
//! that is dropped leaves no trace.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    kept::Kept,
    listening::{Key, Listening, keys},
    live,
    running::{Running, Surroundings},
    status::{NodeStatus, service_status},
};
use crate::{
    balance::{Host, Service},
    health::checker::Checker,
    model::{
        address::Endpoint,
        event::Event,
        name::{GroupPath, HostPath, Name},
        state::Target,
        topology::{self, Topology},
    },
    proxy::{
        lane::Lane,
        listener::{Acceptors, Left, Listener},
    },
};

mod error;
mod health;
mod names;
mod succession;

pub use error::PrepareError;
pub(super) use names::{Follower, Heard};

/// What runs.
#[derive(Debug)]
pub struct Runtime {
    lanes: Vec<Arc<Lane>>,
    /// Sessions that fit, where a service sets no limit.
    room: u32,
    acceptors: TaskTracker,
    pub(super) topology: Topology,
    services: HashMap<Name, Running>,
    pub(super) listening: HashMap<Key, Listening>,
    /// What was given up, until its backlog has been served.
    pub(super) left: HashMap<Key, Left>,
    /// Services that were removed, until their last session has ended.
    retired: Vec<Arc<Service>>,
    /// What the clock of the lanes lacks to milliseconds since 1970.
    base: u64,
    /// What was known of the services' health before the start.
    kept: HashMap<Name, Kept>,
    checker: Option<Checker>,
    names: names::Names,
    /// What happened without a command and nobody has asked for yet.
    happened: VecDeque<Event>,
    /// What another process handed to us, until we accept.
    pub(super) inheritance: Option<succession::Inheritance>,
}

/// A topology that the world has agreed to.
#[derive(Debug)]
pub struct Prepared {
    next: Topology,
    bound: HashMap<Key, Listener>,
    accepting: Vec<(Name, Key, Acceptors)>,
}

impl Runtime {
    /// Nothing runs yet. Sessions will be on `lanes`, and `room` of them fit.
    pub fn new(lanes: Vec<Arc<Lane>>, room: u32) -> Self {
        Self {
            lanes,
            room,
            acceptors: TaskTracker::new(),
            topology: Topology::default(),
            services: HashMap::new(),
            listening: HashMap::new(),
            left: HashMap::new(),
            retired: Vec::new(),
            base: health::base(),
            kept: HashMap::new(),
            checker: None,
            names: names::Names::default(),
            happened: VecDeque::new(),
            inheritance: None,
        }
    }

    /// What was committed last.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Binds what `next` wants to listen on and does not yet.
    ///
    /// # Errors
    /// The first address that cannot be bound, and why. Nothing has changed then.
    pub fn prepare(&self, next: Topology) -> Result<Prepared, PrepareError> {
        let mut bound = HashMap::new();
        let mut accepting = Vec::new();
        for service in &next.services {
            for key in keys(service) {
                let address = &key.0;
                let refused = |source| PrepareError::Listen {
                    service: service.name.clone(),
                    address: address.clone(),
                    source,
                };
                let listener = match self.listening.get(&key) {
                    Some(listening) if listening.service == service.name => {
                        self.stays(service, address).map_err(refused)?;
                        continue;
                    }
                    Some(listening) => &listening.listener,
                    None => {
                        let listener = self.bind(&key, service).map_err(refused)?;
                        bound.entry(key.clone()).or_insert(listener)
                    }
                };
                let acceptors = listener.acceptors(&self.lanes).map_err(refused)?;
                accepting.push((service.name.clone(), key, acceptors));
            }
        }
        Ok(Prepared {
            next,
            bound,
            accepting,
        })
    }

    /// Makes `prepared` what runs. Open sessions go on, whatever happened to their service,
    /// group or host.
    pub fn commit(&mut self, prepared: Prepared) {
        let Prepared {
            next,
            mut bound,
            accepting,
        } = prepared;
        for service in &next.services {
            self.show(service);
        }
        self.follow(&next);
        self.check(&next);
        for (service, key, acceptors) in accepting {
            let running = self.services.get(&service);
            let Some(running) = running.map(|running| Arc::clone(&running.service)) else {
                continue;
            };
            let old = self.listening.remove(&key);
            let listener = old.map(|old| {
                old.stop.cancel();
                old.listener
            });
            let Some(listener) = listener.or_else(|| bound.remove(&key)) else {
                continue;
            };
            let stop = CancellationToken::new();
            self.accept_on(acceptors, &running, &stop);
            self.listening.insert(
                key,
                Listening {
                    listener,
                    service,
                    stop,
                },
            );
        }
        self.drop_unwanted(&next);
        self.tune_listeners(&next);
        self.topology = next;
    }

    /// Swaps in the view of `wanted`. Hosts whose path and address stay keep their counters.
    fn show(&mut self, wanted: &topology::Service) {
        let old = self.services.remove(&wanted.name);
        let kept = self.kept.remove(&wanted.name).unwrap_or_default();
        let running = Running::new(wanted, old, &kept, self.around());
        self.services.insert(wanted.name.clone(), running);
    }

    fn drop_unwanted(&mut self, next: &Topology) {
        let left = &mut self.left;
        left.retain(|_, left| left.upgrade().is_some());
        self.listening.retain(|key, listening| {
            let wanted = next
                .service(&listening.service)
                .is_some_and(|service| keys(service).any(|wanted| wanted == *key));
            if !wanted {
                listening.stop.cancel();
                left.insert(key.clone(), listening.listener.downgrade());
            }
            wanted
        });
        let retired = &mut self.retired;
        self.services.retain(|name, running| {
            let wanted = next.service(name).is_some();
            if !wanted {
                retired.push(Arc::clone(&running.service));
            }
            wanted
        });
        // Sessions hold on to their service, and so does who still accepts for it.
        self.retired
            .retain(|service| Arc::strong_count(service) > 1);
    }

    /// The addresses that `service` listens on, as bound, in the order of the topology.
    pub fn bound(&self, service: &topology::Service) -> Vec<Endpoint> {
        let listening = keys(service).filter_map(|key| self.listening.get(&key));
        listening
            .map(|listening| listening.listener.address().clone())
            .collect()
    }

    /// The host at `path`, as it runs.
    pub fn host(&self, path: &HostPath) -> Option<Arc<Host>> {
        self.services
            .get(&path.service)?
            .groups
            .get(&path.group)?
            .host(&path.host)
    }

    /// Asks the sessions of `target` that are open now to end.
    pub fn close_sessions(&self, target: &Target) {
        for lane in &self.lanes {
            let now = lane.millis(Instant::now());
            match target {
                Target::Host(path) => self
                    .host(path)
                    .iter()
                    .for_each(|host| host.close_sessions(now)),
                Target::Service(name) => {
                    self.services
                        .get(name)
                        .iter()
                        .for_each(|live| live.service.close_sessions(now));
                }
            }
            lane.ring();
        }
    }

    /// Which host a client of `service` would get now, and why.
    pub fn explain_client(&self, service: &Name, client: IpAddr) -> (String, Vec<String>) {
        let Some(running) = self.services.get(service) else {
            return (
                "nobody".to_owned(),
                vec![format!("service {service} does not run")],
            );
        };
        let now = self
            .lanes
            .first()
            .map_or(0, |lane| lane.millis(Instant::now()));
        let wanted = self
            .topology
            .service(service)
            .and_then(|service| running.serving(service));
        let kind = wanted.map_or("", |group| group.scheduler.kind());
        live::explain_client(&running.service.view(), kind, client, now)
    }

    /// How everything is.
    pub fn status(&self) -> NodeStatus {
        let now = self.now();
        let services = self.topology.services.iter().filter_map(|service| {
            let running = self.services.get(&service.name)?;
            let host = |group: &Name, host: &Name| {
                let live = running.groups.get(group)?;
                let mut report = live.health.report(host, now);
                let path = GroupPath {
                    service: service.name.clone(),
                    group: group.clone(),
                };
                self.remark(&path.host(host), &mut report);
                Some((live.host(host)?, report))
            };
            let serving = running.serving(service).map(|group| &group.name);
            Some(service_status(
                service,
                self.bound(service),
                &running.service,
                serving,
                host,
            ))
        });
        let uptime = self
            .lanes
            .first()
            .map_or(Duration::ZERO, |lane| lane.uptime());
        NodeStatus {
            uptime,
            services: services.collect(),
        }
    }

    /// Stops to accept. Sessions go on.
    pub fn stop_accepting(&mut self) {
        for (_, listening) in self.listening.drain() {
            listening.stop.cancel();
        }
        self.acceptors.close();
    }

    /// Lets lanes that are tasks of somebody's runtime end with their last session.
    pub fn retire_lanes(&self) {
        self.lanes.iter().for_each(|lane| lane.retire());
    }

    /// One of the lanes, for what they share.
    pub fn lane(&self) -> Option<Arc<Lane>> {
        self.lanes.first().cloned()
    }

    /// Follows the tasks that accept; they are done some time after [`Self::stop_accepting`].
    pub fn acceptors(&self) -> TaskTracker {
        self.acceptors.clone()
    }

    /// Sessions that are open, of all services that run or have run.
    pub fn active_sessions(&self) -> u32 {
        self.all_services()
            .map(|service| service.counters.active())
            .sum()
    }

    /// Tasks that are alive on the lanes.
    #[cfg(feature = "server")]
    pub fn tasks(&self) -> usize {
        let alive = |lane: &Arc<Lane>| lane.event_loop().tasks();
        self.lanes.iter().map(alive).sum()
    }

    /// Resets every session that is open now.
    pub fn close_all_sessions(&self) {
        for lane in &self.lanes {
            let now = lane.millis(Instant::now());
            self.all_services()
                .for_each(|service| service.close_sessions(now));
        }
        self.lanes.iter().for_each(|lane| lane.ring());
    }

    fn all_services(&self) -> impl Iterator<Item = &Arc<Service>> {
        let running = self.services.values().map(|running| &running.service);
        running.chain(&self.retired)
    }
}
