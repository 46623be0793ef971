//! A session in the queue: until a host has a place for it, or it has waited long enough.
//! It must not overtake those who came before.

use std::{future::poll_fn, io, time::Instant};

use super::{account::Refusal, event_loop::Sleep, flow::Flow, session::Session, socket::Socket};
use crate::balance::{Lease, NoHost, View, view::Waiting};

impl Session {
    /// Picks a host and takes a place on it, unless others wait for one.
    pub(super) fn acquire(&self, view: &View, now: u64, tried: &[u64]) -> Result<Lease, NoHost> {
        let first = tried.is_empty();
        if first && view.terms.queue.length > 0 && !self.service().queue.is_empty() {
            return Err(NoHost::Full);
        }
        view.acquire(self.scheduled_as(), now, rand::random(), tried)
    }

    /// Waits until a host has a place, and takes it. What the client sends meanwhile goes to `up`.
    pub(super) async fn wait_for_host(
        &self,
        terms: Waiting,
        client: &Socket,
        up: &mut Flow,
    ) -> Result<Lease, Refusal> {
        let since = Instant::now();
        let out_of_time = async {
            match terms.timeout {
                Some(timeout) => {
                    Sleep::for_at_least(self.lane.event_loop(), timeout)
                        .wait()
                        .await
                }
                None => std::future::pending().await,
            }
        };
        let lease = tokio::select! {
            biased;
            lease = self.take_turns(terms.length) => lease?,
            () = out_of_time => return Err(Refusal::Waited),
            error = gone(client, up) => return Err(Refusal::Left(error)),
            () = self.asked_to_end(None) => return Err(Refusal::Closed),
        };
        let counters = &self.service().counters;
        counters.queue_time.record(since.elapsed());
        Ok(lease)
    }

    async fn take_turns(&self, length: u32) -> Result<Lease, Refusal> {
        let service = self.service();
        let ticket = service.queue.join(length).ok_or(NoHost::Full)?;
        loop {
            poll_fn(|cx| ticket.poll_turn(cx)).await;
            // Looked at anew for each turn: what was changed may be why it is one.
            let view = service.view();
            let now = self.lane.millis(Instant::now());
            match view.acquire(self.scheduled_as(), now, rand::random(), &[]) {
                Ok(lease) => return Ok(lease),
                Err(NoHost::Full) => {}
                Err(NoHost::None) => return Err(NoHost::None.into()),
            }
        }
    }
}

/// Waits until the client leaves: by a reset, or by finishing before it has said anything.
async fn gone(client: &Socket, up: &mut Flow) -> io::Error {
    if up.pending().is_empty() {
        let mut buffer = [0; 2048];
        match client.recv(&mut buffer).await {
            Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
            Ok(bytes) => up.begin_with(&buffer[..bytes]),
            Err(error) => return error,
        }
    }
    client.broken().await
}
