//! The order of measurements: for each kind of work, rounds A B C A B C.
//! It must not let one contestant's failure end or delay the comparison of the others.

use crate::{
    client::{Load, Work},
    contestant::{Contestant, Running, pause, start_hosts},
    gauge::Reading,
    hosts::HOSTS,
    idle,
    plan::{Plan, SETTLE, Step, WARM, Who},
    plot,
    settings::Stage,
    table::{self, Section},
};
use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    sync::atomic::Ordering::Relaxed,
    thread,
    time::Duration,
};

/// One contestant's figures from one window.
#[derive(Clone, Copy, Default)]
pub(crate) struct Figures {
    /// Operations in a second; for bulk, MB.
    pub(crate) rate: f64,
    /// Latencies in µs; none for bulk.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// µs of processor time for each operation: the contestant's, and the whole machine's but for
    /// what unrelated processes used.
    pub(crate) cpu: f64,
    pub(crate) machine: f64,
    /// The share of the machine that was taken by what has nothing to do with this.
    pub(crate) others: f64,
    pub(crate) failed: u64,
}

/// Compares all of them, prints the tables and writes them to `result`, and beside it a plot.
pub(crate) fn compare(
    full: bool,
    folder: &Path,
    result: &Path,
    names: &[&str],
) -> Result<(), String> {
    let files = crate::raise_file_limit();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.div_ceil(2);
    let hosts = |count| start_hosts(folder, threads, count).map_err(|e| format!("the hosts: {e}"));
    let (_hosts, addresses) = hosts(HOSTS)?;
    let stage = Stage {
        folder: folder.to_owned(),
        hosts: addresses,
        threads: cores,
        sessions: files.saturating_sub(2000) / 2,
    };
    let contestants: Vec<Contestant> = names.iter().map(|text| Contestant::new(text)).collect();
    let mut all = start(&contestants, &stage);
    let rest: Vec<Contestant> = all.iter().map(|(one, _)| one.clone()).collect();
    let only = std::env::var("PEERS_ONLY").unwrap_or_default();
    let plan = Plan::new(full, all.len(), &only);
    if plan.steps.is_empty() && plan.idle == 0 {
        return Err(format!(
            "nothing that is measured has {only:?} in its title"
        ));
    }
    let mut text = head(&plan, folder, cores);
    println!("{text}");
    let (mut panels, mut rate) = (Vec::new(), 0.0);
    for step in &plan.steps {
        let section = match step.who {
            Who::All => section(step, rate, &plan, cores, &mut all),
            Who::Hosts(count) => {
                let (_hosts, hosts) = hosts(count)?;
                let stage = Stage {
                    hosts,
                    ..stage.clone()
                };
                section(step, rate, &plan, cores, &mut start(&rest, &stage))
            }
            Who::Variants(endings) => {
                let ours = rest.iter().filter(|one| one.name == "pointsman");
                let variants = ours.flat_map(|one| endings.iter().map(|e| one.variant(e)));
                let variants: Vec<Contestant> = variants.collect();
                section(step, rate, &plan, cores, &mut start(&variants, &stage))
            }
        };
        if step.sets_rate() {
            rate = section.slowest().map_or(rate, |slowest| slowest / 2.0);
        }
        if let Some(doubts) = section.doubts() {
            eprintln!("peers: {doubts}");
        }
        panels.push(section.panel());
        show(&mut text, &section.render(), result)?;
    }
    drop(all);
    let plots = result.with_extension("svg");
    fs::write(&plots, plot::render(&panels)).map_err(|e| format!("{}: {e}", plots.display()))?;
    if plan.idle == 0 {
        return Ok(());
    }
    let sessions = plan.idle.min(stage.sessions.saturating_sub(100));
    show(&mut text, &idle::compare(&rest, &stage, sessions), result)
}

/// Starts those that can be started.
fn start(contestants: &[Contestant], stage: &Stage) -> Vec<(Contestant, Running)> {
    let mut all = Vec::new();
    for contestant in contestants {
        match contestant.start(stage) {
            Ok(running) => all.push((contestant.clone(), running)),
            Err(problem) => eprintln!("peers: {} is left out: {problem}", contestant.name),
        }
    }
    all
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
        "# Pointsman and its peers\n\n- machine: {}, {cores} cores, Linux {}; loopback only, congestion control {}\n",
        model.map_or("unknown processor", |(_, name)| name),
        read("/proc/sys/kernel/osrelease").trim(),
        congestion_control().unwrap_or_else(|_| "unknown".to_owned())
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
        "- method: {} rounds A B C A B C of {:.2} s each, medians; closed loop, as fast as it goes, unless a rate is named\n",
        plan.rounds,
        plan.window.as_secs_f64()
    );
    text + table::LEGEND
}

/// That of a connection over loopback, which a route may have one of its own for.
fn congestion_control() -> std::io::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    Ok(rustix::net::sockopt::tcp_congestion(&stream)?)
}

fn section(
    step: &Step,
    rate: f64,
    plan: &Plan,
    cores: usize,
    all: &mut Vec<(Contestant, Running)>,
) -> Section {
    let title = if step.work == Work::Churn {
        format!("{}: {rate:.0} a second", step.title)
    } else {
        step.title.to_owned()
    };
    let mut section = Section::new(&title, step.work.is_bulk());
    for _ in 0..plan.rounds {
        all.retain_mut(|(contestant, running)| {
            let figures = window(step, rate, plan.window, cores, running);
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
    step: &Step,
    rate: f64,
    length: Duration,
    cores: usize,
    running: &Running,
) -> Option<Figures> {
    let Step { work, sessions, .. } = *step;
    let threads = cores.div_ceil(2);
    let load = Load::start(work, sessions, rate, threads, running.address).ok()?;
    let tally = std::sync::Arc::clone(&load.tally);
    pause(WARM);
    let family = running.family();
    let first = Reading::begin(&family);
    let (done, failed) = (tally.done.load(Relaxed), tally.failed.load(Relaxed));
    tally.keeping.store(true, Relaxed);
    pause(length);
    let done = tally.done.load(Relaxed) - done;
    tally.keeping.store(false, Relaxed);
    let used = first.end(&family);
    let failed = tally.failed.load(Relaxed) - failed;
    let latencies = load.stop();
    pause(SETTLE);
    let operations = done as f64 / if work.is_bulk() { 1e6 } else { 1.0 };
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
        p999: at(0.999),
        cpu: each(used.family),
        machine: used.machine.map_or(f64::NAN, each),
        others: used.others,
        failed,
    })
}
