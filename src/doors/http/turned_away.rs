//! Requests of people who are nobody, for the audit trail: counted up, and told once a second.
//! It must not keep such a request waiting, nor grow with their number.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Api, caller::Peer};
use crate::{
    auth::{
        clock::Clock,
        noise::{Failure, Noise},
    },
    control::Control,
    model::event::Event,
};

/// How often it is looked whether there is something to tell.
const OFTEN: Duration = Duration::from_secs(1);

/// Why somebody is nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nobody {
    /// They showed nothing.
    NoLogin,
    /// What they showed is no token of a login, or that login has ended.
    UnknownLogin,
}

impl Nobody {
    fn word(self) -> &'static str {
        match self {
            Self::NoLogin => "no-login",
            Self::UnknownLogin => "unknown-login",
        }
    }

    fn because(self) -> &'static str {
        match self {
            Self::NoLogin => "it came without a login",
            Self::UnknownLogin => "its login has ended, or never was",
        }
    }
}

/// Counts them up.
#[derive(Debug)]
pub(super) struct TurnedAway {
    clock: Clock,
    noise: Mutex<Noise>,
}

impl TurnedAway {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            noise: Mutex::default(),
        }
    }

    /// Takes in that somebody was turned away.
    pub(super) fn count(&self, peer: &Peer, why: Nobody) {
        let failure = Failure {
            kind: "admin.command",
            user: "",
            source: &peer.from,
            door: peer.door,
            code: why.word(),
            because: why.because(),
        };
        let now = self.clock.now().at;
        self.noise().count(failure, now);
    }

    fn due(&self) -> Vec<Event> {
        let now = self.clock.now().at;
        self.noise().take(now)
    }

    /// What was counted, though its time is not over.
    fn rest(&self) -> Vec<Event> {
        let now: Instant = self.clock.now().at;
        let mut noise = self.noise();
        noise.take(now + crate::auth::noise::SPAN)
    }

    fn noise(&self) -> MutexGuard<'_, Noise> {
        self.noise.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Api {
    /// Tells what there is to tell, as long as it is polled.
    pub(super) async fn keep_telling(&self) {
        let mut often = tokio::time::interval(OFTEN);
        loop {
            often.tick().await;
            record(&self.control, self.turned_away.due()).await;
        }
    }

    /// Tells what is left, when nobody comes in any more.
    pub(super) async fn tell_the_rest(&self) {
        record(&self.control, self.turned_away.rest()).await;
    }
}

async fn record(control: &Control, events: Vec<Event>) {
    if !events.is_empty()
        && let Err(error) = control.record(events).await
    {
        tracing::warn!(%error, "requests that were turned away cannot be recorded");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;
    use crate::{auth::clock::Moment, model::principal::Door};

    use super::super::{caller::Standing, slots::Slots};

    fn turned_away() -> (TurnedAway, Arc<AtomicU64>) {
        let (seconds, start) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let hand = Arc::clone(&seconds);
        let clock = Clock::new(move || Moment {
            at: start + Duration::from_secs(hand.load(Ordering::Relaxed)),
            unix_ms: 0,
        });
        (TurnedAway::new(clock), seconds)
    }

    fn peer(from: &str) -> Peer {
        let held = Slots::new(1).take().unwrap();
        Peer {
            door: Door::Http,
            from: from.into(),
            standing: Standing::Nobody,
            slot: Arc::clone(held.slot()),
        }
    }

    #[test]
    fn a_thousand_requests_of_nobody_are_two_events() {
        let (away, seconds) = turned_away();
        for _ in 0..1000 {
            away.count(&peer("10.0.0.9"), Nobody::UnknownLogin);
        }
        let first = away.due();
        assert_eq!(first.len(), 1);
        assert_eq!(
            (first[0].kind.as_str(), first[0].subject.as_str()),
            ("admin.command", "10.0.0.9")
        );
        assert_eq!(first[0].data["code"], "unknown-login");
        assert_eq!(first[0].data["users"], serde_json::json!([]));
        seconds.store(9, Ordering::Relaxed);
        assert!(away.due().is_empty());
        seconds.store(10, Ordering::Relaxed);
        let rest = away.due();
        assert_eq!((rest.len(), &rest[0].data["count"]), (1, &999.into()));
        assert!(away.rest().is_empty());
    }

    #[test]
    fn ten_thousand_sources_are_a_bounded_number_of_events() {
        let (away, _) = turned_away();
        for number in 0..10_000 {
            away.count(&peer(&format!("10.0.{number}")), Nobody::NoLogin);
        }
        let events = away.rest();
        let counts = events
            .iter()
            .filter_map(|event| event.data["count"].as_u64());
        assert_eq!(counts.sum::<u64>(), 10_000);
        assert!(events.len() < 100, "{}", events.len());
    }
}
