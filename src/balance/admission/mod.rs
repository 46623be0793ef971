//! Who is let in, and who has to wait: access rules, shares of clients, rates, the queue.
//! It must not know sockets or clocks; addresses and moments are told to it.

mod access;
mod clients;
mod queue;
mod rate;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

pub use access::AccessList;
pub use clients::{Client, Clients, Place};
pub use queue::{Queue, Ticket};
pub use rate::{PerClient, Total};

/// What a connection must pass before a host is looked for.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// Who is let in, by address.
    pub access: AccessList,
    /// Sessions of one client at a time, and those there are; `None`: no limit.
    pub per_client: Option<(u32, Arc<Clients>)>,
    /// How often connections may come; `None`: as often as they like.
    pub rate: Option<Arc<Total>>,
    /// How often those of one client may come.
    pub rate_per_client: Option<Arc<PerClient>>,
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// An access rule says so.
    #[error("its address is denied access")]
    Access,
    /// Its client has as many sessions as it may.
    #[error("the client has as many sessions as it may")]
    ClientFull,
    /// More come than may.
    #[error("too many connections come at once")]
    Rate,
    /// More come from its client than may.
    #[error("too many connections of the client come at once")]
    ClientRate,
}

impl Admission {
    /// Whether it lets everybody in, so that there is nothing to ask.
    pub fn is_open(&self) -> bool {
        self.access.is_open()
            && self.per_client.is_none()
            && self.rate.is_none()
            && self.rate_per_client.is_none()
    }

    /// Lets a connection from `client` (`None`: one without an address; all those are one client) in
    /// at `now` (nanoseconds on any clock that never goes
    /// back). What it counts towards its client's sessions is counted until dropped.
    ///
    /// # Errors
    /// Why it is not let in. It then counts against no limit that it has not reached.
    pub fn admit(&self, client: Option<IpAddr>, now: u64) -> Result<Option<Place>, Denied> {
        if !self.access.allows(client) {
            return Err(Denied::Access);
        }
        let who = Client::from(client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        let place = match &self.per_client {
            Some((limit, clients)) => Some(clients.take(who, *limit).ok_or(Denied::ClientFull)?),
            None => None,
        };
        let paced = self.rate_per_client.as_ref();
        if paced.is_some_and(|rate| !rate.admits(who, now)) {
            return Err(Denied::ClientRate);
        }
        if self.rate.as_ref().is_some_and(|rate| !rate.admits(now)) {
            return Err(Denied::Rate);
        }
        Ok(place)
    }
}
