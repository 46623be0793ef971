//! The control task: takes in commands, groups those that may go together, watches the jobs.
//! It must not change anything itself; the pipeline does.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::broadcast;

use super::{
    balancer::{ApplyError, Balancer},
    beginning::begin,
    flips::{self, Flips},
    handle::{Control, LAG, Message, WAITING},
    jobs::Jobs,
    outside::{Access, Bus, File},
    pipeline::{Asked, Pipeline, now},
    record::{self, Entry, Last, Record, RecordError},
    succession::Succession,
    tally::Tally,
};
use crate::model::{
    catalogue::entry,
    command::{Command, Request},
    event::Event,
    name::Name,
    topology::Topology,
};

/// Commands that may share a transaction.
const TOGETHER: usize = 64;
/// How often jobs are looked at while there are any.
const LOOK: Duration = Duration::from_millis(100);
/// How long the task sleeps when there is nothing to do.
const IDLE: Duration = Duration::from_secs(3600);

/// How much the task steps back for others.
const NICE: i32 = 5;

/// What a node starts with.
#[derive(Debug)]
pub struct Start {
    /// The name of the node.
    pub node: Name,
    /// What carries the sessions; nothing runs on it yet.
    pub balancer: Arc<Balancer>,
    /// What makes changes last.
    pub record: Box<dyn Record>,
    /// The configuration file, where there is one.
    pub file: Option<Box<dyn File>>,
    /// Who is logged in, where anybody can be.
    pub access: Option<Arc<dyn Access>>,
    /// The message bus, where there can be one.
    pub bus: Option<Arc<dyn Bus>>,
    /// What can put another process in our place, where something can.
    pub succession: Option<Arc<dyn Succession>>,
    /// What is to run: that of the last revision, or else this.
    pub first: Begin,
    /// The file is behind the journal, and is to be written again.
    pub redo_file: bool,
}

/// With which configuration a node begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Begin {
    /// With that of the last revision.
    Recorded(Last),
    /// With this one, as a new revision by author `file`.
    New {
        /// The configuration.
        topology: Topology,
        /// The digest of the text that it was read from.
        digest: Option<Vec<u8>>,
        /// What was there before, if anything.
        last: Option<Last>,
    },
}

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be run.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// It cannot be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The system gives no thread.
    #[error("cannot start the control thread: {0}")]
    Thread(#[from] io::Error),
}

/// Starts the control task on a thread of its own, with what is to run running. The thread ends
/// after [`Control::stop`], or when no handle is left.
///
/// # Errors
/// When that cannot run or cannot be recorded; nothing runs then.
pub fn start(start: Start) -> Result<(Control, JoinHandle<()>), StartError> {
    let Start {
        node,
        balancer,
        mut record,
        file,
        access,
        bus,
        succession,
        first,
        redo_file,
    } = start;
    balancer.restore_health(flips::kept(record.as_ref()));
    let state = begin(&balancer, record.as_mut(), first)?;
    let (messages, inbox) = sync_channel(WAITING);
    let messages = Arc::new(messages);
    hear(&balancer, &messages);
    let (published, _) = broadcast::channel(LAG);
    let epoch = record.epoch().into();
    let tally = Arc::new(Tally::default());
    tally.is_at(state.revision);
    tally.recorded(record.last_sequence()?);
    let control = Control {
        messages,
        published: published.clone(),
        epoch,
        node,
        access: access.clone(),
        succession,
        tally: Arc::clone(&tally),
    };
    let mut pipeline = Pipeline {
        node: control.node.clone(),
        state,
        balancer,
        record,
        file,
        access,
        bus,
        published,
        tally,
        reloaded: None,
        drained_from: HashMap::new(),
        unwritten: None,
        left_alone: None,
    };
    if redo_file {
        pipeline.redo_file();
    }
    let controller = Controller {
        pipeline,
        jobs: Jobs::default(),
        flips: Flips::default(),
        leaving: false,
        succeeded: false,
    };
    let thread = thread::Builder::new().name("control".to_owned());
    let thread = thread.spawn(move || controller.run(&inbox))?;
    Ok((control, thread))
}

/// Has the task look when something happens to a host.
fn hear(balancer: &Balancer, messages: &Arc<SyncSender<Message>>) {
    // Weak: a balancer that is there for others too must not keep the task alive. Where the task
    // has too much to do to hear, it looks by itself when it is done with that.
    let waiting = Arc::downgrade(messages);
    balancer.hear(move || {
        if let Some(messages) = waiting.upgrade() {
            let _ = messages.try_send(Message::Happened);
        }
    });
}

/// The control task.
#[derive(Debug)]
pub(super) struct Controller {
    pub(super) pipeline: Pipeline,
    jobs: Jobs,
    pub(super) flips: Flips,
    /// Nothing is carried out any more.
    leaving: bool,
    /// Another process has the journal: there is nothing to be said at the end.
    pub(super) succeeded: bool,
}

