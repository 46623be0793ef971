//! An event loop by itself: what wakes a task, what ends it, and what is left of it.

use std::{
    future::{pending, poll_fn},
    os::unix::net::UnixStream,
    sync::mpsc,
    task::Poll,
    thread::{self, JoinHandle},
};

use proptest::prelude::*;
use rustix::event::epoll::EventFlags;
use tokio::sync::oneshot;

use super::*;

const SOON: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_secs(3600);

/// A loop on a thread of its own; what it is told to do answers over a channel.
struct Running {
    handle: Handle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    fn start() -> Self {
        let event_loop = EventLoop::new(Instant::now()).unwrap();
        let handle = event_loop.handle();
        let thread = thread::spawn(move || event_loop.run(TICK));
        Self {
            handle,
            thread: Some(thread),
        }
    }

    /// What `task` comes to on the loop.
    fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        self.begin(task).recv_timeout(SOON).unwrap()
    }

    fn begin<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> mpsc::Receiver<T> {
        let (tell, told) = mpsc::channel();
        self.handle.spawn(async move {
            let _ = tell.send(task.await);
        });
        told
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.close();
        let ended = self.thread.take().unwrap().join().unwrap();
        ended.unwrap();
    }
}

#[test]
fn a_task_that_another_thread_wakes_goes_on_although_the_loop_waits() {
    let running = Running::start();
    let (tell, told) = oneshot::channel();
    let answer = running.begin(async { told.await.unwrap() });
    // It runs once before, and the loop rests.
    running.run(async {});
    tell.send(7).unwrap();
    assert_eq!(answer.recv_timeout(SOON).unwrap(), 7);
}

