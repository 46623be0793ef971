//! What is counted of commands and of the journal, for whoever shows figures.
//! It must not decide anything, nor make anybody wait for the control task.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use tokio::sync::oneshot;

use super::answer::Answer;
use crate::model::{command::Command, error::Code, principal::Door};

/// What is counted of a node since it started. It can be read while the control task is busy.
#[derive(Debug, Default)]
pub struct Tally {
    revision: AtomicU64,
    last_event: AtomicU64,
    journal_failures: AtomicU64,
    commands: Mutex<HashMap<(Door, Option<Code>), u64>>,
    reloads: [AtomicU64; 2],
    reload_failed: AtomicBool,
}

impl Tally {
    /// The revision that runs.
    pub fn revision(&self) -> u64 {
        self.revision.load(Relaxed)
    }

    /// The number of the last event that was recorded.
    pub fn last_event(&self) -> u64 {
        self.last_event.load(Relaxed)
    }

    /// How often the journal could not be written.
    pub fn journal_failures(&self) -> u64 {
        self.journal_failures.load(Relaxed)
    }

    /// Commands that were answered, by door and by why they were refused; `None`: they were not.
    pub fn commands(&self) -> HashMap<(Door, Option<Code>), u64> {
        self.counted().clone()
    }

    /// Reloads that were taken in, and those that were refused.
    pub fn reloads(&self) -> [u64; 2] {
        self.reloads.each_ref().map(|count| count.load(Relaxed))
    }

    /// Whether the last reload was refused.
    pub fn reload_failed(&self) -> bool {
        self.reload_failed.load(Relaxed)
    }

    pub(super) fn is_at(&self, revision: u64) {
        self.revision.store(revision, Relaxed);
    }

    pub(super) fn recorded(&self, sequence: u64) {
        self.last_event.fetch_max(sequence, Relaxed);
    }

    pub(super) fn journal_failed(&self) {
        self.journal_failures.fetch_add(1, Relaxed);
    }

    pub(super) fn answered(&self, door: Door, refused: Option<Code>) {
        *self.counted().entry((door, refused)).or_default() += 1;
    }

    fn reloaded(&self, failed: bool) {
        let [done, refused] = &self.reloads;
        let which = if failed { refused } else { done };
        which.fetch_add(1, Relaxed);
        self.reload_failed.store(failed, Relaxed);
    }

    fn counted(&self) -> MutexGuard<'_, HashMap<(Door, Option<Code>), u64>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who waits for the answer to a command, and where that is counted.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    sender: Option<oneshot::Sender<Answer>>,
    counted: Option<Counted>,
}

#[derive(Debug)]
struct Counted {
    tally: Arc<Tally>,
    door: Door,
    reloads: bool,
}

impl Waiting {
    /// For the answer to `command`, which came by `door`; without a `sender` nobody waits.
    pub(super) fn new(
        tally: &Arc<Tally>,
        door: Door,
        command: &Command,
        sender: Option<oneshot::Sender<Answer>>,
    ) -> Self {
        let counted = Counted {
            tally: Arc::clone(tally),
            door,
            reloads: matches!(command, Command::Reload {}),
        };
        Self {
            sender,
            counted: Some(counted),
        }
    }

    /// Counts the answer, and gives it to whoever waits.
    pub(super) fn reply(self, answer: Answer) {
        if let Some(Counted {
            tally,
            door,
            reloads,
        }) = self.counted
        {
            let refused = answer.error.as_ref().map(|error| error.code);
            tally.answered(door, refused);
            if reloads {
                tally.reloaded(refused.is_some());
            }
        }
        if let Some(sender) = self.sender {
            // Whoever asked may have gone; what was asked is done all the same.
            let _ = sender.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::CommandError;

    #[tokio::test]
    async fn an_answer_is_counted_whether_or_not_anybody_still_waits_for_it() {
        let tally = Arc::new(Tally::default());
        let reload = Command::Reload {};
        let (sender, gone) = oneshot::channel();
        drop(gone);
        let refused = || Answer::refused("1".to_owned(), 1, CommandError::invalid("no"));
        Waiting::new(&tally, Door::Http, &reload, Some(sender)).reply(refused());
        assert!(tally.reload_failed());
        let (sender, receiver) = oneshot::channel();
        let done = Answer::done("2".to_owned(), 1, Vec::new(), serde_json::Value::Null);
        Waiting::new(&tally, Door::Http, &reload, Some(sender)).reply(done);
        assert!(receiver.await.is_ok_and(|answer| answer.error.is_none()));
        assert!(!tally.reload_failed());
        assert_eq!(tally.reloads(), [1, 1]);
        Waiting::new(&tally, Door::Timer, &Command::Status {}, None).reply(refused());
        assert_eq!(tally.reloads(), [1, 1], "that was none");
        let commands = tally.commands();
        assert_eq!(commands[&(Door::Http, None)], 1);
        assert_eq!(commands[&(Door::Http, Some(Code::Invalid))], 1);
        assert_eq!(commands[&(Door::Timer, Some(Code::Invalid))], 1);
    }
}
