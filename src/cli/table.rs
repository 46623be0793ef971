//! Tables that line up, for people.
//! It must not know what is in them.

/// Rows of text under a heading; columns whose cells are numbers are set flush right.
#[derive(Debug)]
pub(super) struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(heading: &[&'static str]) -> Self {
        Self {
            heading: heading.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as lines, the heading in bold where `colour` is wanted.
    pub(super) fn render(&self, colour: bool) -> String {
        let heading: Vec<String> = self
            .heading
            .iter()
            .map(|cell| cell.to_uppercase())
            .collect();
        let widths: Vec<usize> = (0..heading.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells
                    .chain([&heading[column]])
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let numeric: Vec<bool> = (0..heading.len())
            .map(|column| self.is_numeric(column))
            .collect();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).zip(&numeric);
            let padded = cells.map(|((cell, &width), &numeric)| match numeric {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let mut lines = vec![match colour {
            true => format!("\x1b[1m{}\x1b[0m", line(&heading)),
            false => line(&heading),
        }];
        lines.extend(self.rows.iter().map(|row| line(row)));
        lines.join("\n")
    }

    fn is_numeric(&self, column: usize) -> bool {
        let number = |cell: &String| cell.starts_with(|c: char| c.is_ascii_digit());
        !self.rows.is_empty()
            && self
                .rows
                .iter()
                .filter_map(|row| row.get(column))
                .all(number)
            && self
                .rows
                .iter()
                .filter_map(|row| row.get(column))
                .all(|cell| !cell.contains(':'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_flush_right() {
        let mut table = Table::new(&["host", "address", "sessions"]);
        table.row(["w1".into(), "127.0.0.1:80".into(), "7".into()]);
        table.row(["worker-2".into(), "127.0.0.1:8080".into(), "1234".into()]);
        let expected = "HOST      ADDRESS         SESSIONS\n\
                        w1        127.0.0.1:80           7\n\
                        worker-2  127.0.0.1:8080      1234";
        assert_eq!(table.render(false), expected);
    }
}
