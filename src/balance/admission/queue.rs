//! The queue: sessions that wait because every host is full, first come first served.
//! It must not know a clock or a runtime; how long somebody waits is for them to say.
//!
//! Only the first in the queue looks for a place, each time it is told that there may be one:
//! when a session ends, when the hosts change, and when it becomes the first. So a place that is
//! free while somebody waits has always somebody who was told of it.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU32,
            Ordering::{Relaxed, SeqCst},
            fence,
        },
    },
    task::{Context, Poll, Waker},
};

/// Who waits for a place in a service.
#[derive(Debug, Default)]
pub struct Queue {
    /// How many wait, to be read without the lock.
    length: AtomicU32,
    /// Held for a few instructions, and only where somebody waits.
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    line: VecDeque<Waiter>,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    /// There may be a place: to be looked for when it is first.
    told: bool,
    waker: Option<Waker>,
}

/// A place in the queue, left when dropped.
#[derive(Debug)]
pub struct Ticket {
    queue: Arc<Queue>,
    number: u64,
}

impl Queue {
    /// How many wait.
    pub fn len(&self) -> u32 {
        self.length.load(Relaxed)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Joins the queue at its end, unless `limit` wait in it.
    pub fn join(self: &Arc<Self>, limit: u32) -> Option<Ticket> {
        let mut waiting = self.waiting();
        if self.len() >= limit {
            return None;
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.line.push_back(Waiter {
            number,
            told: true,
            waker: None,
        });
        self.length.fetch_add(1, SeqCst);
        Some(Ticket {
            queue: Arc::clone(self),
            number,
        })
    }

    /// Says that there may be a place. Called after the place has been given back.
    pub fn tell(&self) {
        // Either this sees who has joined, or they see the place: not neither.
        fence(SeqCst);
        if !self.is_empty() {
            self.waiting().tell_first();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn tell_first(&mut self) {
        if let Some(first) = self.line.front_mut() {
            first.told = true;
            if let Some(waker) = first.waker.take() {
                waker.wake();
            }
        }
    }
}

impl Ticket {
    /// Ready when it is this one's turn to look for a place: it is the first, and there may be one.
    pub fn poll_turn(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.queue.waiting();
        let is_first = waiting.is_first(self.number);
        let Some(waiter) = waiting.find(self.number) else {
            return Poll::Ready(());
        };
        if is_first && waiter.told {
            waiter.told = false;
            drop(waiting);
            // The other half of the promise in `tell`.
            fence(SeqCst);
            return Poll::Ready(());
        }
        waiter.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Waiting {
    fn is_first(&self, number: u64) -> bool {
        self.line
            .front()
            .is_some_and(|first| first.number == number)
    }

    /// Numbers only grow along the line, so that one is found quickly in a long one.
    fn position(&self, number: u64) -> Option<usize> {
        self.line
            .binary_search_by_key(&number, |waiter| waiter.number)
            .ok()
    }

    fn find(&mut self, number: u64) -> Option<&mut Waiter> {
        let position = self.position(number)?;
        self.line.get_mut(position)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting();
        let Some(position) = waiting.position(self.number) else {
            return;
        };
        waiting.line.remove(position);
        self.queue.length.fetch_sub(1, SeqCst);
        // Who left may have been told of a place, or may have left more than one.
        if position == 0 {
            waiting.tell_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::AtomicBool,
        task::{Wake, Waker},
    };

    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, SeqCst);
        }
    }

    /// Somebody who waits as a task does: polls once, and again only when woken.
    struct Task {
        number: usize,
        ticket: Ticket,
        flag: Arc<Flag>,
    }

    impl Task {
        fn new(number: usize, ticket: Ticket) -> Self {
            let flag = Arc::new(Flag(AtomicBool::new(true)));
            Self {
                number,
                ticket,
                flag,
            }
        }

        /// Runs it if it was woken; whether it got a place.
        fn run(&self, free: &mut u32) -> bool {
            let waker = Waker::from(Arc::clone(&self.flag));
            let mut cx = Context::from_waker(&waker);
            if !self.flag.0.swap(false, SeqCst) {
                return false;
            }
            while self.ticket.poll_turn(&mut cx).is_ready() {
                if *free > 0 {
                    *free -= 1;
                    return true;
                }
            }
            false
        }
    }

    /// Lets everybody run who was woken, until nobody is; who got a place, in order.
    fn settle(tasks: &mut Vec<Task>, free: &mut u32) -> Vec<usize> {
        let mut served = Vec::new();
        while let Some(index) = tasks.iter().position(|task| task.run(free)) {
            served.push(tasks.remove(index).number);
        }
        served
    }

    #[test]
    fn no_more_wait_than_may() {
        let queue = Arc::new(Queue::default());
        assert!(queue.join(0).is_none());
        let first = queue.join(1);
        assert!(first.is_some() && queue.join(1).is_none());
        drop(first);
        assert!(queue.join(1).is_some());
    }

    proptest! {
        #[test]
        fn no_place_stays_free_while_somebody_waits_and_all_are_served_in_order(
            steps in prop::collection::vec((0..4u8, any::<prop::sample::Index>()), 1..200)
        ) {
            let queue = Arc::new(Queue::default());
            let (mut tasks, mut free, mut next) = (Vec::new(), 0, 0);
            let mut last = None;
            for (step, whom) in steps {
                match step {
                    0 | 1 => {
                        tasks.push(Task::new(next, queue.join(u32::MAX).unwrap()));
                        next += 1;
                    }
                    2 => {
                        free += 1;
                        queue.tell();
                    }
                    _ if !tasks.is_empty() => drop(tasks.remove(whom.index(tasks.len()))),
                    _ => {}
                }
                for served in settle(&mut tasks, &mut free) {
                    prop_assert!(last < Some(served), "{served} came after {last:?}");
                    last = Some(served);
                }
                prop_assert!(free == 0 || tasks.is_empty(), "{free} free, {} wait", tasks.len());
                prop_assert_eq!(queue.len() as usize, tasks.len());
            }
        }
    }

    #[test]
    fn under_threads_that_come_and_go_everybody_is_served() {
        const PLACES: u32 = 3;
        let queue = Arc::new(Queue::default());
        let free = Arc::new(AtomicU32::new(PLACES));
        let take = |free: &AtomicU32| {
            free.fetch_update(SeqCst, SeqCst, |free| free.checked_sub(1))
                .is_ok()
        };
        let waiting: Vec<_> = (0..32)
            .map(|_| {
                let (queue, free) = (Arc::clone(&queue), Arc::clone(&free));
                std::thread::spawn(move || {
                    for _ in 0..500 {
                        let ticket = queue.join(u32::MAX).unwrap();
                        loop {
                            wait(&ticket);
                            if take(&free) {
                                break;
                            }
                        }
                        drop(ticket);
                        free.fetch_add(1, SeqCst);
                        queue.tell();
                    }
                })
            })
            .collect();
        for thread in waiting {
            thread.join().unwrap();
        }
        assert_eq!(free.load(SeqCst), PLACES);
        assert!(queue.is_empty());
    }

    /// Blocks until it is the ticket's turn; a wake-up that is lost would block for ever.
    fn wait(ticket: &Ticket) {
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        while ticket
            .poll_turn(&mut Context::from_waker(&waker))
            .is_pending()
        {
            std::thread::park();
        }
    }
}
