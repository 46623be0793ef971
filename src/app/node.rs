//! A node as it starts: its file, its journal, its people and its doors, found and tied together.
//! It must not change anything but through the pipeline once that runs.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use tokio::runtime::{Handle, Runtime};
use tokio_util::sync::CancellationToken;

use super::{
    begin,
    bus::{Board, Bus, BusError},
    bus_door::{BusDoor, BusDoorError},
    document::Document,
    doors::{DoorError, Doors},
    last_good,
    metrics::{Metrics, MetricsError, Sources},
    people::{KEPT, People},
    settings::{Commit, Living},
};
use crate::{
    config::{ConfigError, Settings, StoreError},
    control::{
        Balancer, Control,
        controller::{Begin, Start, StartError as ControlError, start},
        outside::Told,
        record::{Record, RecordError},
    },
    journal::{Keep, Keeping, OpenError},
    model::error::{Code, CommandError},
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
    /// A door for administrators cannot be opened.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// Figures cannot be shown where they are wanted.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// What the message bus needs is not to be had.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The door for log-ins and commands over the bus cannot be opened.
    #[error(transparent)]
    BusDoor(#[from] BusDoorError),
}

/// A node that runs.
pub(super) struct Node {
    pub(super) control: Control,
    pub(super) living: Living,
    thread: JoinHandle<()>,
    doors: CancellationToken,
    bus: Bus,
}

/// Starts the node that `file` describes, on `balancer`; its doors are served on `runtime`.
pub(super) fn start_node(
    file: &Path,
    settings: Settings,
    balancer: &Arc<Balancer>,
    runtime: &Handle,
) -> Result<Node, NodeError> {
    let opened = begin::open(file, settings)?;
    let people = Arc::new(People::new(&opened.settings).map_err(NodeError::People)?);
    last_good::keep(file, &opened.settings);
    let living = Living::new(opened.settings);
    join(&living, file, balancer, opened.journal.keeping());
    balancer.set_means(living.means());
    let Told { events, keep, .. } = people.restore(opened.journal.kept(KEPT)?);
    let revision = match &opened.begin {
        Begin::Recorded(last) => last.state.revision.saturating_sub(opened.behind.into()),
        Begin::New { last, .. } => last.as_ref().map_or(0, |last| last.state.revision) + 1,
    };
    let document = Document::new(opened.store, opened.expected, revision, living.clone());
    let board = Arc::new(Board::default());
    let (control, thread) = start(Start {
        node: living.now().node.name.clone(),
        balancer: Arc::clone(balancer),
        record: Box::new(opened.journal),
        file: Some(Box::new(document)),
        access: Some(Arc::clone(&people) as Arc<_>),
        bus: Some(Arc::clone(&board) as Arc<_>),
        first: opened.begin,
        redo_file: opened.behind,
    })?;
    people.tell(control.clone());
    let doors = CancellationToken::new();
    open_doors(&living, &control, &people, &doors, runtime)?;
    let figures = Sources {
        control: control.clone(),
        balancer: Arc::clone(balancer),
        people: Arc::clone(&people),
        bus: Arc::clone(&board) as Arc<_>,
        runtime: runtime.clone(),
    };
    show_figures(
        &living,
        Metrics::new(figures, runtime.clone(), doors.clone()),
    )?;
    let bus = Bus::new(control.clone(), runtime.clone(), board);
    join_bus(&living, &bus)?;
    let (asked, stop) = (Arc::clone(&people), doors.clone());
    BusDoor::open(&living, control.clone(), asked, runtime.clone(), stop)?;
    let recording = control.clone();
    runtime.spawn(async move {
        for (key, value) in keep {
            let _ = recording.keep(key, value).await;
        }
        let _ = recording.record(events).await;
    });
    runtime.spawn(look_after(Arc::clone(&people), doors.clone()));
    runtime.spawn(keep_telling(people, doors.clone()));
    Ok(Node {
        control,
        living,
        thread,
        doors,
        bus,
    })
}

impl Node {
    /// Closes the doors, and has everything recorded that was asked before.
    pub(super) fn stop(self, runtime: &Runtime) {
        self.doors.cancel();
        runtime.block_on(async {
            // Its last event is to be sent too.
            self.control.leave().await;
            self.bus.end().await;
        });
        self.control.stop();
        if self.thread.join().is_err() {
            tracing::error!("the control thread panicked");
        }
    }
}

/// How much the journal keeps.
pub(super) fn kept(settings: &Settings) -> Keep {
    Keep {
        events: settings.node.events_kept.get().into(),
        revisions: settings.node.revisions_kept.get().into(),
    }
}

/// Has what cannot refuse anything live by the settings.
fn join(living: &Living, file: &Path, balancer: &Arc<Balancer>, keeping: Keeping) {
    let (file, balancer) = (file.to_owned(), Arc::clone(balancer));
    living.join(move |next| {
        let (file, balancer) = (file.clone(), Arc::clone(&balancer));
        let (keeping, next) = (keeping.clone(), next.clone());
        Ok(Box::new(move || {
            last_good::keep(&file, &next);
            balancer.log_access(next.node.access_log);
            keeping.set(kept(&next));
        }))
    });
}

/// Lets people and doors live by the settings, and opens the doors until `stop`.
fn open_doors(
    living: &Living,
    control: &Control,
    people: &Arc<People>,
    stop: &CancellationToken,
    runtime: &Handle,
) -> Result<(), DoorError> {
    let known = Arc::clone(people);
    let inside = runtime.clone();
    living.join(move |next| {
        let known = Arc::clone(&known);
        let inside = inside.clone();
        let ready = People::prepare(next)?;
        Ok(Box::new(move || {
            let _inside = inside.enter();
            known.take_in(ready);
        }))
    });
    let (control, people) = (control.clone(), Arc::clone(people));
    let doors = Doors::new(control, people, runtime.clone(), stop.clone());
    let open: Commit = doors.prepare(&living.now())?;
    open();
    living.join(move |next| {
        let refused = |error: DoorError| CommandError::new(Code::Failed, error.to_string());
        doors.prepare(next).map_err(refused)
    });
    Ok(())
}

/// Lets the door for figures live by the settings, and opens it.
fn show_figures(living: &Living, metrics: Metrics) -> Result<(), MetricsError> {
    let open: Commit = metrics.prepare(&living.now())?;
    open();
    living.join(move |next| {
        let refused = |error: MetricsError| CommandError::new(Code::Failed, error.to_string());
        metrics.prepare(next).map_err(refused)
    });
    Ok(())
}

/// Lets the bus live by the settings, and connects.
fn join_bus(living: &Living, bus: &Bus) -> Result<(), BusError> {
    let connect: Commit = bus.prepare(&living.now())?;
    connect();
    let part = bus.clone();
    living.join(move |next| {
        let refused = |error: BusError| CommandError::new(Code::Failed, error.to_string());
        part.prepare(next).map_err(refused)
    });
    Ok(())
}

/// Directories that were away are looked for from time to time.
async fn look_after(people: Arc<People>, stop: CancellationToken) {
    let mut often = tokio::time::interval(std::time::Duration::from_secs(2));
    while stop.run_until_cancelled(often.tick()).await.is_some() {
        people.look_after().await;
    }
}

/// Failed log-ins are counted up and told from time to time.
async fn keep_telling(people: Arc<People>, stop: CancellationToken) {
    let mut often = tokio::time::interval(std::time::Duration::from_secs(2));
    while stop.run_until_cancelled(often.tick()).await.is_some() {
        people.tell_what_is_due().await;
    }
}
