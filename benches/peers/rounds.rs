//! The order of measurements: for each kind of work, rounds A B C A B C.
//! It must not let one contestant's failure end or delay the comparison of the others.

use crate::{
    client::{Load, Work},
    contestant::{Contestant, Running, pause, start_hosts},
    gauge::Reading,
    idle,
    settings::Stage,
    table::{self, Section},
};
use std::{
    fmt::Write as _, fs, path::Path, sync::atomic::Ordering::Relaxed, thread, time::Duration,
};

/// What comes before each window: until caches, pools and slow start have settled.
const WARM: Duration = Duration::from_millis(150);
/// What comes after: until the sessions that were cut off are gone.
const SETTLE: Duration = Duration::from_millis(100);

/// One contestant's figures from one window.
#[derive(Clone, Copy, Default)]
pub(crate) struct Figures {
    /// Operations in a second; for bulk, MB.
    pub(crate) rate: f64,
    /// Latencies in µs; none for bulk.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// µs of processor time for each operation: the contestant's, and the whole machine's but for
    /// what unrelated processes used.
    pub(crate) cpu: f64,
    pub(crate) machine: f64,
    /// The share of the machine that was taken by what has nothing to do with this.
    pub(crate) others: f64,
    pub(crate) failed: u64,
}

/// How much is measured.
struct Plan {
    work: &'static [(&'static str, Work, usize)],
    rounds: usize,
    window: Duration,
    idle: usize,
}

const QUICK: &[(&str, Work, usize)] = &[
    ("connect, 1 at once", Work::Connect, 1),
    ("connect, 64 at once", Work::Connect, 64),
    ("request, 1 session", Work::Request, 1),
    ("request, 64 sessions", Work::Request, 64),
    ("down, 4 sessions", Work::Down, 4),
    ("up, 4 sessions", Work::Up, 4),
];

const FULL: &[(&str, Work, usize)] = &[
    ("connect, 1 at once", Work::Connect, 1),
    ("connect, 8 at once", Work::Connect, 8),
    ("connect, 16 at once", Work::Connect, 16),
    ("connect, 64 at once", Work::Connect, 64),
    ("request, 1 session", Work::Request, 1),
    ("request, 64 sessions", Work::Request, 64),
    ("down, 1 session", Work::Down, 1),
    ("down, 4 sessions", Work::Down, 4),
    ("up, 1 session", Work::Up, 1),
    ("up, 4 sessions", Work::Up, 4),
];

impl Plan {
    /// The quick form shares two minutes out; idle sessions and starting come to some twenty seconds.
    fn new(full: bool, contestants: usize) -> Self {
        if full {
            return Self {
                work: FULL,
                rounds: 7,
                window: Duration::from_secs(2),
                idle: 10_000,
            };
        }
        let rounds = 3;
        let each = Duration::from_secs(120).as_secs_f64()
            / (rounds * QUICK.len() * contestants.max(1)) as f64;
        let window = (each - (WARM + SETTLE).as_secs_f64()).clamp(0.3, 1.0);
        Self {
            work: QUICK,
            rounds,
            window: Duration::from_secs_f64(window),
            idle: 4_000,
        }
    }
}

/// Compares all of them, prints the tables and writes them to `result`.
pub(crate) fn compare(
    full: bool,
    folder: &Path,
    result: &Path,
    names: &[&str],
) -> Result<(), String> {
    let files = crate::raise_file_limit();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (_hosts, hosts) =
        start_hosts(folder, cores.div_ceil(2)).map_err(|e| format!("the hosts: {e}"))?;
    let sessions = files.saturating_sub(1000) / 2;
    let stage = Stage {
        folder: folder.to_owned(),
        hosts,
        threads: cores,
        sessions,
    };
    let mut all: Vec<(Contestant, Running)> = Vec::new();
    for contestant in names.iter().map(|text| Contestant::new(text)) {
        match contestant.start(&stage) {
            Ok(running) => all.push((contestant, running)),
            Err(problem) => eprintln!("peers: {} is left out: {problem}", contestant.name),
        }
    }
    let plan = Plan::new(full, all.len());
    let mut text = head(&plan, folder, cores);
    println!("{text}");
    for (title, work, sessions) in plan.work {
        let section = section(title, *work, *sessions, &plan, cores, &mut all);
        show(&mut text, &section.render(), result)?;
    }
    let rest: Vec<Contestant> = all.into_iter().map(|(contestant, _)| contestant).collect();
    let sessions = plan.idle.min(stage.sessions.saturating_sub(100));
    show(&mut text, &idle::compare(&rest, &stage, sessions), result)
}

