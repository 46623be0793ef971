//! The file's share of the pipeline: the new text put into its place, after it was recorded.
//! It must not prepare what has not been authorized, nor undo what was recorded.

use serde_json::json;

use super::{
    fault,
    outside::NotCommitted,
    pipeline::{Pipeline, now},
    record::Entry,
};
use crate::model::event::Event;

impl Pipeline {
    /// Writes the file anew, from what runs.
    pub(super) fn redo_file(&mut self) {
        let Some(file) = &mut self.file else { return };
        match file.prepare(&self.state.topology, self.state.revision) {
            Ok(prepared) => {
                self.unwritten = Some(prepared);
                self.write_file(self.state.revision);
            }
            Err(error) => tracing::error!(%error, "the file cannot be brought up to the journal"),
        }
    }

    /// Puts the new text in the place of the file. A failure is reported and tried again; what
    /// was recorded stays in effect. A file that was edited meanwhile is left alone.
    pub(super) fn write_file(&mut self, revision: u64) {
        let (Some(file), Some(prepared)) = (&mut self.file, self.unwritten.take()) else {
            return;
        };
        fault::reached(fault::BEFORE_RENAME);
        let Err(NotCommitted {
            message,
            text,
            again,
        }) = file.commit(prepared)
        else {
            fault::reached(fault::AFTER_RENAME);
            return;
        };
        tracing::error!(message, "the new configuration file is not in its place");
        if again {
            self.unwritten = text;
        } else {
            // The text is let go of only after this is recorded.
            self.tell_conflict(&message, revision);
        }
    }

    /// Says that the file does not have `revision`, and keeps that for the next start.
    pub(super) fn tell_conflict(&mut self, message: &str, revision: u64) {
        let event = Event::new("config.conflict", revision, json!({"message": message}));
        self.keep_left_alone(vec![event]);
    }

    /// Lets go of a text that could not be put into its place; the next start writes it again,
    /// unless somebody has edited the file by then.
    pub(super) fn give_up_file(&mut self) {
        if self.unwritten.is_some() {
            self.keep_left_alone(Vec::new());
            self.unwritten = None;
        }
    }

    fn keep_left_alone(&mut self, events: Vec<Event>) {
        let entry = Entry {
            time: now(),
            events,
            file_digest: self.file.as_ref().map(|file| file.left_alone()),
            ..Entry::default()
        };
        if let Err(error) = self.record_entry(entry) {
            tracing::error!(%error, "cannot record that the file was left alone");
        }
    }
}
