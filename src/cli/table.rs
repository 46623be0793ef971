//! Tables that line up, for people.
//! It must not know what is in them.

use super::style::{Paint, clean, paint};

/// A text in a table, and what it is painted with.
#[derive(Debug)]
pub(super) struct Cell {
    text: String,
    paint: Option<Paint>,
}

impl Cell {
    pub(super) fn painted(text: impl AsRef<str>, paint: Option<Paint>) -> Self {
        Self {
            text: clean(text.as_ref()),
            paint,
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::painted(text, None)
    }
}

/// Rows of text under a heading; columns whose cells are numbers are set flush right.
#[derive(Debug)]
pub(super) struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(heading: &[&'static str]) -> Self {
        Self {
            heading: heading.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The table as lines, painted where `colour` is wanted.
    pub(super) fn render(&self, colour: bool) -> String {
        let heading: Vec<Cell> = self
            .heading
            .iter()
            .map(|cell| Cell::painted(cell.to_uppercase(), Some(Paint::Bold)))
            .collect();
        let rows: Vec<&[Cell]> = std::iter::once(heading.as_slice())
            .chain(self.rows.iter().map(Vec::as_slice))
            .collect();
        let columns: Vec<(usize, bool)> = (0..heading.len())
            .map(|column| {
                let cells = rows.iter().filter_map(|row| row.get(column));
                let width = cells.map(|cell| cell.text.chars().count()).max();
                (width.unwrap_or(0), self.is_numeric(column))
            })
            .collect();
        let lines: Vec<String> = rows.iter().map(|row| line(row, &columns, colour)).collect();
        lines.join("\n")
    }

    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column));
        !self.rows.is_empty() && cells.all(|cell| is_number(&cell.text))
    }
}

/// Whether `text` is a number, with a unit behind it or without: `7`, `1.5 GB`; not an address, and
/// not an id that happens to begin with a digit.
fn is_number(text: &str) -> bool {
    let (number, _unit) = text.split_once(' ').unwrap_or((text, ""));
    number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
        && number.parse::<f64>().is_ok()
}

/// `cells` at the width of their columns, without anything after the last one.
fn line(cells: &[Cell], columns: &[(usize, bool)], colour: bool) -> String {
    let last = cells.iter().rposition(|cell| !cell.text.is_empty());
    let shown = cells.iter().take(last.map_or(0, |last| last + 1));
    let mut line = String::new();
    let mut gap = 0;
    for (cell, &(width, numeric)) in shown.zip(columns) {
        let room = width.saturating_sub(cell.text.chars().count());
        let (before, after) = if numeric { (room, 0) } else { (0, room) };
        line += &" ".repeat(gap + before);
        match cell.paint {
            Some(with) => line += &paint(with, &cell.text, colour),
            None => line += &cell.text,
        }
        gap = after + 2;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_flush_right() {
        let mut table = Table::new(&["host", "address", "sessions"]);
        table.row(["w1", "127.0.0.1:80", "7"].map(String::from));
        table.row(["worker-2", "127.0.0.1:8080", "1234"].map(String::from));
        let expected = "HOST      ADDRESS         SESSIONS\n\
                        w1        127.0.0.1:80           7\n\
                        worker-2  127.0.0.1:8080      1234";
        assert_eq!(table.render(false), expected);
    }

    #[test]
    fn what_only_begins_like_a_number_stands_flush_left() {
        for number in ["0", "1234", "1.5 GB", "0 µs"] {
            assert!(is_number(number), "{number}");
        }
        for text in [
            "",
            "3553f063cf948890",
            "10.0.0.1",
            "127.0.0.1:80",
            "12e4",
            "uid 0",
        ] {
            assert!(!is_number(text), "{text}");
        }
    }
}
