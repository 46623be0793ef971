//! An event loop inside a program that has a tokio runtime: one task of it runs all of the loop's.
//! It must not block that runtime.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    runtime::Handle as Runtime,
    time::sleep_until,
};

use super::{EventLoop, Next};

/// Has `runtime` run `event_loop` until it is closed, or retired and without a task.
///
/// # Errors
/// When the runtime cannot watch the loop's descriptor.
pub(in crate::proxy) fn start(event_loop: EventLoop, runtime: &Runtime) -> io::Result<()> {
    let epoll = event_loop.handle.0.poller.epoll().try_clone_to_owned()?;
    let epoll = {
        let _inside = runtime.enter();
        register(epoll)?
    };
    runtime.spawn(async move {
        if let Err(error) = drive(event_loop, &epoll).await {
            tracing::error!(%error, "an event loop has ended");
        }
    });
    Ok(())
}

#[expect(
    deprecated,
    reason = "unsound only for types that close or change their descriptor"
)]
fn register(epoll: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(epoll, Interest::READABLE)
}

async fn drive(mut event_loop: EventLoop, epoll: &AsyncFd<OwnedFd>) -> io::Result<()> {
    loop {
        let next = event_loop.run_tasks();
        if event_loop.is_over(&next) {
            return Ok(());
        }
        // One that always has something to do leaves others on its thread their turn.
        tokio::task::coop::consume_budget().await;
        match next {
            Next::Look => {
                event_loop.look(0)?;
                tokio::task::yield_now().await;
            }
            Next::Wait(moment) => {
                let millis = moment.map(|moment| event_loop.until(moment));
                let mut ready = tokio::select! {
                    ready = epoll.readable() => Some(ready?),
                    () = rest(millis) => None,
                };
                let more = event_loop.look(0)?;
                if let Some(ready) = &mut ready
                    && !more
                {
                    ready.clear_ready();
                }
            }
        }
    }
}

async fn rest(millis: Option<u64>) {
    let until = millis.and_then(|millis| Instant::now().checked_add(Duration::from_millis(millis)));
    match until {
        Some(until) => sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

impl EventLoop {
    /// Whether there is nothing to come. A task that has ended may have spawned another just then.
    fn is_over(&self, next: &Next) -> bool {
        let queue = &self.handle.0.queue;
        let idle = matches!(next, Next::Wait(_)) && self.tasks.len() == 0;
        queue.is_closed() || (queue.is_retired() && idle)
    }
}
