//! What is counted and logged of sessions, and why one could not be served.
//! It must not do anything about it.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use super::{
    access_log::{Ended, Line, Refused},
    announce::HeaderError,
    ending::Ending,
    session::Session,
};
use crate::balance::{Lease, NoHost, admission::Denied, counters::Counter};

/// Why a connection could not be served.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("no PROXY protocol header in time, where one is required")]
    Unannounced,
    #[error(transparent)]
    NoHost(#[from] NoHost),
    #[error("every host is full, and it waited as long as it may")]
    Waited,
    #[error("no host could be connected to, of {tried} tried; the last said: {last}")]
    Unconnected { tried: usize, last: io::Error },
    #[error("the client left: {0}")]
    Left(io::Error),
    #[error("it was asked to end")]
    Closed,
    #[error("out of resources: {0}")]
    Resources(io::Error),
}

impl Session {
    /// Leaves the line of a session that has ended in the access log, where that is on.
    pub(super) fn log(
        &self,
        lease: &Lease,
        at: Option<SocketAddr>,
        connect_time: Duration,
        bytes: (u64, u64),
        ending: Ending,
    ) {
        let log = self.lane.access_log();
        if log.is_on() {
            log.leave(Line::Ended(Box::new(Ended {
                client: self.client,
                peer: self.peer,
                host: Arc::clone(lease.host()),
                at,
                bytes,
                connect_time,
                session_time: self.started.elapsed(),
                ending,
            })));
        }
    }

    /// Counts a connection that could not be served, and says why in the log.
    pub(super) fn refuse(&self, refusal: &Refusal) {
        refusal.counter(self).increment();
        let service = self.service();
        let log = self.lane.access_log();
        if log.is_on() {
            log.leave(Line::Refused(Box::new(Refused {
                client: self.client,
                peer: self.peer,
                service: service.name.clone(),
                session_time: self.started.elapsed(),
                why: refusal.to_string(),
            })));
        } else {
            tracing::debug!(service = %service.name, client = %self.client, "refused: {refusal}");
        }
    }
}

impl Refusal {
    fn counter<'a>(&self, session: &'a Session) -> &'a Counter {
        let refused = &session.service().counters.refused;
        match self {
            Self::Denied(Denied::Access) => &refused.denied,
            Self::Denied(Denied::ClientFull) => &refused.client_full,
            Self::Denied(Denied::Rate) => &refused.rate,
            Self::Denied(Denied::ClientRate) => &refused.client_rate,
            Self::Header(_) | Self::Unannounced => &refused.unannounced,
            Self::Waited => &refused.queue_timeout,
            Self::NoHost(NoHost::None) => &refused.no_host,
            Self::NoHost(NoHost::Full) => &refused.hosts_full,
            Self::Unconnected { .. } => &refused.connect_failed,
            Self::Left(_) => &refused.client_left,
            Self::Closed => &refused.closed,
            Self::Resources(_) => &refused.resources,
        }
    }
}
