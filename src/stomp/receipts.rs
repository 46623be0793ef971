//! The receipts that are to come on a connection, and who waits for each.
//! It must not send the frames that ask for them.

use std::{collections::BTreeMap, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use super::{Error, client::Confirm};

/// Who waits for a receipt.
pub(super) enum Waiting {
    Order(Confirm),
    /// A subscription, and whether the connection counts as made only after it.
    Subscription {
        id: u64,
        first: bool,
    },
    Farewell(Option<oneshot::Sender<()>>),
}

/// The receipts that are to come. Their ids count up, so that the smallest is the oldest.
pub(super) struct Receipts {
    patience: Duration,
    last: u64,
    waiting: BTreeMap<u64, (Instant, Waiting)>,
}

impl Receipts {
    /// Each may take as long as `patience`.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            last: 0,
            waiting: BTreeMap::new(),
        }
    }

    /// The id of the receipt that is awaited next.
    pub(super) fn next(&self) -> String {
        (self.last + 1).to_string()
    }

    /// The next receipt is for `waiting`.
    pub(super) fn expect(&mut self, waiting: Waiting) {
        self.last += 1;
        let deadline = Instant::now() + self.patience;
        self.waiting.insert(self.last, (deadline, waiting));
    }

    /// Who waits for the receipt `id`, and no longer does.
    pub(super) fn take(&mut self, id: &str) -> Option<Waiting> {
        let (_, waiting) = self.waiting.remove(&id.parse().ok()?)?;
        Some(waiting)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When the first of them is overdue.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.values().next().map(|(deadline, _)| *deadline)
    }

    /// Tells all who wait that there is no telling any more.
    pub(super) fn give_up(self) {
        for (_, waiting) in self.waiting.into_values() {
            if let Waiting::Order(confirm) = waiting {
                let _ = confirm.send(Err(Error::Lost));
            }
        }
    }
}
