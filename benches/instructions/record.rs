//! The figures that were recorded, in the file `recorded`, and the one way to change them.
//! It must not forget why a figure was changed.

use std::{fmt::Write as _, fs, path::PathBuf};

/// How much worse instructions may get before it is a failure.
const TOLERANCE: f64 = 0.05;
/// How many more system calls may be made: those that a timer makes now and then.
const CALLS: f64 = 0.5;

/// What one operation costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) instructions: f64,
    pub(crate) calls: f64,
}

/// An operation, and whether features are on.
pub(crate) type Name<'a> = (&'a str, &'a str);

/// The file's figures, and its lines of reasons.
pub(crate) struct Record {
    figures: Vec<(String, String, Cost)>,
    reasons: Vec<String>,
}

const HEAD: &str = "\
# What one operation costs: user instructions and system calls, by callgrind.
# `make guard` fails where it is more than 5 % (or half a call) above this. To change a figure:
#     cargo bench --no-default-features --bench instructions -- --record 'why'
# operation features instructions calls
";

fn path() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/benches/instructions/recorded"
    ))
}

impl Record {
    /// What the file has; nothing, where there is none.
    pub(crate) fn read() -> Result<Self, String> {
        let text = match fs::read_to_string(path()) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("cannot read {}: {error}", path().display())),
        };
        let mut record = Self {
            figures: Vec::new(),
            reasons: Vec::new(),
        };
        for line in text.lines() {
            if let Some(reason) = line.strip_prefix("changed ") {
                record.reasons.push(reason.to_owned());
            } else if !line.starts_with('#') && !line.trim().is_empty() {
                let figure = figure(line).ok_or_else(|| format!("not a figure: {line}"))?;
                record.figures.push(figure);
            }
        }
        Ok(record)
    }

    /// What was recorded of an operation.
    pub(crate) fn cost(&self, (operation, features): Name) -> Option<Cost> {
        self.figures
            .iter()
            .find(|(o, f, _)| o == operation && f == features)
            .map(|(_, _, cost)| *cost)
    }

    /// Fails when anything is dearer than recorded.
    pub(crate) fn judge(&self, now: &[(Name, Cost)]) -> Result<(), String> {
        let mut worse = Vec::new();
        for (name, cost) in now {
            let Some(before) = self.cost(*name) else {
                worse.push(format!("{name:?} is not recorded"));
                continue;
            };
            if cost.instructions > before.instructions * (1.0 + TOLERANCE) {
                worse.push(format!(
                    "{} with features {}: {:.0} instructions, {:.0} are recorded",
                    name.0, name.1, cost.instructions, before.instructions
                ));
            }
            if cost.calls > before.calls + CALLS {
                worse.push(format!(
                    "{} with features {}: {:.1} system calls, {:.1} are recorded",
                    name.0, name.1, cost.calls, before.calls
                ));
            }
        }
        if worse.is_empty() {
            return Ok(());
        }
        Err(format!(
            "the hot path has become dearer:\n  {}\nmake it cheaper, or say why not: --record 'why'",
            worse.join("\n  ")
        ))
    }

    /// Writes what was measured in place of what was recorded, with the old figures and the reason.
    pub(crate) fn replace(&self, now: &[(Name, Cost)], reason: &str) -> Result<(), String> {
        let reason = reason.replace('\n', " ");
        let mut text = HEAD.to_owned();
        let mut changes = Vec::new();
        for (name, cost) in now {
            let Cost {
                instructions,
                calls,
            } = cost;
            // Writing to a string does not fail.
            let _ = writeln!(text, "{} {} {instructions:.0} {calls:.1}", name.0, name.1);
            if let Some(before) = self.cost(*name) {
                changes.push(format!(
                    "{} {} {:.0} {:.1} -> {instructions:.0} {calls:.1}",
                    name.0, name.1, before.instructions, before.calls
                ));
            }
        }
        text.push_str("# Why the figures are what they are, oldest first.\n");
        for reason in &self.reasons {
            let _ = writeln!(text, "changed {reason}");
        }
        let from = if changes.is_empty() {
            "from nothing".to_owned()
        } else {
            changes.join("; ")
        };
        let _ = writeln!(text, "changed {from}: {reason}");
        fs::write(path(), text).map_err(|e| format!("cannot write {}: {e}", path().display()))?;
        println!("recorded, because: {reason}");
        Ok(())
    }
}

fn figure(line: &str) -> Option<(String, String, Cost)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [operation, features, instructions, calls] = words.as_slice() else {
        return None;
    };
    let cost = Cost {
        instructions: instructions.parse().ok()?,
        calls: calls.parse().ok()?,
    };
    Some(((*operation).to_owned(), (*features).to_owned(), cost))
}
