//! The handle on the control task: what a door holds, and all it needs.
//! It must not decide anything; it passes on and waits.

use serde_json::Value;
use std::sync::{Arc, mpsc::SyncSender};

use tokio::sync::{broadcast, oneshot};

use super::{
    answer::Answer,
    outside::Access,
    pipeline::Asked,
    record::{Entry, Once, Recorded, Seen},
    succession::{Succession, Successor},
    tally::{Tally, Waiting},
};
use crate::model::{
    catalogue::entry,
    command::{Command, Request},
    error::{Code, CommandError},
    event::Event,
    policy::authorize,
    principal::Principal,
};

/// Commands that may wait for the control task; more are `unavailable`.
pub(super) const WAITING: usize = 256;
/// Events that a subscriber may lag behind; past that it reads from the journal again.
pub(super) const LAG: usize = 1024;

/// What the control task is asked.
#[derive(Debug)]
pub(super) enum Message {
    Execute(Box<Asked>),
    Record {
        entry: Box<Entry>,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    Seen {
        id: (String, String),
        reply: oneshot::Sender<Result<Seen, CommandError>>,
    },
    Revision {
        reply: oneshot::Sender<u64>,
    },
    /// Something has happened to a host.
    Happened,
    /// The task carries out nothing that comes after this.
    Leave {
        reply: oneshot::Sender<()>,
    },
    /// The task ends after what came before this.
    Stop,
    Kept {
        prefix: String,
        reply: oneshot::Sender<Result<Vec<(String, Value)>, CommandError>>,
    },
    Events {
        since: u64,
        limit: usize,
        reply: oneshot::Sender<Result<Vec<Recorded>, CommandError>>,
    },
}

/// What was looked up elsewhere before a command is carried out, or why it is refused; and who
/// waits to take over, where it is an upgrade.
type Found = (
    Result<Vec<String>, CommandError>,
    Option<Box<dyn Successor>>,
);

/// A handle on a running node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    pub(super) messages: Arc<SyncSender<Message>>,
    pub(super) published: broadcast::Sender<Recorded>,
    pub(super) epoch: Arc<str>,
    pub(super) node: crate::model::name::Name,
    pub(super) access: Option<Arc<dyn Access>>,
    pub(super) succession: Option<Arc<dyn Succession>>,
    pub(super) tally: Arc<Tally>,
}

impl Control {
    /// Has `principal`'s request carried out, and answers when it is durable and in effect. `id`
    /// goes into the answer. Who wants to change something is checked again first, here, where
    /// nobody else waits for the directory.
    ///
    /// Not cancel safe in one way only: a command that was handed over is carried out, whether
    /// or not anybody still waits for its answer.
    pub async fn execute(&self, principal: Principal, request: Request, id: String) -> Answer {
        self.carry_out(principal, request, id, None).await
    }

    /// As [`Self::execute`]; the answer is recorded under `once` with whatever the command does,
    /// all or nothing. Whether it was seen before is for the caller to ask: [`Self::seen`]. An
    /// answer `unavailable` may be one that could not be recorded.
    pub async fn execute_once(
        &self,
        principal: Principal,
        request: Request,
        id: String,
        once: Once,
    ) -> Answer {
        self.carry_out(principal, request, id, Some(once)).await
    }

    async fn carry_out(
        &self,
        principal: Principal,
        request: Request,
        id: String,
        once: Option<Once>,
    ) -> Answer {
        if matches!(request.command, Command::Upgrade {}) {
            return self.upgrade(principal, request, id, once).await;
        }
        let (principal, before) = self.ask_first(principal, &request.command).await;
        self.hand_in(principal, request, id, once, (before, None))
            .await
    }

    /// Has the control task carry it out, with what was found `before`.
    pub(super) async fn hand_in(
        &self,
        principal: Principal,
        request: Request,
        id: String,
        once: Option<Once>,
        (before, successor): Found,
    ) -> Answer {
        let unavailable = Answer::refused(id.clone(), 0, busy());
        let door = principal.door;
        let message = |reply| {
            let reply = Waiting::new(&self.tally, door, &request.command, Some(reply));
            Message::Execute(Box::new(Asked {
                principal,
                request,
                id,
                before,
                successor,
                once,
                reply,
            }))
        };
        let answer = self.ask(message).await;
        answer.unwrap_or_else(|| {
            self.tally.answered(door, Some(Code::Unavailable));
            unavailable
        })
    }

