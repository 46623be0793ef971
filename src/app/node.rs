//! A node as it starts: its file, its journal, its people and its doors, found and tied together.
//! It must not change anything but through the pipeline once that runs.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::runtime::{Handle, Runtime};
use tokio_util::sync::CancellationToken;

use super::{
    begin,
    bus::{Board, Bus, BusError},
    bus_door::{BusDoor, BusDoorError},
    document::Document,
    doors::{DoorError, Doors},
    handover::{Inherited, Parts, Past, Upgrader},
    last_good,
    metrics::{Metrics, MetricsError, Sources},
    notify::Notify,
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
    model::{
        error::{Code, CommandError},
        event::Event,
    },
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
    /// The journal does not take what the process before this one has left.
    #[error(transparent)]
    Succession(CommandError),
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

/// How long a process that was taken over from gives its doors to answer what was asked.
const FAREWELL: Duration = Duration::from_secs(5);

/// A node that runs.
pub(super) struct Node {
    pub(super) control: Control,
    pub(super) living: Living,
    thread: JoinHandle<()>,
    doors: CancellationToken,
    bus: Bus,
    opened: Doors,
    /// Cancelled when another process has taken over.
    pub(super) succeeded: CancellationToken,
}

/// Starts the node that `file` describes, on `balancer`; its doors are served on `runtime`.
pub(super) fn start_node(
    file: &Path,
    settings: Settings,
    balancer: &Arc<Balancer>,
    runtime: &Handle,
    notify: &Notify,
    inherited: Inherited,
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
    let upgrader = Upgrader::default();
    let (control, thread) = start(Start {
        succession: Some(Arc::new(upgrader.clone())),
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
    let (known, stop, taken) = (Arc::clone(&people), doors.clone(), inherited.clone());
    let opened = Doors::new(control.clone(), known, runtime.clone(), stop, taken);
    open_doors(&living, &people, opened.clone(), runtime)?;
    let figures = sources(&control, balancer, &people, &board, runtime);
    let metrics = Metrics::new(figures, runtime.clone(), doors.clone(), inherited);
    show_figures(&living, metrics.clone())?;
    let bus = Bus::new(control.clone(), runtime.clone(), board);
    join_bus(&living, &bus)?;
    let (asked, stop) = (Arc::clone(&people), doors.clone());
    let bus_door = BusDoor::open(&living, control.clone(), asked, runtime.clone(), stop)?;
    let parts = Parts {
        doors: opened.clone(),
        metrics,
        bus: bus.clone(),
        bus_door,
        living: living.clone(),
        notify: notify.clone(),
        succeeded: CancellationToken::new(),
    };
    let succeeded = parts.succeeded.clone();
    upgrader.is_up(parts);
    go_on(&control, &people, &doors, runtime, (keep, events));
    Ok(Node {
        control,
        living,
        thread,
        doors,
        bus,
        opened,
        succeeded,
    })
}

/// Where figures come from.
fn sources(
    control: &Control,
    balancer: &Arc<Balancer>,
    people: &Arc<People>,
    board: &Arc<Board>,
    runtime: &Handle,
) -> Sources {
    Sources {
        control: control.clone(),
        balancer: Arc::clone(balancer),
        people: Arc::clone(people),
        bus: Arc::clone(board) as Arc<_>,
        runtime: runtime.clone(),
    }
}

/// Records what became of the people of before, and looks after them until `stop`.
fn go_on(
    control: &Control,
    people: &Arc<People>,
    stop: &CancellationToken,
    runtime: &Handle,
    (keep, events): (Vec<(String, Option<Value>)>, Vec<Event>),
) {
    let recording = control.clone();
    runtime.spawn(async move {
        for (key, value) in keep {
            let _ = recording.keep(key, value).await;
        }
        let _ = recording.record(events).await;
    });
    runtime.spawn(look_after(Arc::clone(people), stop.clone()));
    runtime.spawn(keep_telling(Arc::clone(people), stop.clone()));
}

impl Node {
    /// Records what the process before this one has left to be recorded.
    pub(super) async fn succeed(&self, past: Past) -> Result<(), CommandError> {
        let Past {
            mut entry,
            process,
            version,
        } = past;
        let data = json!({
            "process": std::process::id(),
            "version": env!("CARGO_PKG_VERSION"),
            "from": {"process": process, "version": version},
        });
        let node = self.control.node().clone();
        entry.events.push(Event::new("node.upgraded", node, data));
        self.control.record_entry(entry).await
    }

    /// The process before this one does not come back: what it handed over is ours.
    pub(super) fn settle(&self) {
        self.opened.settle();
    }

    /// Lets nobody in any more: another process does.
    pub(super) fn close_doors(&self) {
        self.doors.cancel();
    }

    /// Closes the doors, and has everything recorded that was asked before.
    pub(super) fn stop(self, runtime: &Runtime) {
        self.doors.cancel();
        runtime.block_on(async {
            if self.succeeded.is_cancelled() {
                // Whoever asked for it is to hear of it, and from this process.
                let _ = tokio::time::timeout(FAREWELL, self.opened.closed()).await;
            }
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
    people: &Arc<People>,
    doors: Doors,
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