#[test]
fn a_task_that_wakes_itself_leaves_others_their_turn() {
    let running = Running::start();
    let busy = running.begin(poll_fn::<(), _>(|cx| {
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    assert_eq!(running.run(async { 1 }), 1);
    let handle = running.handle.clone();
    running.run(async move { Sleep::for_at_least(&handle, millis(5)).wait().await });
    assert!(busy.try_recv().is_err());
}

#[test]
fn a_task_that_panics_ends_alone() {
    let running = Running::start();
    let other = running.begin(async { tokio::task::yield_now().await });
    let panicked = running.begin(async { panic!("on purpose") });
    assert!(panicked.recv_timeout(SOON).is_err());
    other.recv_timeout(SOON).unwrap();
    assert_eq!(running.run(async { 1 }), 1);
    let handle = running.handle.clone();
    assert_eq!(running.run(async move { handle.tasks() }), 0);
}

#[test]
fn every_task_runs_once_more_when_all_are_woken() {
    let running = Running::start();
    let handle = running.handle.clone();
    let counted = |polls: mpsc::Sender<()>| {
        poll_fn::<(), _>(move |_| {
            let _ = polls.send(());
            Poll::Pending
        })
    };
    let (tell, told) = mpsc::channel();
    for _ in 0..3 {
        running.handle.spawn(counted(tell.clone()));
    }
    for _ in 0..3 {
        told.recv_timeout(SOON).unwrap();
    }
    handle.wake_all();
    for _ in 0..3 {
        told.recv_timeout(SOON).unwrap();
    }
    running.run(async {});
    assert!(told.try_recv().is_err());
}

#[test]
fn tasks_are_dropped_with_their_loop_and_so_are_those_that_come_later() {
    let held = Arc::new(());
    let holding = || {
        let held = Arc::clone(&held);
        async move {
            pending::<()>().await;
            drop(held);
        }
    };
    let running = Running::start();
    let handle = running.handle.clone();
    running.begin(holding());
    running.run(async {});
    assert_eq!(Arc::strong_count(&held), 2);
    drop(running);
    assert_eq!(Arc::strong_count(&held), 1);
    handle.spawn(holding());
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn a_loop_of_a_runtime_ends_after_a_task_that_the_last_one_has_begun() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let event_loop = EventLoop::new(Instant::now()).unwrap();
    let handle = event_loop.handle();
    let (tell, told) = mpsc::channel();
    let inner = handle.clone();
    handle.spawn(async move {
        inner.spawn(async move {
            tokio::task::yield_now().await;
            tell.send(()).unwrap();
        });
    });
    handle.retire();
    embedded::start(event_loop, runtime.handle()).unwrap();
    let over = async {
        while runtime.metrics().num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    };
    runtime.block_on(async { tokio::time::timeout(SOON, over).await.unwrap() });
    told.try_recv().unwrap();
}

#[test]
fn what_has_happened_to_many_is_seen_before_anybody_s_time_is_over() {
    let mut event_loop = EventLoop::new(Instant::now()).unwrap();
    let (tell, told) = mpsc::channel();
    let (ours, theirs): (Vec<_>, Vec<_>) = (0..BATCH + 40).map(|_| pair()).unzip();
    for ours in ours {
        let (handle, tell) = (event_loop.handle(), tell.clone());
        event_loop.handle().spawn(async move {
            let watched = Watched::new(ours.into(), &handle);
            let read = handle.within(millis(20), readable(watched)).await;
            let _ = tell.send(read.is_some());
        });
    }
    event_loop.run_tasks();
    // As if the process was stopped: bytes come, and time goes by.
    for theirs in &theirs {
        rustix::io::write(theirs, b"x").unwrap();
    }
    let held = Instant::now();
    while held.elapsed() < millis(40) {
        thread::yield_now();
    }
    event_loop.look(0).unwrap();
    event_loop.run_tasks();
    let read: Vec<bool> = told.try_iter().collect();
    assert_eq!(read.len(), theirs.len());
    assert!(read.iter().all(|read| *read));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn no_sleep_ends_too_early_or_leaves_a_timer(
        lengths in proptest::collection::vec(0_u64..40, 1..20),
    ) {
        let running = Running::start();
        let (tell, told) = mpsc::channel();
        for length in &lengths {
            let (handle, tell, length) = (running.handle.clone(), tell.clone(), *length);
            running.handle.spawn(async move {
                let began = Instant::now();
                Sleep::for_at_least(&handle, millis(length)).wait().await;
                let _ = tell.send((length, began.elapsed()));
            });
        }
        for _ in &lengths {
            let (length, slept) = told.recv_timeout(SOON).unwrap();
            prop_assert!(slept >= millis(length), "{slept:?} instead of {length} ms");
        }
        prop_assert_eq!(running.handle.0.timers.first(), None);
    }
}

#[test]
fn a_limit_that_was_not_needed_leaves_no_timer() {
    let running = Running::start();
    let handle = running.handle.clone();
    let (tell, told) = oneshot::channel();
    let done = running.begin(async move { handle.within(TICK, told).await });
    running.run(async {});
    assert!(running.handle.0.timers.first().is_some());
    tell.send(3).unwrap();
    assert_eq!(done.recv_timeout(SOON).unwrap(), Some(Ok(3)));
    assert_eq!(running.handle.0.timers.first(), None);
    let handle = running.handle.clone();
    let late = running.run(async move { handle.within(millis(1), pending::<()>()).await });
    assert_eq!(late, None);
}

#[test]
fn what_nobody_has_waited_for_is_not_watched() {
    let running = Running::start();
    let (ours, _theirs) = pair();
    let watched = Watched::new(ours.into(), &running.handle);
    assert_eq!(watched.ready(), EventFlags::OUT);
    assert_eq!(running.handle.0.poller.watched(), 0);
}

#[test]
fn a_descriptor_is_ready_when_its_peer_has_written_and_watched_until_it_is_dropped() {
    let running = Running::start();
    let (ours, theirs) = pair();
    let watched = Watched::new(ours.into(), &running.handle);
    let ready = running.begin(readable(watched));
    running.run(async {});
    assert!(ready.try_recv().is_err());
    rustix::io::write(&theirs, b"x").unwrap();
    let (watched, flags) = ready.recv_timeout(SOON).unwrap();
    assert!(flags.contains(EventFlags::IN));
    assert_eq!(running.handle.0.poller.watched(), 1);
    drop(watched);
    assert_eq!(running.handle.0.poller.watched(), 0);
}

#[test]
fn what_happens_to_a_descriptor_that_had_the_place_before_is_not_taken_for_ours() {
    let running = Running::start();
    let (gone, writes_to_gone) = pair();
    // Closing `gone` does not end the watch: this is the same socket.
    let keeps_gone = gone.try_clone().unwrap();
    let watched = Watched::new(gone.into(), &running.handle);
    rustix::io::write(&writes_to_gone, b"x").unwrap();
    drop(running.run(readable(watched)));

    let (ours, theirs) = pair();
    let watched = Watched::new(ours.into(), &running.handle);
    let ready = running.begin(readable(watched));
    running.run(async {});
    rustix::io::write(&writes_to_gone, b"x").unwrap();
    let handle = running.handle.clone();
    running.run(async move { Sleep::for_at_least(&handle, millis(20)).wait().await });
    assert!(ready.try_recv().is_err());
    rustix::io::write(&theirs, b"x").unwrap();
    ready.recv_timeout(SOON).unwrap();
    drop(keeps_gone);
}

#[test]
fn a_descriptor_is_written_to_again_when_there_is_room() {
    let running = Running::start();
    let (ours, theirs) = pair();
    let watched = Watched::new(ours.into(), &running.handle);
    while rustix::io::write(&watched, &[0; 65536]).is_ok() {}
    watched.clear(EventFlags::OUT);
    let room = running.begin(async move {
        poll_fn(|cx| watched.poll_ready(cx, EventFlags::OUT))
            .await
            .unwrap();
        rustix::io::write(&watched, b"x").unwrap()
    });
    running.run(async {});
    assert!(room.try_recv().is_err());
    let mut buffer = vec![0; 1 << 20];
    while rustix::io::read(&theirs, &mut buffer[..]).is_ok_and(|read| read > 0) {}
    assert_eq!(room.recv_timeout(SOON).unwrap(), 1);
}

/// Waits for `watched` to be readable.
async fn readable(watched: Watched) -> (Watched, EventFlags) {
    let flags = poll_fn(|cx| watched.poll_ready(cx, EventFlags::IN)).await;
    (watched, flags.unwrap())
}

fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (ours, theirs)
}

fn millis(length: u64) -> Duration {
    Duration::from_millis(length)
}
