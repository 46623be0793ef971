//! The relay: both directions of a session, until both are done or something ends it earlier.
//! It must not know how the two sides came to be connected.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::time::{Sleep, sleep_until};

use super::{
    ending::{Ending, Side, Timeout},
    flow::{Fault, Flow},
    lane::Lane,
    socket::Socket,
};
use crate::balance::{counters::Bytes, view::Timeouts};

/// A session whose two sides are connected.
pub(super) struct Relay<'a> {
    pub(super) client: &'a Socket,
    pub(super) host: &'a Socket,
    /// From client to host.
    pub(super) up: Flow,
    /// From host to client.
    pub(super) down: Flow,
    pub(super) clock: Clock,
    /// What is counted: of the host, and of the service.
    pub(super) meters: [&'a Bytes; 2],
    /// Bytes to the host and to the client so far.
    pub(super) bytes: (u64, u64),
}

/// When a session has lasted or slept too long.
pub(super) struct Clock {
    pub(super) timeouts: Timeouts,
    pub(super) started: Instant,
    pub(super) last_byte: Instant,
}

impl Clock {
    /// When the session is over, and why, if no byte comes until then.
    fn deadline(&self, half_closed: bool) -> Option<(Instant, Timeout)> {
        let Timeouts {
            idle,
            half_closed: half,
            lifetime,
            connect: _,
        } = self.timeouts;
        let from = |start: Instant, length: Option<Duration>, what| {
            length.and_then(|length| Some((start.checked_add(length)?, what)))
        };
        let half = if half_closed { half } else { None };
        [
            from(self.last_byte, idle, Timeout::Idle),
            from(self.last_byte, half, Timeout::HalfClosed),
            from(self.started, lifetime, Timeout::Lifetime),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }
}

impl Relay<'_> {
    /// Carries the bytes until the session ends. `asked_to_end` is looked at whenever the lane's
    /// bell rings.
    pub(super) async fn run(&mut self, lane: &Lane, asked_to_end: impl Fn() -> bool) -> Ending {
        // Made before the first look, so that no ring goes unheard.
        let mut bell = pin!(lane.bell().notified());
        let mut alarm = pin!(None);
        if asked_to_end() {
            return Ending::Closed;
        }
        let ended = std::future::poll_fn(|cx| {
            while bell.as_mut().poll(cx).is_ready() {
                bell.set(lane.bell().notified());
                if asked_to_end() {
                    return Poll::Ready(Some(Ending::Closed));
                }
            }
            match self.poll(cx, alarm.as_mut()) {
                Poll::Pending if self.half_closed().is_some() => Poll::Ready(None),
                polled => polled.map(Some),
            }
        })
        .await;
        match ended {
            Some(ending) => ending,
            // Apart, so that sessions that are not half-closed need no room for it.
            None => Box::pin(self.run_half_closed(lane, asked_to_end)).await,
        }
    }

    /// Goes on after one side has finished. That side can no longer be read, so a reset by it
    /// is watched for apart.
    async fn run_half_closed(&mut self, lane: &Lane, asked_to_end: impl Fn() -> bool) -> Ending {
        let (side, socket) = match self.half_closed() {
            Some(Side::Host) => (Side::Host, self.host),
            Some(Side::Client) | None => (Side::Client, self.client),
        };
        let mut broken = pin!(socket.broken());
        let mut bell = pin!(lane.bell().notified());
        let mut alarm = pin!(None);
        if asked_to_end() {
            return Ending::Closed;
        }
        std::future::poll_fn(|cx| {
            while bell.as_mut().poll(cx).is_ready() {
                bell.set(lane.bell().notified());
                if asked_to_end() {
                    return Poll::Ready(Ending::Closed);
                }
            }
            if let Poll::Ready(ending) = self.poll(cx, alarm.as_mut()) {
                return Poll::Ready(ending);
            }
            broken
                .as_mut()
                .poll(cx)
                .map(|error| Ending::Broken(side, error))
        })
        .await
    }

    /// The side that has finished sending, where just one has.
    fn half_closed(&self) -> Option<Side> {
        match (self.up.is_done(), self.down.is_done()) {
            (true, false) => Some(Side::Client),
            (false, true) => Some(Side::Host),
            (true, true) | (false, false) => None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, alarm: Pin<&mut Option<Sleep>>) -> Poll<Ending> {
        let ending = self.poll_flows(cx);
        if self.count() {
            self.clock.last_byte = Instant::now();
        }
        match ending {
            Some(ending) => Poll::Ready(ending),
            None => self.poll_clock(cx, alarm),
        }
    }

    fn poll_flows(&mut self, cx: &mut Context<'_>) -> Option<Ending> {
        if !self.down.is_done() {
            let polled = self
                .down
                .poll(cx, self.host, self.client, self.up.is_done());
            if let Poll::Ready(Err(fault)) = polled {
                return Some(broken(fault, Side::Host, Side::Client));
            }
        }
        if !self.up.is_done() {
            let polled = self
                .up
                .poll(cx, self.client, self.host, self.down.is_done());
            if let Poll::Ready(Err(fault)) = polled {
                return Some(broken(fault, Side::Client, Side::Host));
            }
        }
        (self.up.is_done() && self.down.is_done()).then_some(Ending::Finished)
    }

    /// Adds what has moved to the counters; says whether anything has.
    fn count(&mut self) -> bool {
        let (up, down) = (self.up.take_moved(), self.down.take_moved());
        for meter in self.meters {
            if up > 0 {
                meter.to_host.add(up);
            }
            if down > 0 {
                meter.to_client.add(down);
            }
        }
        self.bytes.0 += up;
        self.bytes.1 += down;
        up + down > 0
    }

    /// Ready when time has run out. The alarm is not moved at every byte, which would cost each
    /// message a timer: when it goes off too early, it is set again.
    fn poll_clock(&self, cx: &mut Context<'_>, mut alarm: Pin<&mut Option<Sleep>>) -> Poll<Ending> {
        let half_closed = self.half_closed().is_some();
        if alarm.is_none() {
            let Some((at, _)) = self.clock.deadline(half_closed) else {
                return Poll::Pending;
            };
            alarm.set(Some(sleep_until(at.into())));
        }
        while let Some(mut sleep) = alarm.as_mut().as_pin_mut() {
            if sleep.as_mut().poll(cx).is_pending() {
                break;
            }
            match self.clock.deadline(half_closed) {
                Some((at, what)) if at <= Instant::now() => {
                    return Poll::Ready(Ending::TimedOut(what));
                }
                Some((at, _)) => sleep.reset(at.into()),
                None => break,
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
