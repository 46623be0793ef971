//! A service as it runs: its counters, and the view that its sessions look at.
//! It must not know listeners; those point here, not the other way round.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{
    admission::Queue, closing::Closing, counters::ServiceCounters, opening::Opening, view::View,
};
use crate::model::name::Name;

/// A service as it runs, from when it is added until its last session has ended.
#[derive(Debug)]
pub struct Service {
    /// Its name.
    pub name: Name,
    /// What is counted of it.
    pub counters: ServiceCounters,
    /// Who waits for a place on one of its hosts.
    pub queue: Arc<Queue>,
    /// Who speaks first in its sessions.
    pub opening: Opening,
    closing: Closing,
    view: ArcSwap<View>,
}

impl Service {
    /// A service whose sessions look at `view`.
    pub fn new(name: Name, view: View) -> Self {
        let service = Self {
            name,
            counters: ServiceCounters::default(),
            queue: Arc::default(),
            opening: Opening::default(),
            closing: Closing::default(),
            view: ArcSwap::from_pointee(view),
        };
        service.view.load().settle();
        service
    }

    /// What holds for new sessions now: one atomic load.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Asks its sessions that started at `moment` or before to end; see [`Closing`].
    pub fn close_sessions(&self, moment: u64) {
        self.closing.ask(moment);
    }

    /// Whether a session that started at `started` was asked to end.
    pub fn is_closing(&self, started: u64) -> bool {
        self.closing.is_asked(started)
    }

    /// Replaces what holds for new sessions. Open ones notice nothing. Called by one thread at a
    /// time: the last view to be stored must be the last to settle.
    pub fn show(&self, view: View) {
        let view = Arc::new(view);
        self.view.store(Arc::clone(&view));
        view.settle();
        self.queue.tell();
    }
}

/// A session of a service: counted from its accept until dropped.
#[derive(Debug)]
pub struct Entry(Arc<Service>);

impl Entry {
    /// Counts a session in, unless the service has as many as `view` allows.
    pub fn take(service: &Arc<Service>, view: &View) -> Option<Self> {
        service
            .counters
            .enter(view.terms.sessions)
            .then(|| Self(Arc::clone(service)))
    }

    /// The service.
    pub fn service(&self) -> &Service {
        &self.0
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.counters.leave();
        // Whatever it had of a host has been given back.
        self.0.queue.tell();
    }
}
