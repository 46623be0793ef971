//! How long a pick takes, for every scheduler, at 10, 1,000 and 10,000 hosts.
//! It must not pass where a pick takes time in proportion to the number of hosts.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::{
    collections::VecDeque,
    hint::black_box,
    net::IpAddr,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use pointsman::{
    balance::{
        Candidate, Host, Service, View,
        host::UNLIMITED,
        scheduler::{Ask, Memory, Scheduler, build},
        view::{Terms, Timeouts},
    },
    model::topology::{Scheduler as Kind, Sticky},
};

const SIZES: [usize; 3] = [10, 1_000, 10_000];
const PICKS: u64 = 50_000;
/// The best of so many runs counts: the others were disturbed.
const RUNS: usize = 20;
/// Sessions held while leases are timed.
const HELD: usize = 20_000;

fn main() -> ExitCode {
    let bounded = Kind::SourceHash {
        load_factor: Some(1.25),
    };
    let plain = Kind::ALL.into_iter().map(|kind| (kind, None));
    let kinds = plain.chain([(bounded, None), (Kind::RoundRobin, Some(Sticky::default()))]);
    println!("ns at {SIZES:?} hosts: a pick; a pick with its lease taken, and another dropped\n");
    println!("{:<28}{:>24}{:>30}", "scheduler", "pick", "acquire");
    let mut too_slow = Vec::new();
    for (kind, sticky) in kinds {
        let name = match (kind, sticky) {
            (
                Kind::SourceHash {
                    load_factor: Some(_),
                },
                _,
            ) => "source-hash, bounded".to_owned(),
            (kind, Some(_)) => format!("{}, sticky", kind.kind()),
            (kind, None) => kind.kind().to_owned(),
        };
        let figures = SIZES.map(|n| figures(kind, sticky, n));
        let [few, _, many] = figures.map(|(pick, _)| pick);
        print!("{name:<28}");
        figures.iter().for_each(|(pick, _)| print!("{pick:>8.1}"));
        print!("      ");
        figures
            .iter()
            .for_each(|(_, acquire)| print!("{acquire:>8.1}"));
        println!();
        if many > 8.0 * few + 100.0 {
            too_slow.push(name);
        }
    }
    if too_slow.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\na pick takes far longer with many hosts than with few: {too_slow:?}");
    ExitCode::FAILURE
}

/// Nanoseconds for a pick, and for an acquire.
fn figures(kind: Kind, sticky: Option<Sticky>, n: usize) -> (f64, f64) {
    let memory = Arc::<Memory>::default();
    let hosts: Box<[Candidate]> = (0..n)
        .map(|index| Candidate {
            host: Arc::new(Host::new(
                format!("web/blue/w{index}").parse().unwrap(),
                std::net::SocketAddr::from(([127, 0, 0, 1], 80)).into(),
                Arc::clone(&memory),
            )),
            weight: 1 + (index % 4) as u16,
            max_sessions: UNLIMITED,
            portion: None,
        })
        .collect();
    let scheduler = build(kind, sticky, &hosts, &memory);
    scheduler.settle(&hosts);
    let pick = best(|step| {
        let ask = Ask {
            client: client(step),
            now: step / 1000,
            random: step.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            excluded: &[],
        };
        black_box(scheduler.pick(&hosts, black_box(&ask)));
    });

    let service = shown(hosts, scheduler);
    let view = service.view();
    let mut held = VecDeque::with_capacity(HELD + 1);
    let mut acquire = |step: u64| {
        let random = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        held.push_back(
            view.acquire(client(step), step / 1000, random, &[])
                .unwrap(),
        );
        if held.len() > HELD {
            held.pop_front();
        }
    };
    (0..HELD as u64).for_each(&mut acquire);
    (pick, best(acquire))
}

fn shown(hosts: Box<[Candidate]>, scheduler: Box<dyn Scheduler>) -> Service {
    let timeouts = Timeouts {
        connect: None,
        idle: None,
        half_closed: None,
        lifetime: None,
    };
    let view = View::new(
        "blue".parse().unwrap(),
        Terms::unlimited(timeouts, 0),
        hosts,
        scheduler,
    );
    Service::new("web".parse().unwrap(), view)
}

/// One of ten thousand clients.
fn client(step: u64) -> IpAddr {
    let number = ((step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) * 10_000) >> 32;
    IpAddr::from((0x0a00_0000 | number as u32).to_be_bytes())
}

/// Nanoseconds that `step` takes.
fn best(mut step: impl FnMut(u64)) -> f64 {
    let mut run = || -> Duration {
        let start = Instant::now();
        (0..PICKS).for_each(&mut step);
        start.elapsed()
    };
    let best = (0..RUNS).map(|_| run()).min().unwrap_or_default();
    best.as_secs_f64() * 1e9 / PICKS as f64
}
