//! Colour for people at a terminal, and text made safe to print there.
//! It must not decide whether colour is wanted.

/// What a text is painted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Bold,
    Dim,
    Green,
    Red,
    Yellow,
}

/// `text`, painted where `colour` is wanted.
pub(super) fn paint(paint: Paint, text: &str, colour: bool) -> String {
    let code = match paint {
        Paint::Bold => 1,
        Paint::Dim => 2,
        Paint::Green => 32,
        Paint::Red => 31,
        Paint::Yellow => 33,
    };
    match colour {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

/// `text` without what a terminal would obey: others wrote it, as a reason or an event.
pub(super) fn clean(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// As [`clean`], for what may have several lines.
pub(super) fn clean_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(clean).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(
            clean("a\x1b[2Jb\r\u{9b}c"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}c"
        );
        assert_eq!(clean_lines("a\x07\nb"), "a\u{fffd}\nb");
    }

    #[test]
    fn nothing_is_painted_where_no_colour_is_wanted() {
        assert_eq!(paint(Paint::Red, "down", false), "down");
        assert_eq!(paint(Paint::Red, "down", true), "\x1b[31mdown\x1b[0m");
    }
}
