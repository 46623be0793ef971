//! The view: everything that a new session needs to know of its service, immutable, swapped whole.
//! It must not hold a host that may not take sessions.

use std::{borrow::Cow, net::IpAddr, time::Duration};

use super::{
    admission::{AccessList, Admission},
    host::{Candidate, Lease},
    scheduler::{Ask, Scheduler},
};
use crate::model::{name::Name, topology::SendProxy};

/// How many full hosts a scheduler may come up with before all hosts are looked through.
const DRAWS: usize = 8;

/// What holds for new sessions of a service.
#[derive(Debug)]
pub struct View {
    /// The active group.
    pub group: Name,
    /// What holds whichever host is picked.
    pub terms: Terms,
    hosts: Box<[Candidate]>,
    scheduler: Box<dyn Scheduler>,
}

/// What holds for new sessions, whichever host is picked.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Sessions of the service at a time.
    pub sessions: u32,
    /// How many further hosts are tried when a connect fails.
    pub retries: u8,
    /// Who is let in.
    pub admission: Admission,
    /// Who may wait when every host is full.
    pub queue: Waiting,
    /// Who announces its clients by the PROXY protocol, by address; `None`: nobody.
    pub announced_by: Option<AccessList>,
    /// How hosts are told who the client is.
    pub send_proxy: Option<SendProxy>,
    /// How hosts are connected to.
    pub outgoing: Outgoing,
}

/// Who may wait when every host is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub length: u32,
    /// For how long; `None` is for ever.
    pub timeout: Option<Duration>,
}

/// How hosts are connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// From which address of this machine; `None`: the system chooses.
    pub source: Option<IpAddr>,
    /// After how much silence the kernel asks whether the host is still there.
    pub keepalive: Option<Duration>,
    /// How long what was sent may go unacknowledged.
    pub user_timeout: Option<Duration>,
}

impl Terms {
    /// Terms without limits.
    pub fn unlimited(timeouts: Timeouts, retries: u8) -> Self {
        Self {
            timeouts,
            sessions: u32::MAX,
            retries,
            admission: Admission::default(),
            queue: Waiting::default(),
            announced_by: None,
            send_proxy: None,
            outgoing: Outgoing::default(),
        }
    }
}

/// How long things may take; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection to a host to stand.
    pub connect: Option<Duration>,
    /// Without a byte in either direction.
    pub idle: Option<Duration>,
    /// Without a byte, after one side has finished sending.
    pub half_closed: Option<Duration>,
    /// From accept to the end.
    pub lifetime: Option<Duration>,
}

/// Why there is no host for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHost {
    /// The group has none that may take sessions, or each was tried.
    #[error("no host can take a connection")]
    None,
    /// Each has as many sessions as it may.
    #[error("every host is full")]
    Full,
}

impl View {
    /// A view of the group `group`, in which `scheduler` (built for just these) picks from `hosts`.
    pub fn new(
        group: Name,
        terms: Terms,
        hosts: Box<[Candidate]>,
        scheduler: Box<dyn Scheduler>,
    ) -> Self {
        Self {
            group,
            terms,
            hosts,
            scheduler,
        }
    }

    /// The hosts that may take sessions.
    pub fn hosts(&self) -> &[Candidate] {
        &self.hosts
    }

    /// Picks a host for a session from `client` and takes a place on it. `now` is in milliseconds
    /// on any clock that never goes back, `random` any 64 random bits, `tried` the serials of the
    /// hosts that this session has tried in vain.
    ///
    /// # Errors
    /// [`NoHost`] when every host was tried or is full.
    pub fn acquire(
        &self,
        client: IpAddr,
        now: u64,
        random: u64,
        tried: &[u64],
    ) -> Result<Lease, NoHost> {
        let mut excluded = Cow::Borrowed(tried);
        // Who was picked but takes only a portion: it takes the session if nobody else does.
        let mut spared = None;
        for draw in 0..DRAWS {
            let ask = Ask {
                client,
                now,
                random,
                excluded: &excluded,
            };
            let Some(index) = self.scheduler.pick(&self.hosts, &ask) else {
                if spared.is_some() {
                    break;
                }
                return Err(if draw == 0 {
                    NoHost::None
                } else {
                    NoHost::Full
                });
            };
            if let Some(portion) = &self.hosts[index].portion
                && !portion.takes(now, random.rotate_left(draw as u32 * 7))
            {
                spared = spared.or(Some(index));
            } else if let Some(lease) = Lease::take(&self.hosts[index]) {
                return Ok(lease);
            }
            excluded.to_mut().push(self.hosts[index].host.serial());
        }
        let spared = spared.and_then(|index| Lease::take(&self.hosts[index]));
        spared
            .or_else(|| self.first_with_room(random, tried))
            .ok_or(NoHost::Full)
    }

    /// The host that a session would be sent to, without taking a place on it.
    pub fn preview(&self, client: IpAddr, now: u64, random: u64) -> Option<&Candidate> {
        let ask = Ask {
            client,
            now,
            random,
            excluded: &[],
        };
        self.scheduler
            .pick(&self.hosts, &ask)
            .map(|index| &self.hosts[index])
    }

    /// Looks through all hosts, from a random one on: slow, but only where nearly all are full.
    fn first_with_room(&self, random: u64, tried: &[u64]) -> Option<Lease> {
        let start = (random % self.hosts.len().max(1) as u64) as usize;
        let (before, after) = self.hosts.split_at(start);
        after
            .iter()
            .chain(before)
            .filter(|candidate| !tried.contains(&candidate.host.serial()))
            .filter(|candidate| !candidate.is_full())
            .find_map(Lease::take)
    }

    /// Tells the scheduler that this view is the one shown now; see [`Scheduler::settle`].
    pub(super) fn settle(&self) {
        self.scheduler.settle(&self.hosts);
    }
}