impl Controller {
    /// Until nobody holds a handle any more.
    fn run(mut self, inbox: &Receiver<Message>) {
        // Sessions come first: a stream of changes is to wait for them, and not they for it.
        // Of this thread alone (setpriority(2), "threads"); more is anybody's right to give up.
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::debug!(%error, "the control task keeps its priority");
        }
        let started = serde_json::json!({"revision": self.pipeline.state.revision, "epoch": self.pipeline.record.epoch()});
        self.note(Event::new(
            "node.started",
            self.pipeline.node.clone(),
            started,
        ));
        loop {
            match inbox.recv_timeout(self.patience()) {
                Ok(first) => {
                    if !self.take_in(first, inbox) {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.jobs.look(&mut self.pipeline);
            self.flips.look(&mut self.pipeline);
        }
        if !self.succeeded {
            self.leave();
        }
    }

    /// Says that the node is stopping, once.
    fn leave(&mut self) {
        if !std::mem::replace(&mut self.leaving, true) {
            self.flips.keep(&mut self.pipeline);
            self.pipeline.give_up_file();
            self.note(Event::bare("node.stopping", self.pipeline.node.clone()));
        }
    }

    pub(super) fn note(&mut self, event: Event) {
        if let Err(error) = self.pipeline.record_events(vec![event]) {
            tracing::error!(%error, "cannot record an event of the node");
        }
    }

    fn patience(&self) -> Duration {
        let jobs = &self.pipeline.state.jobs;
        let busy = jobs.pending.is_some() || !jobs.drains.is_empty();
        if busy || self.pipeline.unwritten.is_some() {
            LOOK
        } else {
            self.flips.patience().unwrap_or(IDLE)
        }
    }

    /// Takes in what waits. Changes gather until something else comes between; their order is
    /// that in which they came. Returns whether the task goes on.
    fn take_in(&mut self, first: Message, inbox: &Receiver<Message>) -> bool {
        let mut changes = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                // Whoever waits for it learns that the node is stopping.
                Message::Execute(_) if self.leaving => {}
                Message::Execute(asked) => self.sort(*asked, &mut changes),
                Message::Leave { reply } => {
                    self.flush(&mut changes);
                    self.leave();
                    let _ = reply.send(());
                }
                Message::Stop => {
                    self.flush(&mut changes);
                    return false;
                }
                Message::Revision { reply } => {
                    let _ = reply.send(self.pipeline.state.revision);
                }
                // The look that follows is all there is to do.
                Message::Happened => {}
                Message::Record { entry, reply } => {
                    let entry = Entry {
                        time: now(),
                        ..*entry
                    };
                    let _ = reply.send(self.pipeline.record_entry(entry));
                }
                Message::Seen { id, reply } => {
                    // What came before it has been carried out.
                    self.flush(&mut changes);
                    let seen = record::seen(self.pipeline.record.as_ref(), &id);
                    let _ = reply.send(seen.map_err(super::pipeline::unreadable));
                }
                Message::Kept { prefix, reply } => {
                    let kept = self.pipeline.record.kept(&prefix);
                    let _ = reply.send(kept.map_err(super::pipeline::unreadable));
                }
                Message::Events {
                    since,
                    limit,
                    reply,
                } => {
                    let events = self.pipeline.record.events(since, limit);
                    let _ = reply.send(events.map_err(super::pipeline::unreadable));
                }
            }
            next = if changes.len() < TOGETHER && !self.succeeded {
                inbox.try_recv().ok()
            } else {
                None
            };
        }
        self.flush(&mut changes);
        !self.succeeded
    }

    fn sort(&mut self, asked: Asked, changes: &mut Vec<Asked>) {
        let command = &asked.request.command;
        let changing = entry(&command.name()).is_some_and(|entry| entry.changes);
        if !changing {
            self.flush(changes);
            self.answer(asked);
        } else if let Err(error) = &asked.before {
            let error = error.clone();
            self.pipeline.refuse(asked, error);
        } else if asked.successor.is_some() && !asked.request.options.dry_run {
            self.flush(changes);
            self.hand_over(asked);
        } else if goes_alone(&asked.request) {
            self.flush(changes);
            self.pipeline.execute(vec![asked]);
        } else {
            changes.push(asked);
        }
    }

    fn flush(&mut self, changes: &mut Vec<Asked>) {
        if !changes.is_empty() {
            self.pipeline.execute(std::mem::take(changes));
        }
    }
}

/// Whether a change shares nothing with others: it depends on what stands outside, or starts a
/// time in which nothing else may change.
fn goes_alone(request: &Request) -> bool {
    request.options.confirm_within.is_some()
        || matches!(
            request.command,
            Command::Reload {} | Command::Rollback { .. } | Command::Confirm { .. }
        )
}
