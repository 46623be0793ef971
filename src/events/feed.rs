//! Events in their order: from the journal as far as they are behind, then as they happen.
//! It must not leave one out that the journal still has.

use std::collections::VecDeque;

use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{
    control::{Control, record::Recorded},
    model::error::CommandError,
};

/// Events that are read from the journal at once.
const BATCH: usize = 256;

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    Event(Recorded),
    /// The journal no longer has the events from the first to the last of these.
    Gone(u64, u64),
}

/// Events after one that is known.
#[derive(Debug)]
pub(super) struct Feed {
    control: Control,
    published: Receiver<Recorded>,
    /// The number of the last one that was given.
    last: u64,
    /// The number of the newest that there is, as far as is known.
    newest: u64,
    /// Those that were read from the journal and not given yet.
    read: VecDeque<Recorded>,
    /// Whether the journal may have some that were not published to us.
    behind: bool,
}

/// The node is gone.
#[derive(Debug)]
pub(super) struct Gone;

impl Feed {
    /// The events after number `last`.
    pub(super) fn after(control: Control, last: u64) -> Self {
        Self {
            // Before the journal is read: what comes between the two is in one at least.
            published: control.subscribe(),
            control,
            last,
            newest: last,
            read: VecDeque::new(),
            behind: true,
        }
    }

    /// Goes back, or on, to the events after number `last`.
    pub(super) fn go_to(&mut self, last: u64) {
        self.last = last;
        self.read.clear();
        self.behind = true;
    }

    /// How many events there are after number `last`, as far as is known.
    pub(super) fn after_number(&self, last: u64) -> u64 {
        self.newest.saturating_sub(last)
    }

    /// Whether all that there is has been given.
    pub(super) fn is_at_the_end(&self) -> bool {
        !self.behind && self.read.is_empty() && self.published.is_empty()
    }

    /// The next event, as soon as there is one.
    ///
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Result<Next, CommandError>, Gone> {
        loop {
            if let Some(event) = self.read.pop_front() {
                if let Some(next) = self.give(event) {
                    return Ok(Ok(next));
                }
            } else if self.behind {
                match self.control.events(self.last, BATCH).await {
                    Ok(batch) => {
                        self.behind = !batch.is_empty();
                        self.read = batch.into();
                        let newest = self.read.back().map_or(0, |event| event.sequence);
                        self.newest = self.newest.max(newest);
                    }
                    Err(error) => return Ok(Err(error)),
                }
            } else {
                match self.published.recv().await {
                    Ok(event) => {
                        self.newest = self.newest.max(event.sequence);
                        if event.sequence == self.last + 1 {
                            self.read.push_back(event);
                        } else {
                            // One that was read already, or some between were not published.
                            self.behind = event.sequence > self.last;
                        }
                    }
                    Err(RecvError::Lagged(_)) => self.behind = true,
                    Err(RecvError::Closed) => return Err(Gone),
                }
            }
        }
    }

    fn give(&mut self, event: Recorded) -> Option<Next> {
        let expected = self.last + 1;
        if event.sequence < expected {
            return None;
        }
        if event.sequence > expected {
            let gone = Next::Gone(expected, event.sequence - 1);
            self.last = event.sequence - 1;
            self.read.push_front(event);
            return Some(gone);
        }
        self.last = event.sequence;
        Some(Next::Event(event))
    }
}
