//! Listeners: sockets that accept, and the loop that turns what they accept into sessions.
//! It must not wait for anybody: not for a client, not for a host, not for a session.

use std::{
    future::poll_fn,
    io,
    os::fd::{AsFd, OwnedFd},
    pin::pin,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use rustix::{
    event::epoll::EventFlags,
    io::Errno,
    net::{SocketAddrAny, SocketFlags, acceptfrom_with},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    event_loop::{Sleep, Watched},
    lane::Lane,
    peer::Peer,
    session::{Session, turn_away},
    socket::{inherited, listening, only_v6, tune},
    unix::{self, SocketFile},
};
use crate::{
    balance::{Service, service::Entry},
    model::{
        address::Endpoint,
        topology::{Tcp, UnixMode},
    },
};

/// How many connections are accepted before the sessions on the same thread have their turn.
const BATCH: usize = 16;
/// How long after a warning that it cannot accept there is no other.
const SILENCE: Duration = Duration::from_secs(10);
/// How long a listener that was given up goes on to accept what waits in it.
const BACKLOG_SERVED: Duration = Duration::from_millis(500);
/// How long accepting rests when there are no descriptors to accept with.
const REST: Duration = Duration::from_millis(100);

/// A socket that is bound and listens; connections wait in it until they are accepted.
#[derive(Debug)]
pub struct Listener {
    fd: Arc<OwnedFd>,
    address: Endpoint,
    /// That of a Unix socket; goes with the listener, so that nobody comes who is not served.
    file: Option<Arc<SocketFile>>,
}

/// A listener that was given up, and is open for as long as somebody still serves its backlog.
#[derive(Debug)]
pub struct Left {
    fd: Weak<OwnedFd>,
    address: Endpoint,
}

impl Left {
    /// The listener, while it is still open: its address cannot be bound anew until it is not. A
    /// Unix socket has lost its file, and is bound anew.
    pub fn upgrade(&self) -> Option<Listener> {
        self.address.ip()?;
        Some(Listener {
            fd: self.fd.upgrade()?,
            address: self.address.clone(),
            file: None,
        })
    }
}

/// Everything that is needed to accept from a listener, on every lane, except the go-ahead.
#[derive(Debug)]
pub struct Acceptors(Vec<Acceptor>);

#[derive(Debug)]
struct Acceptor {
    fd: Watched,
    /// Keeps [`Left`] alive for as long as `fd`, a duplicate of it, is open.
    _listener: Arc<OwnedFd>,
    address: Endpoint,
    lane: Arc<Lane>,
}

impl Listener {
    /// Binds to `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// When the address is in use, is not of this machine, or may not be bound by this user.
    pub fn bind(address: &Endpoint, tcp: &Tcp, mode: UnixMode) -> io::Result<Self> {
        let (fd, address, file) = match address {
            Endpoint::Ip(address) => {
                let (fd, address) = listening(*address, tcp)?;
                (fd, Endpoint::Ip(address), None)
            }
            Endpoint::Unix(path) => {
                let (fd, file) = unix::listening(path, tcp.backlog.get(), mode)?;
                (fd, address.clone(), Some(Arc::new(file)))
            }
        };
        Ok(Self {
            fd: Arc::new(fd),
            address,
            file,
        })
    }

    /// The listener at `address` that another process has bound, and hands to us. The file of a
    /// Unix socket is left to that process, until [`Self::answer_for_file`].
    ///
    /// # Errors
    /// When it is no socket that listens there.
    pub fn inherit(fd: OwnedFd, address: &Endpoint) -> io::Result<Self> {
        let (address, file) = match address {
            Endpoint::Ip(_) => (Endpoint::Ip(inherited(&fd)?), None),
            Endpoint::Unix(path) => (address.clone(), Some(unix::inherited(&fd, path)?)),
        };
        Ok(Self {
            fd: Arc::new(fd),
            address,
            file: file.map(Arc::new),
        })
    }

    /// The same listener again; it closes with the last.
    pub fn share(&self) -> Self {
        Self {
            fd: Arc::clone(&self.fd),
            address: self.address.clone(),
            file: self.file.clone(),
        }
    }

    /// Whether the file of a Unix socket goes when this listener closes.
    pub fn answer_for_file(&self, ours: bool) {
        if let Some(file) = &self.file {
            file.answer_for(ours);
        }
    }

    /// A descriptor of it, for another process.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.fd.try_clone()
    }

    /// Whether [`Self::tune`] can make it what `tcp` says.
    pub fn can(&self, tcp: &Tcp) -> bool {
        self.address.ip().is_none_or(|address| {
            address.is_ipv4() || only_v6(&self.fd).is_ok_and(|only| only == tcp.v6only)
        })
    }

    /// Has it listen as `tcp` and `mode` say from now on; connections that were made before keep
    /// what they have. Whether it takes IPv4 is settled when it is bound.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn tune(&self, tcp: &Tcp, mode: UnixMode) -> io::Result<()> {
        match &self.file {
            Some(file) => {
                file.permit(mode)?;
                Ok(rustix::net::listen(&self.fd, tcp.backlog.get())?)
            }
            None => tune(&self.fd, tcp),
        }
    }

    /// Remembers this listener without keeping it open.
    pub fn downgrade(&self) -> Left {
        Left {
            fd: Arc::downgrade(&self.fd),
            address: self.address.clone(),
        }
    }

    /// The address that it is bound to.
    pub fn address(&self) -> &Endpoint {
        &self.address
    }

    /// Gets ready to accept on all `lanes`.
    ///
    /// # Errors
    /// When there are no descriptors for it, or a lane's poller cannot take them.
    pub fn acceptors(&self, lanes: &[Arc<Lane>]) -> io::Result<Acceptors> {
        let acceptor = |lane: &Arc<Lane>| {
            Ok(Acceptor {
                fd: Watched::duplicate(self.fd.try_clone()?, lane.event_loop())?,
                _listener: Arc::clone(&self.fd),
                address: self.address.clone(),
                lane: Arc::clone(lane),
            })
        };
        let acceptors = lanes.iter().map(acceptor);
        acceptors.collect::<io::Result<_>>().map(Acceptors)
    }
}

