//! A node as it starts: its file, its journal, its people and its doors, found and tied together.
//! It must not change anything but through the pipeline once that runs.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    document::{Digests, Document, as_read},
    last_good,
    people::{Asked, KEPT, People},
};
use crate::{
    config::{Config, ConfigError, Digest, Settings, Store, StoreError},
    control::{
        Balancer, Control,
        controller::{Begin, Start, StartError as ControlError, start},
        outside::Told,
        record::{Last, Record, RecordError},
    },
    doors::http::{
        Api,
        tcp::{CertificateFiles, TcpDoor, TcpError, TcpOptions},
        unix::{SocketDoor, SocketError},
    },
    journal::{Journal, Keep, OpenError},
    model::error::CommandError,
};

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration file cannot be read or does not pass.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration file cannot be written, or not be kept track of.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory for what must last cannot be made.
    #[error("cannot create {}: {source}", path.display())]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The journal cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// What the settings say of people cannot be used.
    #[error("[auth]: {0}")]
    People(CommandError),
    /// The configuration cannot be run or recorded.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The socket of administrators cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The HTTP API cannot listen.
    #[error(transparent)]
    Http(#[from] TcpError),
}

/// A node that runs.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) control: Control,
    thread: JoinHandle<()>,
    doors: CancellationToken,
}

/// What was read and opened before anything runs.
struct Opened {
    settings: Settings,
    store: Store,
    journal: Journal,
    begin: Begin,
    /// What the file must say for us to overwrite it.
    expected: Option<Digest>,
    /// The file is behind the journal: a crash came between the two.
    behind: bool,
}

/// Starts the node that `file` describes, on `balancer`; its doors are served on `runtime`.
pub(super) fn start_node(
    file: &Path,
    settings: Settings,
    balancer: &Arc<Balancer>,
    runtime: &Handle,
) -> Result<Node, NodeError> {
    let opened = open(file, settings)?;
    let people = Arc::new(People::new(&opened.settings).map_err(NodeError::People)?);
    last_good::keep(file, &opened.settings);
    let Told { events, keep, .. } = people.restore(opened.journal.kept(KEPT)?);
    let heed = {
        let (people, runtime) = (Arc::clone(&people), runtime.clone());
        let started = opened.settings.clone();
        let file = file.to_owned();
        move |settings: &Settings| {
            warn_of_restart(&started, settings);
            let _inside = runtime.enter();
            last_good::keep(&file, settings);
            people.heed(settings);
        }
    };
    let revision = match &opened.begin {
        Begin::Recorded(last) => last.state.revision.saturating_sub(opened.behind.into()),
        Begin::New { last, .. } => last.as_ref().map_or(0, |last| last.state.revision) + 1,
    };
    let document = Document::new(opened.store, opened.expected, revision, heed);
    let access = Asked {
        people: Arc::clone(&people),
        runtime: runtime.clone(),
    };
    let (control, thread) = start(Start {
        node: opened.settings.node.name.clone(),
        balancer: Arc::clone(balancer),
        record: Box::new(opened.journal),
        file: Some(Box::new(document)),
        access: Some(Box::new(access)),
        first: opened.begin,
        redo_file: opened.behind,
    })?;
    people.tell(control.clone());
    let doors = CancellationToken::new();
    serve(&opened.settings, &control, &people, &doors, runtime)?;
    let recording = control.clone();
    runtime.spawn(async move {
        for (key, value) in keep {
            let _ = recording.keep(key, value).await;
        }
        let _ = recording.record(events).await;
    });
    runtime.spawn(keep_telling(people, doors.clone()));
    Ok(Node {
        control,
        thread,
        doors,
    })
}

impl Node {
    /// Closes the doors, and has everything recorded that was asked before.
    pub(super) fn stop(self) {
        self.doors.cancel();
        self.control.stop();
        if self.thread.join().is_err() {
            tracing::error!("the control thread panicked");
        }
    }
}

