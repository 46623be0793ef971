//! What is measured, in which order, for how long, and who takes part in it.
//! It must not measure anything itself.

use crate::client::Work;
use std::time::Duration;

/// What comes before each window: until caches, pools and slow start have settled.
pub(crate) const WARM: Duration = Duration::from_millis(150);
/// What comes after: until the sessions that were cut off are gone.
pub(crate) const SETTLE: Duration = Duration::from_millis(100);

/// More rounds than these tell no more.
const MOST: usize = 25;

/// Who takes part in a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// All contestants.
    All,
    /// All contestants, each with so many hosts.
    Hosts(usize),
    /// Pointsman with these endings to its name, which change its settings.
    Variants(&'static [&'static str]),
}

/// One kind of work.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) title: &'static str,
    pub(crate) work: Work,
    pub(crate) sessions: usize,
    pub(crate) who: Who,
}

impl Step {
    /// Whether the rate of those steps that keep to one is taken from this one.
    pub(crate) fn sets_rate(&self) -> bool {
        self.work == Work::Connect && self.sessions == 64 && self.who == Who::All
    }
}

const fn step(title: &'static str, work: Work, sessions: usize) -> Step {
    with(title, work, sessions, Who::All)
}

const fn with(title: &'static str, work: Work, sessions: usize, who: Who) -> Step {
    Step {
        title,
        work,
        sessions,
        who,
    }
}

/// Undisturbed; while a host's weight changes 50 times a second; while its broker is down.
const DISTURBED: Who = Who::Variants(&["-undisturbed", "-changing", "-brokerless"]);

const SCHEDULERS: Who = Who::Variants(&[
    "-round-robin",
    "-random",
    "-weighted-round-robin",
    "-weighted-random",
    "-least-connections",
    "-power-of-two",
    "-least-latency",
    "-source-hash",
    "-first-available",
]);

const QUICK: &[Step] = &[
    step("connect, 1 at once", Work::Connect, 1),
    step("connect, 64 at once", Work::Connect, 64),
    step("connect, half of capacity", Work::Churn, 0),
    with("connect, disturbed", Work::Churn, 0, DISTURBED),
    step("request 1 KiB, 1 session", Work::Request(1024), 1),
    step("request 1 KiB, 64 sessions", Work::Request(1024), 64),
    step("down, 4 sessions", Work::Down, 4),
    step("up, 4 sessions", Work::Up, 4),
];

const FULL: &[Step] = &[
    step("connect, 1 at once", Work::Connect, 1),
    step("connect, 8 at once", Work::Connect, 8),
    step("connect, 16 at once", Work::Connect, 16),
    step("connect, 64 at once", Work::Connect, 64),
    step("connect, 512 at once", Work::Connect, 512),
    step("connect, half of capacity", Work::Churn, 0),
    with("connect, disturbed", Work::Churn, 0, DISTURBED),
    with(
        "connect, 64 at once, 1,000 hosts",
        Work::Connect,
        64,
        Who::Hosts(1000),
    ),
    with(
        "connect, 64 at once, by scheduler",
        Work::Connect,
        64,
        SCHEDULERS,
    ),
    with(
        "connect, 64 at once, with an access log",
        Work::Connect,
        64,
        Who::Variants(&["-silent", "-logging"]),
    ),
    step("request 64 B, 1 session", Work::Request(64), 1),
    step("request 64 B, 64 sessions", Work::Request(64), 64),
    step("request 64 B, 1,000 sessions", Work::Request(64), 1000),
    step("request 1 KiB, 1 session", Work::Request(1024), 1),
    step("request 1 KiB, 64 sessions", Work::Request(1024), 64),
    step("request 1 KiB, 1,000 sessions", Work::Request(1024), 1000),
    step("request 16 KiB, 1 session", Work::Request(16 * 1024), 1),
    step("request 16 KiB, 64 sessions", Work::Request(16 * 1024), 64),
    step(
        "request 16 KiB, 1,000 sessions",
        Work::Request(16 * 1024),
        1000,
    ),
    step("down, 1 session", Work::Down, 1),
    step("down, 4 sessions", Work::Down, 4),
    step("up, 1 session", Work::Up, 1),
    step("up, 4 sessions", Work::Up, 4),
    step("down and up, 4 sessions", Work::Both, 4),
];

/// How much is measured.
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) rounds: usize,
    pub(crate) window: Duration,
    /// Idle sessions.
    pub(crate) idle: usize,
}

impl Plan {
    /// The quick form shares two minutes out, the full one twenty-three; idle sessions and
    /// starting come on top of that. With `only`, those steps share them whose titles have it, in
    /// more rounds: many short ones tell small differences better than a few long ones.
    pub(crate) fn new(full: bool, contestants: usize, only: &str) -> Self {
        let (steps, rounds, budget, most, idle) = if full {
            (FULL, 5, 23.0 * 60.0, 2.0, 10_000)
        } else {
            (QUICK, 3, 115.0, 1.0, 4_000)
        };
        let wanted = |step: &&Step| step.title.contains(only);
        let at_a_rate = steps.iter().filter(wanted).any(|s| s.work == Work::Churn);
        let kept = |step: &&Step| wanted(step) || (at_a_rate && step.sets_rate());
        let steps: Vec<Step> = steps.iter().filter(kept).copied().collect();
        let windows: usize = steps
            .iter()
            .map(|step| match step.who {
                Who::All | Who::Hosts(_) => contestants,
                Who::Variants(endings) => endings.len(),
            })
            .sum();
        let around = (WARM + SETTLE).as_secs_f64();
        let room = budget / (windows.max(1) as f64 * (around + most));
        let rounds = rounds.max(if only.is_empty() {
            0
        } else {
            MOST.min(room as usize)
        });
        let each = budget / (rounds * windows.max(1)) as f64;
        let window = (each - around).clamp(0.3, most);
        Self {
            steps,
            rounds,
            window: Duration::from_secs_f64(window),
            idle: if "idle".contains(only) { idle } else { 0 },
        }
    }
}
