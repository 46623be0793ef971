//! The control task's part of an upgrade: everything let go of, and taken back where it fails.
//! It must not go on to record anything while another process has the journal.

use serde_json::json;

use super::{controller::Controller, outcome::done, pipeline::Asked, succession::Legacy};
use crate::model::{
    error::{Code, CommandError},
    event::Event,
};

impl Controller {
    /// Carries out an upgrade. Where the other process does not take over, everything goes on
    /// here, and the refusal says why.
    pub(super) fn hand_over(&mut self, mut asked: Asked) {
        let Some(successor) = asked.successor.take() else {
            return;
        };
        let state = self.pipeline.state.clone();
        let applied = self.pipeline.apply(&state, &asked);
        let listeners = self.pipeline.balancer.listeners();
        let (mut outcome, listeners) = match (applied, listeners) {
            (Ok((change, entry)), Ok(listeners)) => (done(&asked, &change, entry), listeners),
            (Err(error), _) => return self.pipeline.refuse(asked, error),
            (_, Err(error)) => {
                let error =
                    CommandError::new(Code::Failed, format!("no sockets to hand over: {error}"));
                return self.pipeline.refuse(asked, error);
            }
        };
        outcome.tell(&successor.about());
        self.flips.keep(&mut self.pipeline);
        self.pipeline.give_up_file();
        self.pipeline.record.release();
        let legacy = Legacy {
            listeners,
            entry: outcome.entry,
        };
        // Beforehand: with the other process serving, this one may close its sockets at any moment.
        self.pipeline.balancer.answer_for_files(false);
        match successor.take_over(legacy) {
            Ok(()) => {
                self.succeeded = true;
                asked.reply.reply(outcome.answer);
            }
            Err(error) => {
                self.pipeline.balancer.answer_for_files(true);
                self.pipeline.record.reclaim();
                self.catch_up();
                let node = self.pipeline.node.clone();
                let data = json!({"message": error.message});
                self.note(Event::new("node.upgrade-failed", node, data));
                self.pipeline.refuse(asked, error);
            }
        }
    }

    /// Takes in what the other process has recorded before it failed.
    fn catch_up(&mut self) {
        let last = match self.pipeline.record.last() {
            Ok(Some(last)) if last.state != self.pipeline.state => last,
            Ok(_) => return,
            Err(error) => return tracing::error!(%error, "the journal is not back"),
        };
        let revision = last.state.revision;
        if let Err(error) = self.pipeline.balancer.apply(last.state.topology.clone()) {
            tracing::error!(%error, revision, "what the other process recorded cannot be run; `reload` decides");
        }
        self.pipeline.state = last.state;
        if let (Some(file), Some(digest)) = (&mut self.pipeline.file, last.file_digest) {
            file.adopt(digest, revision);
        }
        tracing::warn!(
            revision,
            "the other process has recorded this revision; it runs here too"
        );
    }
}
