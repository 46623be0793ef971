//! The doors of the HTTP API: opened, and replaced by others while the node runs.
//! It must not close a door before the one that takes its place is open.

use std::{
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{runtime::Handle, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    handover::{Inherited, Socket},
    people::People,
    settings::Commit,
};
use crate::{
    config::Settings,
    control::Control,
    doors::http::{
        Api,
        tcp::{Bound, CertificateFiles, TcpDoor, TcpError, TcpOptions},
        unix::{Heirloom, SocketDoor, SocketError},
    },
};

/// Why a door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The socket of administrators cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The HTTP API cannot listen.
    #[error(transparent)]
    Http(#[from] TcpError),
}

/// The doors. Dropped, or when `stop` is cancelled, they close. Cheap to clone.
#[derive(Clone)]
pub(super) struct Doors {
    control: Control,
    people: Arc<People>,
    runtime: Handle,
    stop: CancellationToken,
    open: Arc<Mutex<Open>>,
    /// What another process handed to us.
    inherited: Inherited,
    /// Whether who comes is left to another process.
    rest: Arc<watch::Sender<bool>>,
    serving: TaskTracker,
}

/// Which doors are open.
#[derive(Default)]
struct Open {
    socket: Option<(SocketOptions, Heirloom, CancellationToken)>,
    http: Option<(TcpOptions, Bound, CancellationToken)>,
}

#[derive(Clone, PartialEq)]
struct SocketOptions {
    path: PathBuf,
    group: Option<String>,
}

impl Doors {
    /// No door is open yet.
    pub(super) fn new(
        control: Control,
        people: Arc<People>,
        runtime: Handle,
        stop: CancellationToken,
        inherited: Inherited,
    ) -> Self {
        Self {
            control,
            people,
            runtime,
            stop,
            open: Arc::default(),
            inherited,
            rest: Arc::new(watch::channel(false).0),
            serving: TaskTracker::new(),
        }
    }

    /// Binds what `settings` want and is not open yet. Run, what it gives serves there, and
    /// closes what they do not want: requests that were begun there are answered.
    ///
    /// # Errors
    /// What cannot be opened, and why.
    pub(super) fn prepare(&self, settings: &Settings) -> Result<Commit, DoorError> {
        let socket = self.prepare_socket(settings)?;
        let http = self.prepare_http(settings)?;
        Ok(Box::new(move || {
            socket();
            http();
        }))
    }

    fn prepare_socket(&self, settings: &Settings) -> Result<Commit, DoorError> {
        let wanted = SocketOptions {
            path: settings.admin_socket(),
            group: settings.admin.socket_group.clone(),
        };
        let group = wanted.group.as_deref();
        let there = self.open().socket.as_ref().map(|(there, ..)| there.clone());
        let door = match &there {
            Some(there) if *there == wanted => return Ok(Box::new(|| {})),
            Some(there) if there.path == wanted.path => SocketDoor::beside(&wanted.path, group)?,
            Some(_) | None => match self.inherited.socket(&wanted.path) {
                // One whose file was removed is bound anew: nobody could connect to it.
                Some(fd) if wanted.path.exists() => SocketDoor::inherit(fd, &wanted.path, group)?,
                Some(_) | None => SocketDoor::bind(&wanted.path, group)?,
            },
        };
        let (stop, api) = self.api();
        let (open, runtime) = (Arc::clone(&self.open), self.runtime.clone());
        let serving = self.serving.clone();
        Ok(Box::new(move || {
            tracing::info!(socket = %wanted.path.display(), "administrators may come in");
            let heirloom = door.heirloom();
            serving.spawn_on(report("socket", door.serve(api)), &runtime);
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((.., old)) = open.socket.replace((wanted, heirloom, stop)) {
                old.cancel();
            }
        }))
    }

    fn prepare_http(&self, settings: &Settings) -> Result<Commit, DoorError> {
        let wanted = settings.admin.http.as_ref().map(|http| {
            let name = http.certificate.as_ref();
            let files = name.and_then(|name| settings.certificates.get(name));
            TcpOptions {
                listen: http.listen.socket(),
                certificate: files.map(|files| CertificateFiles {
                    cert_file: files.cert_file.clone(),
                    // The check of the settings has seen that there is one.
                    key_file: files.key_file.clone().unwrap_or_default(),
                }),
                hosts: http.hosts.clone(),
            }
        });
        let there = {
            let open = self.open();
            let there = open.http.as_ref();
            there.map(|(options, bound, _)| (options.clone(), bound.clone()))
        };
        if there.as_ref().map(|(options, _)| options) == wanted.as_ref() {
            return Ok(Box::new(|| {}));
        }
        let door = match (wanted.clone(), &there) {
            (Some(wanted), Some((options, bound))) if options.listen == wanted.listen => {
                Some(TcpDoor::again(bound, wanted)?)
            }
            (Some(wanted), _) => Some(match self.inherited.tcp(wanted.listen) {
                Some(bound) => TcpDoor::again(&bound, wanted)?,
                None => TcpDoor::bind(wanted)?,
            }),
            (None, _) => None,
        };
        let (stop, api) = self.api();
        let (open, runtime) = (Arc::clone(&self.open), self.runtime.clone());
        let serving = self.serving.clone();
        Ok(Box::new(move || {
            let now = wanted.zip(door).map(|(wanted, door)| {
                tracing::info!(address = %door.address(), "administrators may come in");
                let bound = door.bound();
                serving.spawn_on(report("http", door.serve(api)), &runtime);
                (wanted, bound, stop)
            });
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, _, old)) = std::mem::replace(&mut open.http, now) {
                old.cancel();
            }
        }))
    }

    /// The sockets of the doors that are open, for another process to inherit.
    ///
    /// # Errors
    /// When there are no descriptors for it.
    pub(super) fn sockets(&self) -> io::Result<Vec<(Socket, OwnedFd)>> {
        let open = self.open();
        let mut found = Vec::new();
        if let Some((options, heirloom, _)) = &open.socket
            && let Some(fd) = heirloom.duplicate()?
        {
            let path = options.path.clone();
            found.push((Socket::Admin { path }, fd));
        }
        if let Some((options, bound, _)) = &open.http {
            let listen = options.listen;
            found.push((Socket::Http { listen }, bound.duplicate()?));
        }
        Ok(found)
    }

    /// Whether nobody is let in from now on; who comes waits.
    pub(super) fn rest(&self, rest: bool) {
        self.rest.send_replace(rest);
    }

    /// Waits until the last request that was begun has its answer, which is not for long once
    /// the doors were told to close.
    pub(super) async fn closed(&self) {
        self.serving.close();
        self.serving.wait().await;
    }

    /// What was inherited is ours for good; what no door has taken is let go of.
    pub(super) fn settle(&self) {
        self.leave(false);
        self.inherited.clear();
    }

    /// Whether the file of the Unix socket is another process's from now on.
    pub(super) fn leave(&self, left: bool) {
        if let Some((_, heirloom, _)) = &self.open().socket {
            heirloom.leave(left);
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The API for one door, and what closes that.
    fn api(&self) -> (CancellationToken, Api) {
        let stop = self.stop.child_token();
        let authority = Arc::clone(&self.people) as Arc<_>;
        let api = Api::new(self.control.clone(), authority, stop.clone());
        (stop, api.resting(self.rest.subscribe()))
    }
}

async fn report(door: &'static str, serving: impl Future<Output = io::Result<()>>) {
    if let Err(error) = serving.await {
        tracing::error!(door, %error, "a door is closed");
    }
}