impl Acceptors {
    /// Accepts for `service` until `stop`, in tasks that `tracker` follows. Connections that the
    /// kernel has let in by then are still served.
    pub fn start(self, service: &Arc<Service>, stop: &CancellationToken, tracker: &TaskTracker) {
        for acceptor in self.0 {
            let event_loop = acceptor.lane.event_loop().clone();
            let accepting = acceptor.run(Arc::clone(service), stop.clone());
            event_loop.spawn(tracker.track_future(accepting));
        }
    }
}

/// Why a batch of accepts ended.
enum Pause {
    /// Nothing waits any more.
    Empty,
    /// Others are to have their turn.
    Turn,
    /// This machine cannot take more connections now.
    Exhausted(Errno),
}

impl Acceptor {
    async fn run(self, service: Arc<Service>, stop: CancellationToken) {
        let mut stop = pin!(stop.cancelled());
        let mut warned: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                // It is watched from the start, so that this cannot fail.
                _ready = poll_fn(|cx| self.fd.poll_ready(cx, EventFlags::IN)) => {}
            }
            match self.accept_batch(&service) {
                Pause::Empty => self.fd.clear(EventFlags::IN),
                Pause::Turn => tokio::task::yield_now().await,
                Pause::Exhausted(error) => {
                    if warned.is_none_or(|at| at.elapsed() >= SILENCE) {
                        warned = Some(Instant::now());
                        tracing::warn!(
                            service = %service.name, address = %self.address, %error,
                            "cannot accept; trying again every {REST:?}"
                        );
                    }
                    Sleep::for_at_least(self.lane.event_loop(), REST)
                        .wait()
                        .await;
                }
            }
        }
        // Who was let in by the kernel before the end is served; closing would reset them.
        // New ones may come all the while, and are not waited for.
        let until = Instant::now() + BACKLOG_SERVED;
        while let Pause::Turn = self.accept_batch(&service)
            && Instant::now() < until
        {
            tokio::task::yield_now().await;
        }
    }

    fn accept_batch(&self, service: &Arc<Service>) -> Pause {
        for _ in 0..BATCH {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            match acceptfrom_with(self.fd.as_fd(), flags) {
                Ok((client, peer)) => self.admit(service, client, self.peer(peer)),
                Err(Errno::AGAIN) => return Pause::Empty,
                Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                    return Pause::Exhausted(error);
                }
                // Troubles of the connection that was to be accepted: accept(2), "Error handling".
                Err(_) => {}
            }
        }
        Pause::Turn
    }

    /// Who `address` is; `None` for one whose connection has broken already.
    fn peer(&self, address: Option<SocketAddrAny>) -> Option<Peer> {
        match &self.address {
            Endpoint::Ip(_) => Some(Peer::Ip(address?.try_into().ok()?)),
            Endpoint::Unix(_) => Some(Peer::Unix),
        }
    }

    fn admit(&self, service: &Arc<Service>, client: OwnedFd, peer: Option<Peer>) {
        let counters = &service.counters;
        counters.accepted.increment();
        let Some(peer) = peer else {
            return turn_away(client);
        };
        let view = service.view();
        let Some(entry) = Entry::take(service, &view) else {
            counters.refused.service_full.increment();
            return turn_away(client);
        };
        let lane = Arc::clone(&self.lane);
        let mut session = Session::new(entry, lane, peer);
        let terms = &view.terms;
        // Who is announced by somebody else is let in when that is known.
        if !session.is_announced(terms)
            && let Err(refusal) = session.let_in(terms)
        {
            session.refuse(&refusal);
            return turn_away(client);
        }
        let greets = session.has_to_greet(terms);
        self.lane.event_loop().spawn(session.run(client, greets));
    }
}
