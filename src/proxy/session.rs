//! A session: one client connection, from its accept until both sides are done with each other.
//! It must not know how connections are accepted, nor who else is being served.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use super::{
    account::Refusal,
    connecting::{is_ours, is_port_shortage},
    ending::{Ending, Side, Timeout},
    flow::{self, Flow},
    lane::Lane,
    peer::Peer,
    relay::{Clock, Flows, Relay},
    socket::{Socket, reset},
};
use crate::balance::{Lease, NoHost, Service, admission::Place, service::Entry};

/// A connection that was accepted and counted in.
#[derive(Debug)]
pub(super) struct Session {
    entry: Entry,
    pub(super) lane: Arc<Lane>,
    /// Who connected to us.
    pub(super) peer: Peer,
    /// Who the client is: the peer, or whom it speaks for.
    pub(super) client: Peer,
    /// What it takes up of what one client may have.
    pub(super) place: Option<Place>,
    pub(super) started: Instant,
}

/// Both sides of a session, connected.
pub(super) struct Connected {
    pub(super) lease: Lease,
    pub(super) host: Socket,
    /// Where, of the addresses that the host's name leads to.
    pub(super) at: Option<SocketAddr>,
    pub(super) connect_time: Duration,
    /// Since when.
    pub(super) since: Instant,
}

impl Session {
    /// A session with whoever connected from `peer`, counted in by `entry`.
    pub(super) fn new(entry: Entry, lane: Arc<Lane>, peer: Peer) -> Self {
        Self {
            entry,
            lane,
            peer,
            client: peer,
            place: None,
            started: Instant::now(),
        }
    }

    pub(super) fn service(&self) -> &Service {
        self.entry.service()
    }

