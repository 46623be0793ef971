//! Writing down what happened, and telling whoever listens, in that order.
//! It must not decide what is to be written down.

use super::{
    audit_log,
    pipeline::{Pipeline, now, unavailable},
    record::{Entry, RecordError, Recorded},
};
use crate::model::{error::CommandError, event::Event};

impl Pipeline {
    /// Records; where it is not known whether that worked, the journal is asked.
    pub(super) fn record_all(&mut self, entries: &[Entry]) -> Result<Vec<Recorded>, RecordError> {
        let recorded = self.try_to_record(entries);
        if recorded.is_err() {
            self.tally.journal_failed();
        }
        recorded
    }

    fn try_to_record(&mut self, entries: &[Entry]) -> Result<Vec<Recorded>, RecordError> {
        let before = self.record.last_sequence()?;
        match self.record.record(entries) {
            // One event of it is there, so all of it is: it was one transaction.
            Err(RecordError::Unknown(why)) => match self.record.last_sequence() {
                Ok(last) if last > before => {
                    tracing::error!(why, "the journal failed, and has the change all the same");
                    self.record.events(before, usize::MAX)
                }
                Ok(_) => Err(RecordError::Refused(why)),
                Err(error) => Err(error),
            },
            recorded => recorded,
        }
    }

    /// Records what happened without a command, and publishes it.
    pub(super) fn record_events(&mut self, events: Vec<Event>) -> Result<(), CommandError> {
        if events.is_empty() {
            return Ok(());
        }
        self.record_entry(Entry {
            time: now(),
            events,
            ..Entry::default()
        })
    }

    /// Records an entry that no command caused, and publishes its events.
    pub(super) fn record_entry(&mut self, entry: Entry) -> Result<(), CommandError> {
        let recorded = self.record_all(&[entry]);
        self.publish(recorded.map_err(|error| unavailable(&error))?);
        Ok(())
    }

    pub(super) fn publish(&self, events: Vec<Recorded>) {
        for event in events {
            tracing::debug!(
                sequence = event.sequence,
                kind = event.event.kind,
                subject = event.event.subject,
                "event"
            );
            self.tally.recorded(event.sequence);
            audit_log::say(&event);
            // Nobody may be listening; the journal has it.
            let _ = self.published.send(event);
        }
    }
}
