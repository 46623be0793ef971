//! Slots: the places for connections on one listener, a bounded number.
//! It must not take the place of a connection that is being answered.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// The places on one listener.
#[derive(Debug)]
pub(super) struct Slots {
    room: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    slots: BTreeMap<u64, Arc<Slot>>,
}

/// A connection's place, as its requests see it.
#[derive(Debug, Default)]
pub(super) struct Slot {
    answering: AtomicUsize,
    sending: AtomicUsize,
    taken: CancellationToken,
}

/// A place that is held; dropped, it is free.
#[derive(Debug)]
pub(super) struct Held {
    slots: Arc<Slots>,
    number: u64,
    slot: Arc<Slot>,
}

/// As long as it lives, a count of a slot is one higher.
#[derive(Debug)]
pub(super) struct Counted(Arc<Slot>, fn(&Slot) -> &AtomicUsize);

impl Slots {
    pub(super) fn new(room: usize) -> Arc<Self> {
        Arc::new(Self {
            room,
            open: Mutex::default(),
        })
    }

    /// A place, if need be that of the connection that has been idle, or sending, since the
    /// longest ago: so those who connect and then say nothing keep nobody out.
    pub(super) fn take(self: &Arc<Self>) -> Option<Held> {
        let mut open = self.open();
        if open.slots.len() >= self.room {
            let (&number, slot) = open.slots.iter().find(|(_, slot)| slot.may_be_taken())?;
            slot.taken.cancel();
            open.slots.remove(&number);
        }
        let number = open.next;
        open.next += 1;
        let slot = Arc::new(Slot::default());
        open.slots.insert(number, Arc::clone(&slot));
        Some(Held {
            slots: Arc::clone(self),
            number,
            slot,
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Counts an answer that is being worked out or sent.
    pub(super) fn answering(self: &Arc<Self>) -> Counted {
        Counted::new(self, |slot| &slot.answering)
    }

    /// Counts a body that is being sent to us.
    pub(super) fn sending(self: &Arc<Self>) -> Counted {
        Counted::new(self, |slot| &slot.sending)
    }

    fn may_be_taken(&self) -> bool {
        self.answering.load(Ordering::Relaxed) == 0 || self.sending.load(Ordering::Relaxed) > 0
    }
}

impl Counted {
    fn new(slot: &Arc<Slot>, count: fn(&Slot) -> &AtomicUsize) -> Self {
        count(slot).fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(slot), count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1(&self.0).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Held {
    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// Waits until somebody else got the place.
    pub(super) fn taken(&self) -> WaitForCancellationFuture<'_> {
        self.slot.taken.cancelled()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.slots.open().slots.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_makes_room_and_the_answered_do_not() {
        let slots = Slots::new(2);
        let first = slots.take().unwrap();
        let second = slots.take().unwrap();
        let answering = first.slot().answering();
        let third = slots.take().unwrap();
        assert!(second.slot().taken.is_cancelled());
        assert!(!first.slot().taken.is_cancelled());
        let also = third.slot().answering();
        assert!(slots.take().is_none(), "both are being answered");
        drop(second);
        assert!(slots.take().is_none(), "its place was gone already");
        let _sending = first.slot().sending();
        assert!(slots.take().is_some(), "who sends can be put off");
        drop((answering, also));
    }
}
