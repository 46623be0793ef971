//! The file's share of the pipeline: the new text put into its place, after it was recorded.
//! It must not prepare what has not been authorized, nor undo what was recorded.

use serde_json::json;

use super::{fault, outside::NotCommitted, pipeline::Pipeline};
use crate::model::event::Event;

impl Pipeline {
    /// Writes the file anew, from what runs.
    pub(super) fn redo_file(&mut self) {
        let Some(file) = &mut self.file else { return };
        match file.prepare(&self.state.topology, self.state.revision) {
            Ok(prepared) => {
                self.unwritten = Some(prepared);
                self.write_file();
            }
            Err(error) => tracing::error!(%error, "the file cannot be brought up to the journal"),
        }
    }

    /// Puts the new text in the place of the file. A failure is reported and tried again; what
    /// was recorded stays in effect. A file that was edited meanwhile is left alone.
    pub(super) fn write_file(&mut self) {
        let (Some(file), Some(prepared)) = (&mut self.file, self.unwritten.take()) else {
            return;
        };
        fault::reached(fault::BEFORE_RENAME);
        let Err(NotCommitted { message, again }) = file.commit(prepared) else {
            fault::reached(fault::AFTER_RENAME);
            return;
        };
        tracing::error!(message, "the new configuration file is not in its place");
        if again.is_none() {
            self.tell_conflict(&message, self.state.revision);
        }
        self.unwritten = again;
    }

    pub(super) fn tell_conflict(&mut self, message: &str, revision: u64) {
        let event = Event::new("config.conflict", revision, json!({"message": message}));
        if let Err(error) = self.record_events(vec![event]) {
            tracing::error!(%error, "cannot record a conflict");
        }
    }
}
