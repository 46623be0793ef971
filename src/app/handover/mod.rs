//! The hand-over of an upgrade: what the old process and the new one say to each other.
//! It must not leave a moment in which nobody listens, nor one in which both record.
//!
//! The new process has the channel as its standard input. It reads its configuration and says
//! [`FromNew::Checked`]. The old one stops what must not be done twice, lets go of the journal, and
//! hands over its sockets and [`FromOld::TakeOver`]. The new one opens everything, says
//! [`FromNew::Ready`], hears [`FromOld::Go`], accepts, and says [`FromNew::Serving`]. Until then
//! the old one can end it and go on, and afterwards only lets its sessions end.

mod channel;
mod heir;
mod predecessor;

use std::{
    net::SocketAddr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    control::{record::Entry, succession::Key},
    doors::http::tcp::Bound,
};

pub(super) use heir::{Parts, Upgrader};
pub(crate) use predecessor::Predecessor;
pub(super) use predecessor::{Estate, Past};

/// The language of this page; processes that do not share it do not hand over.
const PROTOCOL: u32 = 1;
/// What tells a process that it is to take over.
const SIGN: &str = "POINTSMAN_UPGRADE";
/// How long the new program may take to look at its configuration.
const CHECK: Duration = Duration::from_secs(20);
/// How long it may take to open everything. Meanwhile no command is carried out, and the
/// watchdog of the service manager is patient for 15 seconds.
const OPEN: Duration = Duration::from_secs(10);
/// How long it may take to accept.
const ACCEPT: Duration = Duration::from_secs(5);

/// What the old process says.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "old", rename_all = "kebab-case")]
enum FromOld {
    /// A socket comes with this.
    Socket { socket: Socket },
    /// That was all, and the journal is free.
    TakeOver {
        entry: Box<Entry>,
        process: u32,
        version: String,
    },
    /// Nothing is in the way any more.
    Go {},
    /// The other one is the service now.
    Over {},
}

/// What the new process says.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "new", rename_all = "kebab-case")]
enum FromNew {
    /// The configuration passes.
    Checked { protocol: u32, version: String },
    /// Everything is open; nothing is accepted yet.
    Ready {},
    /// Connections are accepted.
    Serving {},
    /// It cannot be.
    Refused { message: String },
}

/// What a socket is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "for", rename_all = "kebab-case")]
pub(super) enum Socket {
    /// A service.
    Service { key: Key },
    /// Administrators on this machine.
    Admin { path: PathBuf },
    /// The HTTP API.
    Http { listen: SocketAddr },
    /// Those who only watch.
    Metrics { listen: SocketAddr },
}

/// Sockets for doors, until the doors take them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Inherited(Arc<Mutex<Vec<(Socket, OwnedFd)>>>);

impl Inherited {
    fn new(sockets: Vec<(Socket, OwnedFd)>) -> Self {
        Self(Arc::new(Mutex::new(sockets)))
    }

    /// The Unix socket at `path`.
    pub(super) fn socket(&self, path: &Path) -> Option<OwnedFd> {
        let path = path.to_owned();
        self.take(&Socket::Admin { path })
    }

    /// The TCP socket that was bound as `listen`.
    pub(super) fn tcp(&self, listen: SocketAddr) -> Option<Bound> {
        let fd = self.take(&Socket::Http { listen })?;
        Bound::inherit(fd).ok()
    }

    /// The same, for figures.
    pub(super) fn metrics(&self, listen: SocketAddr) -> Option<Bound> {
        let fd = self.take(&Socket::Metrics { listen })?;
        Bound::inherit(fd).ok()
    }

    fn take(&self, wanted: &Socket) -> Option<OwnedFd> {
        let mut sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = sockets.iter().position(|(socket, _)| socket == wanted)?;
        Some(sockets.swap_remove(found).1)
    }

    /// Lets go of what no door has taken. Nobody else will remove the file of a Unix socket.
    pub(super) fn clear(&self) {
        let mut sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (socket, _) in sockets.drain(..) {
            if let Socket::Admin { path } = socket
                && let Err(error) = std::fs::remove_file(&path)
            {
                tracing::warn!(%error, socket = %path.display(), "a former socket stays");
            }
        }
    }
}
