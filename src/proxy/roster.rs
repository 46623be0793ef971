//! Which lanes a listener wakes: all while there is work for them, and at rest just one.
//! It must not accept, nor know what a connection is.
//!
//! A connection wakes every thread that watches its listener, and one of them gets it; the others
//! were woken for nothing, which costs as much as a quarter of a short connection. So a lane steps
//! back that was woken in vain again and again, or that has more sessions than another one that
//! watches; and it is called as soon as one that watches has more than it.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU32, AtomicUsize,
            Ordering::{AcqRel, Relaxed, Release},
        },
    },
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use super::lane::Lane;

/// So many times in a row a lane is woken in vain before it steps back.
const PATIENCE: u32 = 4;
/// By how many sessions a lane may be ahead of another, besides an eighth of what it has.
const AHEAD: u32 = 2;
/// How long a lane stays back before it looks by itself: whatever keeps the others from it, a
/// connection waits no longer than this.
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
    /// The one that this lane compares itself with next.
    next: AtomicUsize,
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
            next: AtomicUsize::new(0),
        };
        roster.seats.iter().map(watch).collect()
    }
}

impl Watch {
    /// Takes note that this lane has got a connection; says whether it is to step back now. It
    /// compares itself with one other lane at a time, for there may be many.
    pub(super) fn got_one(&self) -> bool {
        self.in_vain.store(0, Relaxed);
        let seats = &self.roster.seats;
        let next = self.next.fetch_add(1, Relaxed) % seats.len().max(1);
        let Some(other) = seats
            .get(next)
            .filter(|seat| !Arc::ptr_eq(seat, &self.seat))
        else {
            return false;
        };
        let mine = self.seat.lane.sessions();
        let level = other.lane.sessions().saturating_add(AHEAD + mine / 8);
        if mine <= level {
            return false;
        }
        if other.away.swap(false, AcqRel) {
            other.call.notify_one();
            return false;
        }
        self.step_back()
    }

    /// Takes note that this lane was woken in vain; says whether it is to step back now. It is
    /// not if it is the last one.
    pub(super) fn got_none(&self) -> bool {
        self.in_vain.fetch_add(1, Relaxed) + 1 >= PATIENCE && self.step_back()
    }

    /// Leaves the watch to others, unless there are none.
    fn step_back(&self) -> bool {
        let others = |watching: usize| (watching > 1).then(|| watching - 1);
        let watching = &self.roster.watching;
        watching.fetch_update(AcqRel, Relaxed, others).is_ok()
    }

    /// Waits until this lane is called, after it has stepped back. `false`: nobody did for so long
    /// that it had better look whether a connection has been left alone.
    pub(super) async fn called(&self) -> bool {
        self.in_vain.store(0, Relaxed);
        self.seat.away.store(true, Release);
        timeout(AWAY, self.seat.call.notified()).await.is_ok()
    }

    /// Takes note that this lane watches again.
    pub(super) fn is_back(&self) {
        self.seat.away.store(false, Release);
        self.roster.watching.fetch_add(1, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::Ordering::Acquire, time::Instant};

    use super::*;

    fn lanes(count: usize) -> Vec<Arc<Lane>> {
        let runtime = tokio::runtime::Handle::current();
        let lane = |_| Arc::new(Lane::new(runtime.clone(), Instant::now(), Arc::default()));
        (0..count).map(lane).collect()
    }

    fn steps_back(watch: &Watch) -> bool {
        (0..PATIENCE).any(|_| watch.got_none())
    }

    /// A look at each of two lanes.
    fn looks_around(watch: &Watch) -> bool {
        [watch.got_one(), watch.got_one()].contains(&true)
    }

    #[tokio::test]
    async fn who_has_more_than_another_that_watches_steps_back() {
        let lanes = lanes(2);
        let watches = Roster::watches(&lanes);
        let mut aboard: Vec<_> = (0..AHEAD).map(|_| Lane::board(&lanes[0])).collect();
        assert!(!looks_around(&watches[0]));
        aboard.push(Lane::board(&lanes[0]));
        assert!(!looks_around(&watches[1]));
        assert!(looks_around(&watches[0]));
        assert!(!steps_back(&watches[1]), "it is the last that watches");
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
            assert!(!watches[0].got_one());
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
                assert!(!looks_around(&watches[1]), "it is the last that watches");
            }
            assert!(!watches[0].seat.away.load(Acquire));
        };
        let (called, ()) = tokio::join!(watches[0].called(), others_get_ahead);
        assert!(called);
        assert_eq!(start.elapsed(), Duration::ZERO);
        watches[0].is_back();
        assert!(!watches[0].got_none());
        drop(aboard);
        assert_eq!(lanes[1].sessions(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_called_looks_after_a_while() {
        let watches = Roster::watches(&lanes(2));
        assert!(steps_back(&watches[0]));
        let start = tokio::time::Instant::now();
        assert!(!watches[0].called().await);
        assert_eq!(start.elapsed(), AWAY);
    }
}
