//! The words for what is wrong with a value: what was wanted, what is there, what was perhaps meant.
//! It must not know which keys or values there are.

use serde::de::{Expected, Unexpected};

/// The longest text that a message repeats, in characters.
const MAX_QUOTED: usize = 60;
/// The longest message, in characters.
const MAX_MESSAGE: usize = 400;

/// What was wanted and what is there instead.
pub(super) fn mismatch(found: &Unexpected<'_>, wanted: &dyn Expected) -> String {
    let wanted = describe_wanted(wanted);
    let hint = if matches!(found, Unexpected::Map) && wanted == LIST {
        "; the header of an item has two brackets: [[…]]"
    } else {
        ""
    };
    format!("must be {wanted}, not {}{hint}", describe(found))
}

const LIST: &str = "a list";

/// The deserializers' words for types, which speak of Rust, in an operator's words.
fn describe_wanted(wanted: &dyn Expected) -> String {
    let wanted = wanted.to_string();
    let plain = match wanted.as_str() {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128"
        | "usize" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "a borrowed string" | "a borrowed str" => "a text in quotes",
        "a boolean" => "true or false",
        "a sequence" => LIST,
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other if other.starts_with("enum ") => "a text in quotes",
        other => other,
    };
    plain.to_owned()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other kinds do not occur in a file, and have a description of their own"
)]
fn describe(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => format!("the text {}", quoted(text)),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number:?}"),
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Seq => LIST.to_owned(),
        Unexpected::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// `text` in quotes, with nothing in it that a terminal would obey, cut where it is endless.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", cut(text, MAX_QUOTED))
}

/// A key as it stands in a message.
fn ticked(key: &str) -> String {
    format!("`{}`", cut(key, MAX_QUOTED).escape_debug())
}

/// `message`, cut where it repeats something endless from the file.
pub(super) fn bounded(message: &str) -> String {
    cut(message, MAX_MESSAGE)
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(super) fn unknown_key(key: &str, known: &[&str]) -> String {
    let hint = hint(key, known, |key| format!("`{key}`"));
    format!("unknown key {}{hint}", ticked(key))
}

pub(super) fn unknown_word(word: &str, known: &[&str]) -> String {
    let hint = hint(word, known, |word| format!("{word:?}"));
    format!("{} is not known here{hint}", quoted(word))
}

/// The word that was perhaps meant, else all that there are.
fn hint(word: &str, known: &[&str], show: fn(&str) -> String) -> String {
    if let Some(meant) = nearest(word, known) {
        return format!(", did you mean {}?", show(meant));
    }
    match known {
        [] => String::new(),
        [only] => format!("; there is only {}", show(only)),
        _ => {
            let known: Vec<_> = known.iter().map(|word| show(word)).collect();
            format!("; there are {}", known.join(", "))
        }
    }
}

/// The word of `known` that `word` was perhaps meant to be.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().filter(|known| is_near(word, known));
    near.min_by_key(|known| distance(word, known)).copied()
}

/// Whether `word` looks like a slip for `known`: one letter in three may be wrong.
pub(super) fn is_near(word: &str, known: &str) -> bool {
    // A word much longer than the known one is no slip, and comparing it would take long.
    let lengths_fit = word.len() <= known.len() * 2 && !word.is_empty();
    lengths_fit && distance(word, known) <= known.len().div_ceil(3)
}

/// How many letters have to be put in, left out, replaced, or swapped with the next one.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().map(plain).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (row, x) in a.chars().map(plain).enumerate() {
        let mut current = vec![row + 1];
        for (column, &y) in b.iter().enumerate() {
            let replaced = last[column] + usize::from(x != y);
            let mut least = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            if column > 0 && previous == Some(y) && x == b[column - 1] {
                least = least.min(before_last[column - 1] + 1);
            }
            current.push(least);
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(x);
    }
    last[b.len()]
}

/// Taking `-` for `_`, or a capital for a small letter, is no distance.
fn plain(c: char) -> char {
    match c {
        '-' => '_',
        c => c.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["name", "address", "weight", "max_sessions", "admin"];
        assert_eq!(nearest("wieght", &known), Some("weight"));
        assert_eq!(nearest("max-sessions", &known), Some("max_sessions"));
        assert_eq!(nearest("adress", &known), Some("address"));
        assert_eq!(nearest("Name", &known), Some("name"));
        for other in ["probe", "", "queue", "é", &"name".repeat(99_999)] {
            assert_eq!(nearest(other, &known), None, "{other}");
        }
    }

    #[test]
    fn nothing_in_a_message_is_endless_or_obeyed_by_a_terminal() {
        assert_eq!(quoted("\u{1b}[2J"), r#""\u{1b}[2J""#);
        assert!(unknown_key(&"x".repeat(1_000_000), &["a"]).len() < 200);
        assert!(unknown_key("\u{1b}]0;", &["a"]).starts_with(r"unknown key `\u{1b}]0;`"));
        assert_eq!(bounded(&"é".repeat(1000)).chars().count(), MAX_MESSAGE + 1);
    }
}
