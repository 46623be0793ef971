//! The text between the values of a file: which of it belongs to what.
//! It must not know what the values mean.

use toml_edit::{Decor, RawString};

/// `raw` as text.
pub(super) fn text(raw: Option<&RawString>) -> String {
    raw.and_then(RawString::as_str)
        .unwrap_or_default()
        .to_owned()
}

pub(super) fn has_comment(text: &str) -> bool {
    text.contains('#')
}

/// The text before something, split into what a blank line separates from it and what belongs to
/// it: the comment lines directly above, and its indentation.
pub(super) fn split(before: &str) -> (&str, &str) {
    let mut own = before.rfind('\n').map_or(0, |end| end + 1);
    while let Some(above) = before[..own].strip_suffix('\n') {
        let start = above.rfind('\n').map_or(0, |end| end + 1);
        if above[start..].trim().is_empty() {
            break;
        }
        own = start;
    }
    before.split_at(own)
}

/// The white space at the end of the text before something.
pub(super) fn indentation(before: &str) -> String {
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = &before[start..];
    if line.trim().is_empty() {
        line.to_owned()
    } else {
        String::new()
    }
}

/// The comment in `before` that stays when what comes after it is removed.
pub(super) fn orphan(before: &str) -> Option<String> {
    let (apart, _) = split(before);
    has_comment(apart).then(|| apart.to_owned())
}

/// `comment`, which ends in a blank line, before `rest`, which may start with blank lines.
pub(super) fn joined(comment: &str, rest: &str) -> String {
    let mut rest = rest;
    while let Some((line, after)) = rest.split_once('\n') {
        if !line.trim().is_empty() {
            break;
        }
        rest = after;
    }
    format!("{comment}{rest}")
}

pub(super) fn put_before(decor: &mut Decor, comment: &str) {
    let rest = text(decor.prefix());
    decor.set_prefix(joined(comment, &rest));
}

/// A text that does not start with the blank line that stood between its items.
pub(super) fn without_gap_at_start(text: String) -> String {
    let start = text.len() - text.trim_start_matches('\n').len();
    text[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_directly_above_belong_to_what_is_below_and_others_do_not() {
        assert_eq!(
            split("\n# a\n\n# b\n# c\n  "),
            ("\n# a\n\n", "# b\n# c\n  ")
        );
        assert_eq!(split("# a\n"), ("", "# a\n"));
        assert_eq!(split("\n  "), ("\n", "  "));
        assert_eq!(split("  "), ("", "  "));
        assert_eq!(split(""), ("", ""));
        assert_eq!(orphan("\n\n# a\n"), None);
        assert_eq!(orphan("# a\n\n# b\n").as_deref(), Some("# a\n\n"));
        assert_eq!(joined("# a\n\n", "\n\n  x"), "# a\n\n  x");
        assert_eq!(indentation("\n# a\n  "), "  ");
    }
}
