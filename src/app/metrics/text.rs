//! Figures as text, in the exposition format of Prometheus, version 0.0.4.
//! It must not know what they are about. Pure.

use std::{
    fmt::{Display, Write},
    time::Duration,
};

use crate::balance::histogram::Snapshot;

/// The label pairs of one figure.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// What kind of figure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows, until the process ends.
    Counter,
    /// It is what it is now.
    Gauge,
    /// Lengths of time, counted by how long they are.
    Histogram,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A page of figures.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// Figures of one name, which stand together.
pub(super) struct Family<'a> {
    page: &'a mut String,
    name: &'static str,
}

impl Page {
    /// Begins the figures called `name`, with a sentence of help.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let page = &mut self.0;
        let kind = kind.word();
        // Writing to a string does not fail.
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { page, name }
    }

    /// One figure of its own.
    pub(super) fn one(&mut self, name: &'static str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help).value(&[], value);
    }

    /// The text.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// One figure.
    pub(super) fn value(&mut self, labels: Labels<'_>, value: f64) {
        self.line("", labels, None, value);
    }

    /// For each word of `words`, whether it is the one: 1, or else 0.
    pub(super) fn state(&mut self, labels: Labels<'_>, key: &str, words: &[&str], word: &str) {
        for known in words {
            let value = if *known == word { 1.0 } else { 0.0 };
            self.line("", labels, Some((key, known)), value);
        }
    }

    /// Lengths of time, counted up to each of `bounds`.
    pub(super) fn histogram(&mut self, labels: Labels<'_>, seen: &Snapshot, bounds: &[Duration]) {
        for bound in bounds {
            let (le, count) = (bound.as_secs_f64(), seen.below(*bound));
            self.line(
                "_bucket",
                labels,
                Some(("le", &le.to_string())),
                count as f64,
            );
        }
        let count = seen.count as f64;
        self.line("_bucket", labels, Some(("le", "+Inf")), count);
        self.line("_sum", labels, None, seen.sum.as_secs_f64());
        self.line("_count", labels, None, count);
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: Labels<'_>,
        more: Option<(&str, &str)>,
        value: impl Display,
    ) {
        self.page.push_str(self.name);
        self.page.push_str(suffix);
        let pairs = labels.iter().copied().chain(more);
        let mut before = '{';
        for (key, text) in pairs {
            let _ = write!(self.page, "{before}{key}=\"{}\"", Escaped(text));
            before = ',';
        }
        let end = if before == ',' { "} " } else { " " };
        let _ = writeln!(self.page, "{end}{value}");
    }
}

/// The value of a label: three characters cannot stand in it as they are.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::histogram::Histogram;

    #[test]
    fn figures_stand_under_their_name_and_labels_are_escaped() {
        let mut page = Page::default();
        page.one("a_total", Kind::Counter, "What is counted.", 7.0);
        let mut family = page.family("b", Kind::Gauge, "What is.");
        family.value(&[("x", "a\"b\\c\nd"), ("y", "")], 0.5);
        family.state(&[("x", "1")], "is", &["up", "down"], "down");
        let wanted = r#"# HELP a_total What is counted.
# TYPE a_total counter
a_total 7
# HELP b What is.
# TYPE b gauge
b{x="a\"b\\c\nd",y=""} 0.5
b{x="1",is="up"} 0
b{x="1",is="down"} 1
"#;
        assert_eq!(page.into_text(), wanted);
    }

    #[test]
    fn a_histogram_counts_up() {
        let seen = Histogram::default();
        for micros in [10, 1023, 1024, 5_000_000] {
            seen.record(Duration::from_micros(micros));
        }
        let mut page = Page::default();
        let bounds = [Duration::from_micros(1024), Duration::from_micros(2048)];
        page.family("c_seconds", Kind::Histogram, "How long.")
            .histogram(&[("x", "1")], &seen.snapshot(), &bounds);
        let text = page.into_text();
        let lines: Vec<_> = text.lines().skip(2).collect();
        let wanted = [
            "c_seconds_bucket{x=\"1\",le=\"0.001024\"} 2",
            "c_seconds_bucket{x=\"1\",le=\"0.002048\"} 3",
            "c_seconds_bucket{x=\"1\",le=\"+Inf\"} 4",
            "c_seconds_sum{x=\"1\"} 5.002057",
            "c_seconds_count{x=\"1\"} 4",
        ];
        assert_eq!(lines, wanted);
    }
}
