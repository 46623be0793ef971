//! What the kernel says about processor time and memory, of a process family and of the machine.
//! It must not guess: what cannot be read is missing, never zero.

use std::{
    collections::{HashMap, HashSet},
    fs,
    time::{Duration, Instant},
};

/// The kernel's unit of time in /proc/stat and /proc/PID/stat: USER_HZ, 100 on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// One process as /proc/PID/stat has it.
struct Process {
    id: u32,
    parent: u32,
    /// User and system time, its own and that of children it has waited for.
    used: Duration,
}

fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

fn process(id: u32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let words: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: u32 = words
        .get(11..15)?
        .iter()
        .filter_map(|w| w.parse::<u32>().ok())
        .sum();
    Some(Process {
        id,
        parent: words.get(1)?.parse().ok()?,
        used: TICK * ticks,
    })
}

/// The process and all that descend from it.
pub(crate) fn family(root: u32) -> Vec<u32> {
    members(&processes(), root).into_iter().collect()
}

fn members(all: &[Process], root: u32) -> HashSet<u32> {
    let mut found = HashSet::from([root]);
    loop {
        let before = found.len();
        let more: Vec<u32> = all
            .iter()
            .filter(|p| found.contains(&p.parent))
            .map(|p| p.id)
            .collect();
        found.extend(more);
        if found.len() == before {
            return found;
        }
    }
}

/// The time that processes other than ours and the kernel's have used up to now.
fn used_by_others() -> Duration {
    let all = processes();
    let (ours, kernel) = (members(&all, std::process::id()), members(&all, 2));
    all.iter()
        .filter(|p| !ours.contains(&p.id) && !kernel.contains(&p.id))
        .map(|p| p.used)
        .sum()
}

/// Processor time of every thread of these processes.
fn threads(family: &[u32]) -> HashMap<(u32, u32), Duration> {
    let mut all = HashMap::new();
    for &id in family {
        for entry in fs::read_dir(format!("/proc/{id}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let thread = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let Some((thread, used)) = thread.and_then(|t| Some((t, thread_used(id, t)?))) {
                all.insert((id, thread), used);
            }
        }
    }
    all
}

/// By schedstat, which has nanoseconds, or else by stat, which has ticks; both count user and system.
fn thread_used(id: u32, thread: u32) -> Option<Duration> {
    let exact = fs::read_to_string(format!("/proc/{id}/task/{thread}/schedstat")).ok();
    let nanos = exact.and_then(|text| text.split(' ').next()?.parse().ok());
    if let Some(nanos) = nanos.filter(|n| *n > 0) {
        return Some(Duration::from_nanos(nanos));
    }
    let text = fs::read_to_string(format!("/proc/{id}/task/{thread}/stat")).ok()?;
    let mut words = text.rsplit_once(") ")?.1.split(' ').skip(11);
    let ticks = words.next()?.parse::<u32>().ok()? + words.next()?.parse::<u32>().ok()?;
    Some(TICK * ticks)
}

/// The machine's time not worked (idle, waiting for disks) and stolen by its own host.
fn machine_idle() -> Option<(Duration, Duration)> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u32> = text
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .filter_map(|w| w.parse().ok())
        .collect();
    Some((
        TICK * (ticks.get(3)? + ticks.get(4)?),
        TICK * *ticks.get(7)?,
    ))
}

/// The machine's, whether this process may use them all or not.
fn cores() -> u32 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let lines = text.lines().filter(|line| line.starts_with("cpu")).count();
    u32::try_from(lines.saturating_sub(1)).unwrap_or(1).max(1)
}

/// The memory in use (RSS) of these processes, in bytes.
pub(crate) fn memory(family: &[u32]) -> Option<u64> {
    let mut bytes = 0;
    for id in family {
        let text = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        bytes += line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024;
    }
    Some(bytes)
}

/// One moment's readings.
pub(crate) struct Reading {
    at: Instant,
    threads: HashMap<(u32, u32), Duration>,
    idle: Option<(Duration, Duration)>,
    others: Duration,
}

/// What was used between two readings.
pub(crate) struct Used {
    pub(crate) wall: Duration,
    /// By the family.
    pub(crate) family: Duration,
    /// By the whole machine, the kernel's own work included, unrelated processes left out.
    pub(crate) machine: Option<Duration>,
    /// By processes that have nothing to do with this, or stolen: a share of the machine.
    pub(crate) others: f64,
}

impl Reading {
    /// The first of two: the slow part comes first.
    pub(crate) fn begin(family: &[u32]) -> Self {
        let others = used_by_others();
        Self {
            at: Instant::now(),
            threads: threads(family),
            idle: machine_idle(),
            others,
        }
    }

    /// The second, compared with the first.
    pub(crate) fn end(&self, family: &[u32]) -> Used {
        let (wall, idle, now) = (self.at.elapsed(), machine_idle(), threads(family));
        let others = used_by_others().saturating_sub(self.others);
        let used = now.iter().map(|(thread, used)| {
            used.saturating_sub(self.threads.get(thread).copied().unwrap_or_default())
        });
        let whole = wall * cores();
        let (mut machine, mut stolen) = (None, Duration::ZERO);
        if let (Some(before), Some(after)) = (self.idle, idle) {
            stolen = after.1.saturating_sub(before.1);
            let rested = after.0.saturating_sub(before.0) + stolen;
            machine = Some(whole.saturating_sub(rested).saturating_sub(others));
        }
        let others = (others + stolen).as_secs_f64() / whole.as_secs_f64();
        Used {
            wall,
            family: used.sum(),
            machine,
            others,
        }
    }
}