/// Prints a section and writes the file, so that what was measured stays if the rest is cut short.
fn show(text: &mut String, section: &str, result: &Path) -> Result<(), String> {
    println!("{section}");
    text.push_str(section);
    fs::write(result, &text).map_err(|e| format!("cannot write {}: {e}", result.display()))
}

fn head(plan: &Plan, folder: &Path, cores: usize) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    let mut text = format!(
        "# Pointsman and its peers\n\n- machine: {}, {cores} cores, Linux {}; loopback only\n",
        model.map_or("unknown processor", |(_, name)| name),
        read("/proc/sys/kernel/osrelease").trim()
    );
    for line in fs::read_to_string(folder.join("versions"))
        .unwrap_or_default()
        .lines()
    {
        // Writing to a string does not fail.
        let _ = writeln!(text, "- {line}");
    }
    let _ = writeln!(
        text,
        "- method: {} rounds A B C A B C of {:.2} s each, medians; closed loop, as fast as it goes\n",
        plan.rounds,
        plan.window.as_secs_f64()
    );
    text + table::LEGEND
}

fn section(
    title: &str,
    work: Work,
    sessions: usize,
    plan: &Plan,
    cores: usize,
    all: &mut Vec<(Contestant, Running)>,
) -> Section {
    let mut section = Section::new(title, matches!(work, Work::Down | Work::Up));
    for _ in 0..plan.rounds {
        all.retain_mut(|(contestant, running)| {
            let figures = window(work, sessions, plan.window, cores, running);
            let alive = figures.is_some() && !running.has_ended();
            if let Some(figures) = figures.filter(|_| alive) {
                section.add(&contestant.name, contestant.is_peer(), figures);
            } else {
                eprintln!(
                    "peers: {} is left out from here on: it stopped answering",
                    contestant.name
                );
            }
            alive
        });
    }
    section
}

/// One window; none if nothing was done in it.
fn window(
    work: Work,
    sessions: usize,
    length: Duration,
    cores: usize,
    running: &Running,
) -> Option<Figures> {
    let load = Load::start(work, sessions, cores.div_ceil(2), running.address).ok()?;
    let tally = std::sync::Arc::clone(&load.tally);
    pause(WARM);
    let family = running.family();
    let first = Reading::begin(&family);
    let (done, failed) = (tally.done.load(Relaxed), tally.failed.load(Relaxed));
    tally.keeping.store(true, Relaxed);
    pause(length);
    let done = tally.done.load(Relaxed) - done;
    tally.keeping.store(false, Relaxed);
    let used = first.end(&family, cores);
    let failed = tally.failed.load(Relaxed) - failed;
    let latencies = load.stop();
    pause(SETTLE);
    let bulk = matches!(work, Work::Down | Work::Up);
    let operations = done as f64 / if bulk { 1e6 } else { 1.0 };
    let each = |time: Duration| time.as_secs_f64() * 1e6 / operations;
    let at = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        latencies
            .get(index)
            .map_or(f64::NAN, |nanos| f64::from(*nanos) / 1e3)
    };
    (done > 0).then(|| Figures {
        rate: operations / used.wall.as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
        cpu: each(used.family),
        machine: used.machine.map_or(f64::NAN, each),
        others: used.others,
        failed,
    })
}
