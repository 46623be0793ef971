//! Listeners as they come and stay: bound, taken up again, or told new options.
//! It must not start to accept; that comes when a topology is committed.

use std::io;

use super::{listening::Key, reconcile::Runtime};
use crate::{
    model::{
        address::Endpoint,
        topology::{self, Topology},
    },
    proxy::listener::{Left, Listener},
};

impl Runtime {
    /// Whether a listener of `service` may stay as it is. Whether it takes IPv4 is settled when it
    /// is bound, and it cannot be bound anew beside itself.
    pub(super) fn stays(&self, service: &topology::Service, address: &Endpoint) -> io::Result<()> {
        let before = self.topology.service(&service.name);
        let differs = before.is_some_and(|before| before.tcp.v6only != service.tcp.v6only);
        if differs && address.ip().is_some_and(|address| address.is_ipv6()) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        Ok(())
    }

    /// Binds what nobody listens on; or takes up again what somebody did until a moment ago and is
    /// not done with yet, which could not be bound.
    pub(super) fn bind(&self, key: &Key, service: &topology::Service) -> io::Result<Listener> {
        if let Some(inherited) = self.inherited(key, &service.tcp) {
            inherited.tune(&service.tcp, service.unix_mode)?;
            return Ok(inherited);
        }
        let left = self.left.get(key).and_then(Left::upgrade);
        left.map_or_else(
            || Listener::bind(&key.0, &service.tcp, service.unix_mode),
            Ok,
        )
    }

    /// What another process handed to us for `key`, if it can do as `tcp` says: whether it takes
    /// IPv4 is settled.
    fn inherited(&self, key: &Key, tcp: &topology::Tcp) -> Option<Listener> {
        let listeners = &self.inheritance.as_ref()?.listeners;
        let (_, listener) = listeners.iter().find(|(known, _)| known == key)?;
        listener.can(tcp).then(|| listener.share())
    }

    /// Has listeners that stay do as their service wants them to from now on.
    pub(super) fn tune_listeners(&self, next: &Topology) {
        for listening in self.listening.values() {
            let name = &listening.service;
            let options = |service: &topology::Service| (service.tcp, service.unix_mode);
            let before = self.topology.service(name).map(options);
            let Some(wanted) = next.service(name).map(options) else {
                continue;
            };
            let address = listening.listener.address();
            if before != Some(wanted)
                && let Err(error) = listening.listener.tune(&wanted.0, wanted.1)
            {
                tracing::warn!(service = %name, %address, %error, "cannot set options of a listener");
            }
        }
    }
}
