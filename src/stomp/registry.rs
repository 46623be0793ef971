//! The subscriptions of a client, which outlive its connections.
//! It must not wait for a subscriber: whoever is too slow has a gap, or a new connection.

use std::collections::BTreeMap;

use stomp_rs::protocol::frame::Unsubscribe;
use tokio::sync::mpsc::{Sender, error::TrySendError};

use super::{
    Acknowledge, Delivery, Incoming, Subscribe,
    frame::{ClientCommand, ClientFrame},
};

/// The subscriptions by their ids.
#[derive(Debug, Default)]
pub(super) struct Registry {
    last: u64,
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    subscribe: Subscribe,
    send: Sender<Incoming>,
    missed: u64,
}

/// More messages came than there is room for, and none may be left out.
#[derive(Debug)]
pub(super) struct Overrun(pub(super) String);

impl Registry {
    /// Takes in a subscription; returns its id.
    pub(super) fn add(&mut self, subscribe: Subscribe, send: Sender<Incoming>) -> u64 {
        self.last += 1;
        let entry = Entry {
            subscribe,
            send,
            missed: 0,
        };
        self.entries.insert(self.last, entry);
        self.last
    }

    pub(super) fn ids(&self) -> Vec<u64> {
        self.entries.keys().copied().collect()
    }

    /// The frame that subscribes `id`, with `receipt`.
    pub(super) fn frame(&self, id: u64, receipt: String) -> Option<ClientFrame<ClientCommand>> {
        let entry = self.entries.get(&id)?;
        let frame = entry.subscribe.frame(id).receipt(receipt);
        Some(frame.into())
    }

    /// Tells the subscriber something that is no message; left out where there is no room.
    pub(super) fn note(&mut self, id: u64, note: Incoming) {
        if let Some(entry) = self.entries.get(&id) {
            let _ = entry.send.try_send(note);
        }
    }

    /// Hands a message to its subscriber.
    pub(super) fn deliver(&mut self, delivery: Delivery) -> Result<(), Overrun> {
        let id = delivery.headers.get("subscription");
        let id = id.and_then(|id| id.parse().ok());
        let Some(entry) = id.and_then(|id: u64| self.entries.get_mut(&id)) else {
            return Ok(());
        };
        if entry.missed > 0 && entry.send.try_send(Incoming::Missed(entry.missed)).is_ok() {
            entry.missed = 0;
        }
        match entry.send.try_send(Incoming::Message(delivery)) {
            // Dropped: it is swept away soon.
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
            Err(TrySendError::Full(_)) => match entry.subscribe.acknowledge {
                Acknowledge::Auto => {
                    entry.missed += 1;
                    Ok(())
                }
                Acknowledge::Individually => Err(Overrun(entry.subscribe.destination.clone())),
            },
        }
    }

    /// Forgets the subscriptions that were dropped; returns the frames that unsubscribe them.
    pub(super) fn sweep(&mut self) -> Vec<ClientFrame<ClientCommand>> {
        let gone = self
            .entries
            .extract_if(.., |_, entry| entry.send.is_closed());
        gone.map(|(id, _)| Unsubscribe::new(id.to_string()).into())
            .collect()
    }
}
