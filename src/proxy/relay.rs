//! The relay: both directions of a session, until both are done or something ends it earlier.
//! It must not know how the two sides came to be connected.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use super::{
    ending::{Ending, Side, Timeout},
    event_loop::Sleep,
    flow::{Fault, Flow},
    lane::Lane,
    socket::Socket,
};
use crate::balance::{counters::Bytes, opening::Opening, view::Timeouts};

/// A session whose two sides are connected.
pub(super) struct Relay<'a, Asked> {
    pub(super) client: &'a Socket,
    pub(super) host: &'a Socket,
    pub(super) flows: &'a mut Flows,
    pub(super) lane: &'a Lane,
    /// Is told for how many milliseconds no byte has come, whenever the lane's bell rings, and says
    /// whether the session is to end now.
    pub(super) asked_to_end: Asked,
    pub(super) clock: Clock,
    /// What is counted: of the host, and of the service.
    pub(super) meters: [&'a Bytes; 2],
    /// Is told who spoke first.
    pub(super) opening: &'a Opening,
    /// Bytes to the host and to the client so far.
    pub(super) bytes: (u64, u64),
}

/// Both directions.
#[derive(Debug)]
pub(super) struct Flows {
    /// From client to host.
    pub(super) up: Flow,
    /// From host to client.
    pub(super) down: Flow,
}

/// When a session has lasted or slept too long; all in milliseconds of the lane's clock.
pub(super) struct Clock {
    timeouts: [Option<u64>; 3],
    started: u64,
    last_byte: u64,
}

impl Clock {
    /// A clock for a session that was accepted at `started`, and connected at `since`.
    pub(super) fn new(timeouts: &Timeouts, started: u64, since: u64) -> Self {
        let Timeouts {
            idle,
            half_closed,
            lifetime,
            connect: _,
        } = *timeouts;
        Self {
            timeouts: [idle, half_closed, lifetime].map(|limit| limit.map(whole_millis)),
            started,
            last_byte: since,
        }
    }

    /// When the session is over, and why, if no byte comes until then.
    fn deadline(&self, half_closed: bool) -> Option<(u64, Timeout)> {
        let [idle, half, lifetime] = self.timeouts;
        let from = |start: u64, length: Option<u64>, what| {
            length.map(|length| (start.saturating_add(length), what))
        };
        [
            from(self.last_byte, idle, Timeout::Idle),
            from(
                self.last_byte,
                half.filter(|_| half_closed),
                Timeout::HalfClosed,
            ),
            from(self.started, lifetime, Timeout::Lifetime),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }
}

/// Not less than `limit`, whatever part of a millisecond the clock does not show.
fn whole_millis(limit: Duration) -> u64 {
    limit.as_millis().saturating_add(1) as u64
}

/// Wakes a session when its time may be over.
struct Alarm<'a> {
    sleep: Sleep<'a>,
    /// Whether there is such a time.
    is_set: bool,
}

