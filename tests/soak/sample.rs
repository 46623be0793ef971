//! What a node has when it is at rest.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use crate::node::Node;

/// Memory in bytes, and how many of the others there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    memory: u64,
    descriptors: u64,
    threads: u64,
    tasks: u64,
}

impl Sample {
    /// Taken when no session is left and nothing changes any more.
    pub(super) async fn at_rest(node: &Arc<Node>) -> Self {
        let now = || async {
            // The page is made anew once a second.
            tokio::time::sleep(Duration::from_millis(1050)).await;
            let node = Arc::clone(node);
            let read = tokio::task::spawn_blocking(move || figures(&node));
            read.await.unwrap()
        };
        let mut before = now().await;
        for _ in 0..30 {
            let figures = now().await;
            let sessions: f64 = of(&figures, "pointsman_service_sessions_active").sum();
            let (sample, earlier) = (Self::of(&figures), Self::of(&before));
            let settled = Self {
                memory: 0,
                ..sample
            } == Self {
                memory: 0,
                ..earlier
            };
            if sessions == 0.0 && settled {
                return sample;
            }
            before = figures;
        }
        panic!("it does not come to rest: {before:?}");
    }

    fn of(figures: &BTreeMap<String, f64>) -> Self {
        let one = |name: &str| figures[name] as u64;
        Self {
            memory: one("process_resident_memory_bytes"),
            descriptors: one("process_open_fds"),
            threads: one("process_threads"),
            tasks: one("pointsman_tasks"),
        }
    }
}

fn of<'a>(figures: &'a BTreeMap<String, f64>, name: &'a str) -> impl Iterator<Item = f64> + 'a {
    let named = figures
        .iter()
        .filter(move |(figure, _)| figure.starts_with(name));
    named.map(|(_, value)| *value)
}

fn figures(node: &Node) -> BTreeMap<String, f64> {
    let log = node.log();
    let (_, address) = log.rsplit_once("address=").unwrap();
    let mut stream = TcpStream::connect(address.lines().next().unwrap().trim()).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: lb1\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    let pair = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    lines.map(pair).collect()
}

/// One of the figures of a sample.
type What = fn(&Sample) -> u64;

/// Nothing is more in the last quarter than it was in the second; memory by `allowed` bytes at
/// most. The first quarter is for what is there once for all.
pub(super) fn are_flat(samples: &[Sample], allowed: u64) {
    let quarter = samples.len() / 4;
    let (second, last) = (
        &samples[quarter..2 * quarter],
        &samples[samples.len() - quarter..],
    );
    assert!(quarter >= 2, "{} samples are too few", samples.len());
    let most = |of: &[Sample], what: What| of.iter().map(what).max().unwrap();
    let least = |of: &[Sample], what: What| of.iter().map(what).min().unwrap();
    let countable: [(&str, What); 3] = [
        ("descriptors", |sample| sample.descriptors),
        ("threads", |sample| sample.threads),
        ("tasks", |sample| sample.tasks),
    ];
    for (name, what) in countable {
        let (before, after) = (most(second, what), least(last, what));
        assert!(
            after <= before,
            "{name}: {before} became {after}: {samples:?}"
        );
    }
    // The least of each: what is there at any rate.
    let memory: What = |sample| sample.memory;
    let (before, after) = (least(second, memory), least(last, memory));
    assert!(
        after <= before + allowed,
        "memory: {before} became {after}: {samples:?}"
    );
}
