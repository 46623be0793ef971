//! Medians, ratios and tables that are aligned text and Markdown at once.
//! It must not hide noise: the spread between rounds stands beside every figure it concerns.

use crate::{
    plot::{Bar, Panel},
    rounds::Figures,
};
use std::fmt::Write as _;

/// What the columns mean.
pub(crate) const LEGEND: &str = "\
Columns: CPU is the processor time (user and system, all processes and threads) that the
contestant used for each operation, in µs; for bulk, for each MB. ± is half the distance between
its lowest and highest round. Machine is the same for the whole machine, load and hosts included,
unrelated processes left out. Ratios are to `haproxy` / to the best peer of the row (less is
better): each round's to the same round of the other, the median of them. Where only Pointsman
takes part they are to the first row. `direct` has no balancer in between and is no peer. Others
is the share of the machine that unrelated processes or a neighbour took meanwhile, in the worst
round: above a few % the section is not to be trusted.
";

/// The share of the machine that others may take before what is measured means nothing.
const TOO_MUCH: f64 = 0.05;

/// All rounds of one kind of work.
pub(crate) struct Section {
    title: String,
    bulk: bool,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    peer: bool,
    rounds: Vec<Figures>,
}

impl Row {
    fn sorted(&self, figure: fn(&Figures) -> f64) -> Vec<f64> {
        sorted(self.rounds.iter().map(figure))
    }

    fn median(&self, figure: fn(&Figures) -> f64) -> f64 {
        median(&self.sorted(figure))
    }

    /// The median of the rounds' ratios. Each round is compared with the other's of the same
    /// moment, so that a machine that gets slower and faster again does not show.
    fn ratio_to(&self, other: &Self, figure: fn(&Figures) -> f64) -> f64 {
        let rounds = self.rounds.iter().zip(&other.rounds);
        median(&sorted(rounds.map(|(a, b)| figure(a) / figure(b))))
    }

    /// Half the distance between the extremes, as a share of the median.
    fn spread(&self, figure: fn(&Figures) -> f64) -> String {
        match self.sorted(figure).as_slice() {
            [low, .., high] if self.median(figure) > 0.0 => {
                format!("{:.0} %", (high - low) / 2.0 / self.median(figure) * 100.0)
            }
            _ => "-".to_owned(),
        }
    }
}