    /// Serves the connection to its end; with `greets`, [`Self::greet`] comes first.
    ///
    /// What this future holds is the memory of an idle session: what comes seldom is in boxes.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn would hold `self` twice"
    )]
    pub(super) fn run(mut self, client: OwnedFd, greets: bool) -> impl Future<Output = ()> {
        async move {
            let client = Socket::new(client, self.peer == Peer::Unix, self.lane.event_loop());
            let mut flows = Flows {
                up: Flow::hurrying(),
                down: Flow::default(),
            };
            if greets && let Err(refusal) = Box::pin(self.greet(&client, &mut flows.up)).await {
                self.refuse(&refusal);
                return client.reset();
            }
            let mut tried = Vec::new();
            let mut connected = match self.find_host(&client, &mut flows.up, &mut tried).await {
                Ok(connected) => connected,
                Err(refusal) => {
                    self.refuse(&refusal);
                    return client.reset();
                }
            };
            self.entry.service().counters.total.increment();
            let (ending, bytes) = loop {
                let (ending, bytes) = self.serve(&client, &connected, &mut flows).await;
                if !self.is_untouched(&connected, &ending, bytes, &flows) {
                    break (ending, bytes);
                }
                let another = self.find_another(&client, &connected, &mut flows.up, &mut tried);
                match Box::pin(another).await {
                    Some(another) => connected = another,
                    None => break (ending, bytes),
                }
            };
            self.part(&client, &connected, &flows, ending, bytes);
        }
    }

    /// Lets both sides know how it ended, counts it and leaves a line in the access log.
    fn part(
        &self,
        client: &Socket,
        connected: &Connected,
        flows: &Flows,
        ending: Ending,
        bytes: (u64, u64),
    ) {
        match &ending {
            Ending::Finished | Ending::Spread => {}
            Ending::Broken(Side::Client, _) => connected.host.reset(),
            Ending::Broken(Side::Host, _) => client.reset(),
            // Who has finished gets a reset, for the answer is not whole. The other side has had
            // everything: what is still on its way to it arrives.
            Ending::TimedOut(Timeout::HalfClosed) if flows.up.is_done() => client.reset(),
            Ending::TimedOut(Timeout::HalfClosed) => connected.host.reset(),
            Ending::TimedOut(_) | Ending::Closed => {
                connected.host.reset();
                client.reset();
            }
        }
        let counters = &connected.lease.host().counters;
        counters.session_time.record(self.started.elapsed());
        if matches!(&ending, Ending::Broken(Side::Host, error) if !is_ours(error)) && bytes.1 == 0 {
            counters.early_resets.increment();
        }
        let Connected { lease, at, .. } = connected;
        self.log(lease, *at, connected.connect_time, bytes, ending);
    }

    /// Picks a host and connects to it; where that fails, another one. What the client sends
    /// meanwhile is kept: one buffer of it in `up`, the rest in its socket.
    /// Hosts in `tried`, by their serials, are left out; those that fail are added.
    pub(super) async fn find_host(
        &self,
        client: &Socket,
        up: &mut Flow,
        tried: &mut Vec<u64>,
    ) -> Result<Connected, Refusal> {
        read_ahead(client, up)?;
        let mut failure = None;
        loop {
            // Looked at anew for each try: it may have changed since the last one.
            let view = self.entry.service().view();
            if tried.len() > usize::from(view.terms.retries) {
                break;
            }
            let began = Instant::now();
            let now = self.lane.millis(began);
            let (limit, outgoing) = (view.terms.timeouts.connect, view.terms.outgoing);
            let lease = match self.acquire(&view, now, tried) {
                Ok(lease) => lease,
                Err(NoHost::Full) if tried.is_empty() && view.terms.queue.length > 0 => {
                    let terms = view.terms.queue;
                    drop(view);
                    Box::pin(self.wait_for_host(terms, client, up)).await?
                }
                Err(no_host) if tried.is_empty() => return Err(no_host.into()),
                Err(_) => break,
            };
            if !tried.is_empty() {
                self.entry.service().counters.retries.increment();
            }
            match self.connect(&lease, limit, &outgoing, up).await? {
                Ok((host, at)) => {
                    let connect_time = began.elapsed();
                    lease.connected(connect_time, now);
                    return Ok(Connected {
                        lease,
                        host,
                        at,
                        connect_time,
                        since: began + connect_time,
                    });
                }
                Err(error) if is_ours(&error) => return Err(Refusal::Resources(error)),
                // Ports run out for each host by itself; it is not the host's failure.
                Err(error) if is_port_shortage(&error) => {
                    tried.push(lease.host().serial());
                    failure = Some(error);
                }
                Err(error) => {
                    tracing::debug!(host = %lease.host().path(), %error, "connect failed");
                    lease.failed(began.elapsed(), self.lane.millis(Instant::now()));
                    tried.push(lease.host().serial());
                    failure = Some(error);
                }
            }
            // The place is free again, and this session goes on elsewhere.
            self.service().queue.tell();
        }
        let last = failure.unwrap_or_else(|| io::ErrorKind::NotConnected.into());
        if is_port_shortage(&last) {
            return Err(Refusal::Resources(last));
        }
        Err(Refusal::Unconnected {
            tried: tried.len(),
            last,
        })
    }

    /// Waits until this session is asked to end: each ring of the lane's bell wakes it.
    pub(super) async fn asked_to_end(&self, lease: Option<&Lease>) {
        poll_fn(|_| {
            if self.is_asked_to_end(lease) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn is_asked_to_end(&self, lease: Option<&Lease>) -> bool {
        let started = self.lane.millis(self.started);
        lease.is_some_and(|lease| lease.host().is_closing(started))
            || self.entry.service().is_closing(started)
    }

    /// How a session without a byte for `idle` milliseconds was asked to end, where it was.
    fn asked_ending(&self, lease: &Lease, idle: u64) -> Option<Ending> {
        if self.is_asked_to_end(Some(lease)) {
            return Some(Ending::Closed);
        }
        let started = self.lane.millis(self.started);
        let spread = lease.host().shedding().takes(started, idle);
        spread.then_some(Ending::Spread)
    }

    /// Carries the bytes; returns how it ended, and how many went to the host and to the client.
    fn serve<'a>(
        &'a self,
        client: &'a Socket,
        connected: &'a Connected,
        flows: &'a mut Flows,
    ) -> impl Future<Output = (Ending, (u64, u64))> + 'a {
        let service = self.entry.service();
        let host = connected.lease.host();
        let mut relay = Relay {
            client,
            host: &connected.host,
            flows,
            lane: &self.lane,
            asked_to_end: |idle| self.asked_ending(&connected.lease, idle),
            clock: Clock::new(
                &service.view().terms.timeouts,
                self.lane.millis(self.started),
                self.lane.millis(connected.since),
            ),
            meters: [&host.counters.bytes, &service.counters.bytes],
            opening: &service.opening,
            bytes: (0, 0),
        };
        async move { (relay.run().await, relay.bytes) }
    }
}

/// Takes what the client has sent already, so that it can go out with the handshake.
fn read_ahead(client: &Socket, up: &mut Flow) -> Result<(), Refusal> {
    flow::with_buffer(|buffer| {
        // A header, or what came with one, goes before it.
        let ahead = up.pending().len().min(buffer.len());
        if ahead == buffer.len() {
            // To receive nothing would look like the end.
            return Ok(());
        }
        buffer[..ahead].copy_from_slice(&up.pending()[..ahead]);
        match client.try_recv(&mut buffer[ahead..]) {
            Ok(0) => up.source_is_done(),
            Ok(bytes) => up.begin_with(&buffer[..ahead + bytes]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(Refusal::Left(error)),
        }
        Ok(())
    })
}

/// Resets a connection for which there is no place.
pub(super) fn turn_away(client: OwnedFd) {
    reset(&client);
}
