//! The doors of the HTTP API: opened, and replaced by others while the node runs.
//! It must not close a door before the one that takes its place is open.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{people::People, settings::Commit};
use crate::{
    config::Settings,
    control::Control,
    doors::http::{
        Api,
        tcp::{Bound, CertificateFiles, TcpDoor, TcpError, TcpOptions},
        unix::{SocketDoor, SocketError},
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

/// The doors. Dropped, or when `stop` is cancelled, they close.
pub(super) struct Doors {
    control: Control,
    people: Arc<People>,
    runtime: Handle,
    stop: CancellationToken,
    open: Arc<Mutex<Open>>,
}

/// Which doors are open.
#[derive(Default)]
struct Open {
    socket: Option<(SocketOptions, CancellationToken)>,
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
    ) -> Self {
        Self {
            control,
            people,
            runtime,
            stop,
            open: Arc::default(),
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
        let there = self.open().socket.as_ref().map(|(there, _)| there.clone());
        let door = match &there {
            Some(there) if *there == wanted => return Ok(Box::new(|| {})),
            Some(there) if there.path == wanted.path => SocketDoor::beside(&wanted.path, group)?,
            Some(_) | None => SocketDoor::bind(&wanted.path, group)?,
        };
        let (stop, api) = self.api();
        let (open, runtime) = (Arc::clone(&self.open), self.runtime.clone());
        Ok(Box::new(move || {
            tracing::info!(socket = %wanted.path.display(), "administrators may come in");
            runtime.spawn(report("socket", door.serve(api)));
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, old)) = open.socket.replace((wanted, stop)) {
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
            (Some(wanted), _) => Some(TcpDoor::bind(wanted)?),
            (None, _) => None,
        };
        let (stop, api) = self.api();
        let (open, runtime) = (Arc::clone(&self.open), self.runtime.clone());
        Ok(Box::new(move || {
            let now = wanted.zip(door).map(|(wanted, door)| {
                tracing::info!(address = %door.address(), "administrators may come in");
                let bound = door.bound();
                runtime.spawn(report("http", door.serve(api)));
                (wanted, bound, stop)
            });
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, _, old)) = std::mem::replace(&mut open.http, now) {
                old.cancel();
            }
        }))
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The API for one door, and what closes that.
    fn api(&self) -> (CancellationToken, Api) {
        let stop = self.stop.child_token();
        let authority = Arc::clone(&self.people) as Arc<_>;
        let api = Api::new(self.control.clone(), authority, stop.clone());
        (stop, api)
    }
}

async fn report(door: &'static str, serving: impl Future<Output = io::Result<()>>) {
    if let Err(error) = serving.await {
        tracing::error!(door, %error, "a door is closed");
    }
}
