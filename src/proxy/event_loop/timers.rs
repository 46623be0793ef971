//! Timers of an event loop, in whole milliseconds of its clock.
//! They must not go off early.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{Handle, lock};

/// Moments, and who is woken then. What tells those of one moment apart is a number.
#[derive(Debug, Default)]
pub(super) struct Timers {
    set: Mutex<BTreeMap<(u64, u64), Waker>>,
    numbers: AtomicU64,
}

impl Timers {
    /// The next moment at which somebody is woken.
    pub(super) fn first(&self) -> Option<u64> {
        lock(&self.set).first_key_value().map(|(key, _)| key.0)
    }

    /// Wakes those whose moment has come.
    pub(super) fn fire(&self, now: u64) {
        let mut set = lock(&self.set);
        while let Some(first) = set.first_entry()
            && first.key().0 <= now
        {
            first.remove().wake();
        }
    }

    fn set(&self, moment: u64, waker: Waker) -> u64 {
        let number = self.numbers.fetch_add(1, Relaxed);
        lock(&self.set).insert((moment, number), waker);
        number
    }

    fn unset(&self, moment: u64, number: u64) {
        lock(&self.set).remove(&(moment, number));
    }
}

/// Waits for a moment. It costs nothing until somebody does wait.
#[derive(Debug)]
pub(in crate::proxy) struct Sleep<'a> {
    handle: &'a Handle,
    moment: u64,
    set: Option<u64>,
}

impl<'a> Sleep<'a> {
    /// Until `moment` on the clock of the loop.
    pub(in crate::proxy) fn until(handle: &'a Handle, moment: u64) -> Self {
        Self {
            handle,
            moment,
            set: None,
        }
    }

    /// For so long from now on.
    pub(in crate::proxy) fn for_at_least(handle: &'a Handle, length: Duration) -> Self {
        Self::until(handle, handle.moment_after(length))
    }

    /// Waits for another moment instead.
    pub(in crate::proxy) fn reset(&mut self, moment: u64) {
        self.unset();
        self.moment = moment;
    }

    /// Ready once the moment has come; until then the task is woken when it has.
    pub(in crate::proxy) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.moment <= self.handle.now() {
            self.unset();
            return Poll::Ready(());
        }
        if self.set.is_none() {
            let timers = &self.handle.0.timers;
            self.set = Some(timers.set(self.moment, cx.waker().clone()));
        }
        Poll::Pending
    }

    /// Waits for the moment.
    pub(in crate::proxy) async fn wait(&mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn unset(&mut self) {
        if let Some(number) = self.set.take() {
            self.handle.0.timers.unset(self.moment, number);
        }
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.unset();
    }
}