    /// What has to be asked of others before the control task hears of `command`: who the
    /// principal is by now, or what there is to know of a user.
    pub(super) async fn ask_first(
        &self,
        principal: Principal,
        command: &Command,
    ) -> (Principal, Result<Vec<String>, CommandError>) {
        let Some(access) = &self.access else {
            return (principal, Ok(Vec::new()));
        };
        if let Command::ExplainAccess { user } = command
            && authorize(&principal, command.clone(), None).is_ok()
        {
            let found = access.look_up(user).await;
            return (principal, Ok(found));
        }
        if !entry(&command.name()).is_some_and(|entry| entry.changes) {
            return (principal, Ok(Vec::new()));
        }
        match access.recheck(&principal).await {
            Ok(principal) => (principal, Ok(Vec::new())),
            Err(error) => (principal, Err(error)),
        }
    }

    /// Records events that no command caused (log-ins), and publishes them.
    ///
    /// # Errors
    /// `unavailable` when the journal cannot take them.
    pub async fn record(&self, events: Vec<Event>) -> Result<(), CommandError> {
        let entry = Entry {
            events,
            ..Entry::default()
        };
        self.record_entry(entry).await
    }

    /// Records an entry that no command caused, dated now, and publishes its events.
    ///
    /// # Errors
    /// `unavailable` when the journal cannot take it.
    pub async fn record_entry(&self, entry: Entry) -> Result<(), CommandError> {
        let entry = Box::new(entry);
        self.ask(|reply| Message::Record { entry, reply })
            .await
            .unwrap_or_else(|| Err(busy()))
    }

    /// What is known of the id of a command that came.
    ///
    /// # Errors
    /// `unavailable` when the journal cannot be read.
    pub async fn seen(&self, id: (String, String)) -> Result<Seen, CommandError> {
        self.ask(|reply| Message::Seen { id, reply })
            .await
            .unwrap_or_else(|| Err(busy()))
    }

    /// Keeps `value` under `key`, durably; `None` forgets it.
    ///
    /// # Errors
    /// `unavailable` when the journal cannot take it.
    pub async fn keep(&self, key: String, value: Option<Value>) -> Result<(), CommandError> {
        let entry = Entry {
            keep: vec![(key, value)],
            ..Entry::default()
        };
        self.record_entry(entry).await
    }

    /// The values kept under keys that begin with `prefix`.
    ///
    /// # Errors
    /// `unavailable` when the journal cannot be read.
    pub async fn kept(&self, prefix: String) -> Result<Vec<(String, Value)>, CommandError> {
        self.ask(|reply| Message::Kept { prefix, reply })
            .await
            .unwrap_or_else(|| Err(busy()))
    }

    /// Events after the sequence number `since`, oldest first.
    ///
    /// # Errors
    /// `unavailable` when the journal cannot be read.
    pub async fn events(&self, since: u64, limit: usize) -> Result<Vec<Recorded>, CommandError> {
        self.ask(|reply| Message::Events {
            since,
            limit,
            reply,
        })
        .await
        .unwrap_or_else(|| Err(busy()))
    }

    /// Which revision runs; `None` where nobody answers. It waits for what was asked before.
    pub async fn revision(&self) -> Option<u64> {
        self.ask(|reply| Message::Revision { reply }).await
    }

    /// Has the control task carry out no more commands, after those that were asked of it before,
    /// and record that the node is stopping; returns when that is done. It goes on to record, and
    /// to say what it has recorded.
    pub async fn leave(&self) {
        // Where it is gone, nobody has to leave.
        let _ = self.ask(|reply| Message::Leave { reply }).await;
    }

    /// Has the control task end, after everything that was asked of it before.
    pub fn stop(&self) {
        // Where it is gone already, or too busy to hear, the end of the process ends it.
        let _ = self.messages.try_send(Message::Stop);
    }

    /// Events from now on, as they come into effect.
    pub fn subscribe(&self) -> broadcast::Receiver<Recorded> {
        self.published.subscribe()
    }

    /// The name of the node.
    pub fn node(&self) -> &crate::model::name::Name {
        &self.node
    }

    /// What is counted of the node.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The identity of the node's journal.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.messages.try_send(message(reply)).ok()?;
        answer.await.ok()
    }
}

pub(super) fn busy() -> CommandError {
    CommandError::new(
        Code::Unavailable,
        "the node is stopping, or too many commands wait",
    )
}
