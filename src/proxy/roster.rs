//! Which lanes a listener wakes: all while there is work for them, and at rest just one.
//! It must not accept, nor know what a connection is.
//!
//! A connection wakes every thread that watches its listener, and one of them gets it. That is as
//! it should be while all have work: whoever has time takes it. At rest the others wake for
//! nothing, which costs as much as a quarter of a short connection. So a lane that was woken in
//! vain again and again steps back, and is called as soon as one that watches gets ahead of it.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU32, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use super::lane::Lane;

/// So many times in a row a lane is woken in vain before it steps back.
const PATIENCE: u32 = 8;
/// By how many sessions a lane may be ahead of one that stepped back.
const AHEAD: u32 = 2;
/// How long a lane stays back when nobody calls: whatever keeps the others from it, a connection
/// waits no longer than this.
const AWAY: Duration = Duration::from_secs(1);

/// The lanes of one listener.
#[derive(Debug)]
pub(super) struct Roster {
    watching: AtomicUsize,
    seats: Vec<Arc<Seat>>,
}

#[derive(Debug)]
struct Seat {
    lane: Arc<Lane>,
    away: AtomicBool,
    call: Notify,
}

/// One lane in the roster of a listener.
#[derive(Debug)]
pub(super) struct Watch {
    roster: Arc<Roster>,
    seat: Arc<Seat>,
    in_vain: AtomicU32,
}

impl Roster {
    /// All `lanes` watch, to begin with.
    pub(super) fn watches(lanes: &[Arc<Lane>]) -> Vec<Watch> {
        let seat = |lane: &Arc<Lane>| {
            Arc::new(Seat {
                lane: Arc::clone(lane),
                away: AtomicBool::new(false),
                call: Notify::new(),
            })
        };
        let roster = Arc::new(Self {
            watching: AtomicUsize::new(lanes.len()),
            seats: lanes.iter().map(seat).collect(),
        });
        let watch = |seat| Watch {
            roster: Arc::clone(&roster),
            seat: Arc::clone(seat),
            in_vain: AtomicU32::new(0),
        };
        roster.seats.iter().map(watch).collect()
    }
}

impl Watch {
    /// Takes note that this lane has got a connection, and calls another one back where this one
    /// has more to do by now.
    pub(super) fn got_one(&self) {
        self.in_vain.store(0, Relaxed);
        let Roster { watching, seats } = &*self.roster;
        if watching.load(Relaxed) == seats.len() {
            return;
        }
        let away = seats.iter().filter(|seat| seat.away.load(Acquire));
        let Some(idlest) = away.min_by_key(|seat| seat.lane.sessions()) else {
            return;
        };
        let ahead = self.seat.lane.sessions() > idlest.lane.sessions().saturating_add(AHEAD);
        if ahead && idlest.away.swap(false, AcqRel) {
            idlest.call.notify_one();
        }
    }

    /// Takes note that this lane was woken in vain; says whether it is to step back now. It is
    /// not if it is the last one.
    pub(super) fn got_none(&self) -> bool {
        if self.in_vain.fetch_add(1, Relaxed) + 1 < PATIENCE {
            return false;
        }
        let others = |watching: usize| (watching > 1).then(|| watching - 1);
        let watching = &self.roster.watching;
        watching.fetch_update(AcqRel, Relaxed, others).is_ok()
    }

    /// Waits until this lane is to watch again, after it has stepped back.
    pub(super) async fn called(&self) {
        self.seat.away.store(true, Release);
        let called = timeout(AWAY, self.seat.call.notified()).await.is_ok();
        self.seat.away.store(false, Release);
        // Who comes back uncalled steps back at once when that was for nothing.
        let in_vain = if called { 0 } else { PATIENCE - 1 };
        self.in_vain.store(in_vain, Relaxed);
    }

    /// Takes note that this lane watches again.
    pub(super) fn is_back(&self) {
        self.roster.watching.fetch_add(1, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn lanes(count: usize) -> Vec<Arc<Lane>> {
        let runtime = tokio::runtime::Handle::current();
        let lane = |_| Arc::new(Lane::new(runtime.clone(), Instant::now(), false));
        (0..count).map(lane).collect()
    }

    fn steps_back(watch: &Watch) -> bool {
        (0..PATIENCE).any(|_| watch.got_none())
    }

    #[tokio::test]
    async fn all_step_back_but_the_last() {
        let watches = Roster::watches(&lanes(3));
        let back: Vec<bool> = watches.iter().map(steps_back).collect();
        assert_eq!(back, [true, true, false]);
    }

    #[tokio::test]
    async fn who_gets_a_connection_now_and_then_stays() {
        let watches = Roster::watches(&lanes(2));
        for _ in 0..100 {
            assert!(!(1..PATIENCE).any(|_| watches[0].got_none()));
            watches[0].got_one();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_stepped_back_is_called_when_another_gets_ahead_of_it() {
        let lanes = lanes(2);
        let watches = Roster::watches(&lanes);
        assert!(steps_back(&watches[0]));
        let start = tokio::time::Instant::now();
        let mut aboard = Vec::new();
        let others_get_ahead = async {
            for _ in 0..=AHEAD {
                assert!(watches[0].seat.away.load(Acquire));
                aboard.push(Lane::board(&lanes[1]));
                watches[1].got_one();
            }
            assert!(!watches[0].seat.away.load(Acquire));
        };
        tokio::join!(watches[0].called(), others_get_ahead);
        assert_eq!(start.elapsed(), Duration::ZERO);
        watches[0].is_back();
        assert!(!watches[0].got_none());
        drop(aboard);
        assert_eq!(lanes[1].sessions(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_called_looks_by_itself_and_steps_back_at_once() {
        let watches = Roster::watches(&lanes(2));
        assert!(steps_back(&watches[0]));
        let start = tokio::time::Instant::now();
        watches[0].called().await;
        assert_eq!(start.elapsed(), AWAY);
        watches[0].is_back();
        assert!(watches[0].got_none());
    }
}