impl Section {
    pub(crate) fn new(title: &str, bulk: bool) -> Self {
        Self {
            title: title.to_owned(),
            bulk,
            rows: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, name: &str, peer: bool, figures: Figures) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.name == name) {
            row.rounds.push(figures);
        } else {
            self.rows.push(Row {
                name: name.to_owned(),
                peer,
                rounds: vec![figures],
            });
        }
    }

    /// The rate of the slowest that has a balancer in between.
    pub(crate) fn slowest(&self) -> Option<f64> {
        let rows = self.rows.iter().filter(|row| row.name != "direct");
        rows.map(|row| row.median(|f| f.rate)).reduce(f64::min)
    }

    /// What is against believing its figures.
    pub(crate) fn doubts(&self) -> Option<String> {
        let rounds = || self.rows.iter().flat_map(|row| &row.rounds);
        let others = rounds().map(|f| f.others).fold(0.0, f64::max);
        let failed: u64 = rounds().map(|f| f.failed).sum();
        (others > TOO_MUCH || failed > 0).then(|| {
            format!(
                "{}: not to be trusted: others took up to {:.0} % of the machine, and {failed} operations failed",
                self.title,
                others * 100.0
            )
        })
    }

    /// The processor time of each as a plot.
    pub(crate) fn panel(&self) -> Panel {
        let bar = |row: &Row| {
            let all = row.sorted(|f| f.cpu);
            Some(Bar {
                name: row.name.clone(),
                ours: row.name.starts_with("pointsman"),
                median: row.median(|f| f.cpu),
                low: *all.first()?,
                high: *all.last()?,
            })
        };
        let balancers = self.rows.iter().filter(|row| row.name != "direct");
        Panel {
            title: self.title.clone(),
            unit: if self.bulk {
                "CPU µs for each MB"
            } else {
                "CPU µs for each"
            },
            bars: balancers.filter_map(bar).collect(),
        }
    }

    /// The ratios of one row's figure to HAProxy's and to the best peer's; where there are no
    /// peers, to the first row's.
    fn ratios(&self, row: &Row, figure: fn(&Figures) -> f64) -> String {
        let peers = self.rows.iter().filter(|other| other.peer);
        if peers.clone().next().is_none() {
            return shown(self.rows.first().map(|first| row.ratio_to(first, figure)));
        }
        let haproxy = peers.clone().find(|other| other.name == "haproxy");
        let best = peers.min_by(|a, b| a.median(figure).total_cmp(&b.median(figure)));
        let to = |other: Option<&Row>| shown(other.map(|other| row.ratio_to(other, figure)));
        format!("{} / {}", to(haproxy), to(best))
    }

    /// As a table under its title.
    pub(crate) fn render(&self) -> String {
        let unit = if self.bulk { "MB" } else { "ops" };
        let rate = format!("{unit}/s");
        let mut columns = vec!["contestant", &rate];
        if !self.bulk {
            columns.extend(["p50 µs", "p99 µs", "ratios", "p99.9 µs", "ratios"]);
        }
        columns.extend([
            "CPU µs",
            "±",
            "ratios",
            "machine µs",
            "±",
            "ratios",
            "failed",
            "others",
        ]);
        let mut rows = vec![
            columns
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<String>>(),
        ];
        for row in &self.rows {
            let mut cells = vec![row.name.clone(), format!("{:.0}", row.median(|f| f.rate))];
            if !self.bulk {
                cells.push(format!("{:.0}", row.median(|f| f.p50)));
                cells.push(format!("{:.0}", row.median(|f| f.p99)));
                cells.push(self.ratios(row, |f| f.p99));
                cells.push(format!("{:.0}", row.median(|f| f.p999)));
                cells.push(self.ratios(row, |f| f.p999));
            }
            for figure in [|f: &Figures| f.cpu, |f: &Figures| f.machine] {
                cells.push(format!("{:.1}", row.median(figure)));
                cells.push(row.spread(figure));
                cells.push(self.ratios(row, figure));
            }
            cells.push(row.rounds.iter().map(|f| f.failed).sum::<u64>().to_string());
            let others = row.rounds.iter().map(|f| f.others).fold(0.0, f64::max);
            cells.push(format!("{:.1} %", others * 100.0));
            rows.push(cells);
        }
        aligned(&self.title, &rows)
    }
}

/// One contestant's idle sessions.
pub(crate) struct Idle {
    pub(crate) name: String,
    pub(crate) peer: bool,
    /// Bytes for each session.
    pub(crate) each: f64,
    /// Bytes in all.
    pub(crate) total: u64,
}

/// The table of idle sessions.
pub(crate) fn idle(sessions: usize, all: &[Idle]) -> String {
    let head = ["contestant", "bytes/session", "ratios", "MiB in all"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for one in all {
        // One that has its memory from the start (a static table) would make every ratio meaningless.
        let peers = all.iter().filter(|other| other.peer && other.each >= 64.0);
        let haproxy = peers.clone().find(|other| other.name == "haproxy");
        let best = peers.min_by(|a, b| a.each.total_cmp(&b.each));
        let to = |other: Option<&Idle>| shown(other.map(|other| one.each / other.each));
        rows.push(vec![
            one.name.clone(),
            format!("{:.0}", one.each),
            format!("{} / {}", to(haproxy), to(best)),
            format!("{:.1}", one.total as f64 / 1_048_576.0),
        ]);
    }
    aligned(
        &format!("idle, {sessions} sessions after one message each (RSS)"),
        &rows,
    )
}

fn sorted(all: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = all.collect();
    all.sort_by(f64::total_cmp);
    all
}

/// The median of what is sorted; not a number where there is nothing.
fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

fn shown(ratio: Option<f64>) -> String {
    match ratio {
        Some(ratio) if ratio.is_finite() && ratio > 0.0 => format!("{ratio:.2}"),
        _ => "-".to_owned(),
    }
}

/// A Markdown table, padded so that it reads well as plain text; the first row is its head.
fn aligned(title: &str, rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = format!("\n## {title}\n\n");
    for (index, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Writing to a string does not fail.
            let _ = match column {
                0 => write!(text, "| {cell:<width$} |"),
                _ => write!(text, " {cell:>width$} |"),
            };
        }
        text.push('\n');
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let line = "-".repeat(*width);
                let _ = match column {
                    0 => write!(text, "|:{line}-|"),
                    _ => write!(text, "-{line}:|"),
                };
            }
            text.push('\n');
        }
    }
    text
}