impl<Asked: Fn(u64) -> Option<Ending>> Relay<'_, Asked> {
    /// Carries the bytes until the session ends.
    pub(super) async fn run(&mut self) -> Ending {
        if let Some(ending) = self.carry(None).await {
            return ending;
        }
        // In a box, so that a session in which both may still speak is not larger for it.
        Box::pin(self.carry_rest()).await
    }

    /// Carries what comes after one side has finished.
    async fn carry_rest(&mut self) -> Ending {
        // The side that has finished can no longer be read, so a reset by it is watched for apart.
        let (side, socket) = match self.half_closed() {
            Some(Side::Host) => (Side::Host, self.host),
            Some(Side::Client) | None => (Side::Client, self.client),
        };
        let broken = pin!(async move { Ending::Broken(side, socket.broken().await) });
        // A side finishes once: this carries on to the end.
        self.carry(Some(broken)).await.unwrap_or(Ending::Finished)
    }

    /// Carries bytes until the session ends, by `ended` at the latest; `None` when one side has
    /// finished and the other has not.
    fn carry(
        &mut self,
        mut ended: Option<Pin<&mut (dyn Future<Output = Ending> + Send)>>,
    ) -> impl Future<Output = Option<Ending>> {
        let before = self.half_closed();
        // An `async fn` would hold `ended` twice.
        async move {
            let mut heard = None;
            let deadline = self.clock.deadline(before.is_some());
            let at = deadline.map_or(0, |(at, _)| at);
            let mut alarm = Alarm {
                sleep: Sleep::until(self.lane.event_loop(), at),
                is_set: deadline.is_some(),
            };
            poll_fn(|cx| {
                if let Some(ending) = self.listen(&mut heard) {
                    return Poll::Ready(Some(ending));
                }
                let ending = self.poll_flows(cx);
                let moved = self.count();
                if let Some(ending) = ending {
                    return Poll::Ready(Some(ending));
                }
                if self.half_closed() != before {
                    return Poll::Ready(None);
                }
                if let Some(ended) = &mut ended
                    && let Poll::Ready(ending) = ended.as_mut().poll(cx)
                {
                    return Poll::Ready(Some(ending));
                }
                if moved {
                    self.clock.last_byte = self.lane.now();
                }
                self.poll_clock(cx, &mut alarm).map(Some)
            })
            .await
        }
    }

    /// Asks whether the session is to end, if the bell has rung since it was `heard`.
    fn listen(&self, heard: &mut Option<u64>) -> Option<Ending> {
        let rings = Some(self.lane.rings());
        if *heard == rings {
            return None;
        }
        *heard = rings;
        (self.asked_to_end)(self.lane.now().saturating_sub(self.clock.last_byte))
    }

    /// The side that has finished sending, where just one has.
    fn half_closed(&self) -> Option<Side> {
        match (self.flows.up.is_done(), self.flows.down.is_done()) {
            (true, false) => Some(Side::Client),
            (false, true) => Some(Side::Host),
            (true, true) | (false, false) => None,
        }
    }

    fn poll_flows(&mut self, cx: &mut Context<'_>) -> Option<Ending> {
        if !self.flows.down.is_done() {
            let polled = self
                .flows
                .down
                .poll(cx, self.host, self.client, self.flows.up.is_done());
            if let Poll::Ready(Err(fault)) = polled {
                return Some(broken(fault, Side::Host, Side::Client));
            }
        }
        if !self.flows.up.is_done() {
            let polled = self
                .flows
                .up
                .poll(cx, self.client, self.host, self.flows.down.is_done());
            if let Poll::Ready(Err(fault)) = polled {
                // What a host said before it broke the connection is passed on first.
                if let Fault::Sink(_) = fault
                    && !self.flows.down.is_done()
                {
                    let _ = self.flows.down.poll(cx, self.host, self.client, true);
                }
                return Some(broken(fault, Side::Client, Side::Host));
            }
        }
        (self.flows.up.is_done() && self.flows.down.is_done()).then_some(Ending::Finished)
    }

    /// Adds what has moved to the counters; says whether anything has.
    fn count(&mut self) -> bool {
        let (up, down) = (self.flows.up.take_moved(), self.flows.down.take_moved());
        for meter in self.meters {
            if up > 0 {
                meter.to_host.add(up);
            }
            if down > 0 {
                meter.to_client.add(down);
            }
        }
        if self.bytes == (0, 0) {
            match (up, down) {
                (1.., 0) => self.opening.by_client(),
                (0, 1..) => self.opening.by_host(),
                _ => {}
            }
        }
        self.bytes.0 += up;
        self.bytes.1 += down;
        up + down > 0
    }

    /// Ready when time has run out. The alarm is not moved at every byte, which would cost each
    /// message a timer: when it goes off too early, it is set again.
    fn poll_clock(&self, cx: &Context<'_>, alarm: &mut Alarm<'_>) -> Poll<Ending> {
        while alarm.is_set && alarm.sleep.poll(cx).is_ready() {
            let now = self.lane.now();
            match self.clock.deadline(self.half_closed().is_some()) {
                Some((at, what)) if at <= now => return Poll::Ready(Ending::TimedOut(what)),
                Some((at, _)) => alarm.sleep.reset(at),
                None => alarm.is_set = false,
            }
        }
        Poll::Pending
    }
}

fn broken(fault: Fault, source: Side, sink: Side) -> Ending {
    let (side, error): (Side, io::Error) = match fault {
        Fault::Source(error) => (source, error),
        Fault::Sink(error) => (sink, error),
    };
    Ending::Broken(side, error)
}