fn open(file: &Path, settings: Settings) -> Result<Opened, NodeError> {
    let state_dir = &settings.node.state_dir;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state_dir);
    made.map_err(|source| NodeError::StateDir {
        path: state_dir.clone(),
        source,
    })?;
    let keep = Keep {
        events: settings.node.events_kept.get().into(),
        revisions: settings.node.revisions_kept.get().into(),
    };
    let journal = Journal::open(state_dir, keep)?;
    let store = Store::open(file, state_dir)?;
    let last = journal.last()?;
    let read = store.read();
    let (settings, begin, expected, behind) = match (read, last) {
        (Ok((config, digest)), last) => decide(config, digest, last),
        // What runs is worth more than what cannot be read.
        (Err(error), Some(last)) => {
            tracing::error!("{error}");
            tracing::error!(
                revision = last.state.revision,
                "the file does not pass; the last good revision runs"
            );
            let expected = digests(&last).map(|digests| digests.text);
            (settings, Begin::Recorded(last), expected, false)
        }
        (Err(error), None) => return Err(error.into()),
    };
    Ok(Opened {
        settings,
        store,
        journal,
        begin,
        expected,
        behind,
    })
}

fn digests(last: &Last) -> Option<Digests> {
    Digests::from_bytes(last.file_digest.as_deref()?)
}

/// With which configuration to begin: the journal's, or the file's where somebody edited it.
fn decide(
    config: Config,
    digest: Digest,
    last: Option<Last>,
) -> (Settings, Begin, Option<Digest>, bool) {
    let Config { settings, topology } = config;
    let new = |last| Begin::New {
        topology: topology.clone(),
        digest: Some(as_read(digest)),
        last,
    };
    let Some(last) = last else {
        return (settings, new(None), Some(digest), false);
    };
    if last.state.topology == topology {
        return (settings, Begin::Recorded(last), Some(digest), false);
    }
    // By its text, and not by what it says: changes that share a file write leave it several
    // revisions behind.
    let replaced = digests(&last).and_then(|digests| digests.replaced);
    if replaced == Some(digest) {
        tracing::warn!(
            revision = last.state.revision,
            "the file is behind the journal; it is written again"
        );
        return (settings, Begin::Recorded(last), Some(digest), true);
    }
    tracing::info!("the file was edited; it is taken in as a new revision");
    (settings, new(Some(last)), Some(digest), false)
}

/// Opens the doors, and serves them until `stop`.
fn serve(
    settings: &Settings,
    control: &Control,
    people: &Arc<People>,
    stop: &CancellationToken,
    runtime: &Handle,
) -> Result<(), NodeError> {
    let _inside = runtime.enter();
    let api = Api::new(control.clone(), Arc::clone(people) as Arc<_>, stop.clone());
    let path = settings.admin_socket();
    let socket = SocketDoor::bind(&path, settings.admin.socket_group.as_deref())?;
    tracing::info!(socket = %path.display(), "administrators may come in");
    runtime.spawn(report("socket", socket.serve(api.clone())));
    if let Some(http) = &settings.admin.http {
        let files = http
            .certificate
            .as_ref()
            .and_then(|name| settings.certificates.get(name));
        let door = TcpDoor::bind(TcpOptions {
            listen: http.listen.socket(),
            certificate: files.map(|files| CertificateFiles {
                cert_file: files.cert_file.clone(),
                // The check of the settings has seen that there is one.
                key_file: files.key_file.clone().unwrap_or_default(),
            }),
            hosts: http.hosts.clone(),
        })?;
        tracing::info!(address = %door.address(), "administrators may come in");
        runtime.spawn(report("http", door.serve(api)));
    }
    Ok(())
}

/// Says what of the settings is heeded only at the next start.
fn warn_of_restart(started: &Settings, now: &Settings) {
    let changed = [
        ("[node]", started.node != now.node),
        ("[admin]", started.admin != now.admin),
        ("[certificates]", started.certificates != now.certificates),
        ("services_file", started.services_file != now.services_file),
    ];
    for (what, _) in changed.iter().filter(|(_, changed)| *changed) {
        tracing::warn!("{what} has changed; that takes a restart");
    }
}

/// Says whether the people of these settings can be let in.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn check_people(settings: &Settings) -> Result<(), CommandError> {
    People::new(settings).map(drop)
}

async fn report(door: &'static str, serving: impl Future<Output = io::Result<()>>) {
    if let Err(error) = serving.await {
        tracing::error!(door, %error, "a door is closed");
    }
}

/// Failed log-ins are counted up and told from time to time.
async fn keep_telling(people: Arc<People>, stop: CancellationToken) {
    let mut often = tokio::time::interval(std::time::Duration::from_secs(2));
    while stop.run_until_cancelled(often.tick()).await.is_some() {
        people.tell_what_is_due().await;
    }
}
