//! Orders as frames: what a session writes, and whose receipt it awaits for it.
//! It must not wait for anything.

use stomp_rs::protocol::frame::{Ack, Nack};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{Ended, FAREWELL, Session};
use crate::stomp::{
    Error, Incoming,
    client::{Confirm, Order},
    frame::{ClientCommand, ClientFrame, encode},
    receipts::Waiting,
};

impl Session<'_> {
    /// Everything that was subscribed before is, in one go, before anything is sent.
    pub(super) fn subscribe_all(&mut self) -> Result<(), Ended> {
        let mut bytes = Vec::new();
        for id in self.around.registry.ids() {
            let written = self.subscribe(id, true);
            bytes.extend(written);
        }
        self.first = self.receipts.len();
        if bytes.is_empty() {
            return Ok(());
        }
        // There is room: it is the first.
        self.write.try_send(bytes).map_err(|_| self.hung_up(None))
    }

    /// The bytes that subscribe `id`; its receipt is awaited.
    fn subscribe(&mut self, id: u64, first: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Some(frame) = self.around.registry.frame(id, self.receipts.next()) else {
            return bytes;
        };
        match encode(&frame, &mut bytes) {
            Ok(()) => self.receipts.expect(Waiting::Subscription { id, first }),
            Err(error) => {
                let note = Incoming::Refused(error.to_string());
                self.around.registry.note(id, note);
            }
        }
        bytes
    }

    /// Writes what an order says; without one, that we leave.
    pub(super) fn obey(&mut self, room: mpsc::OwnedPermit<Vec<u8>>, order: Option<Order>) {
        let bytes = match order {
            Some(Order::Send { frame, confirm }) => {
                let frame = frame.receipt(self.receipts.next());
                self.confirmable(&frame.into(), confirm)
            }
            Some(Order::Acknowledge {
                session, confirm, ..
            }) if session != self.around.session => {
                let _ = confirm.send(Err(Error::Stale));
                return;
            }
            Some(Order::Acknowledge {
                ack,
                accept,
                confirm,
                ..
            }) => {
                let receipt = self.receipts.next();
                let frame = if accept {
                    Ack::new(ack).receipt(receipt).into()
                } else {
                    Nack::new(ack).receipt(receipt).into()
                };
                self.confirmable(&frame, confirm)
            }
            Some(Order::Subscribe(subscribe, send)) => {
                let id = self.around.registry.add(subscribe, send);
                self.subscribe(id, false)
            }
            Some(Order::Sweep) => {
                let mut bytes = Vec::new();
                for frame in self.around.registry.sweep() {
                    // An id is always sayable.
                    let _ = encode(&frame, &mut bytes);
                }
                bytes
            }
            Some(Order::Close(done)) => self.farewell(Some(done)),
            None => self.farewell(None),
        };
        if !bytes.is_empty() {
            room.send(bytes);
        }
    }

    /// The bytes of a frame that asks for the next receipt; `confirm` waits for it.
    fn confirmable(&mut self, frame: &ClientFrame<ClientCommand>, confirm: Confirm) -> Vec<u8> {
        let mut bytes = Vec::new();
        match encode(frame, &mut bytes) {
            Ok(()) => self.receipts.expect(Waiting::Order(confirm)),
            Err(error) => drop(confirm.send(Err(error.into()))),
        }
        bytes
    }

    fn farewell(&mut self, done: Option<oneshot::Sender<()>>) -> Vec<u8> {
        let receipt = self.receipts.next();
        // The builder of `stomp-rs` wants a transaction.
        let frame = ClientFrame {
            command: ClientCommand::Disconnect,
            headers: [("receipt".to_owned(), receipt)].into(),
            body: String::new(),
        };
        let mut bytes = Vec::new();
        let _ = encode(&frame, &mut bytes);
        self.receipts.expect(Waiting::Farewell(done));
        self.leaving = Some(Instant::now() + FAREWELL);
        bytes
    }
}
