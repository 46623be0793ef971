//! Brings lists in brackets from one state to another.
//! It must not lose a comment to the item beside the one that it is about.

use toml_edit::{Array, Table, Value};

use super::{
    Blocked, Care, decor,
    keys::{Keys, replace},
    tables::Editor,
    tree::{Level, origins, same},
};

/// An item with the text that belongs to it.
struct Entry {
    /// From the end of the line before.
    lead: String,
    value: Value,
    /// The comment at the end of its line.
    tail: String,
}

/// Changes the items of `array`.
pub(super) fn change(
    editor: &mut Editor,
    array: &mut Array,
    before: &Array,
    after: &Array,
    level: Level,
) -> Result<(), Blocked> {
    if array.len() != before.len() {
        return Err(Blocked);
    }
    let mut origins = origins(before, after);
    if editor.care() == Care::Services && level == Level::Service {
        for (origin, after) in origins.iter_mut().zip(after) {
            *origin = origin.filter(|index| before.get(*index).is_some_and(|b| same(b, after)));
        }
    }
    let (open, entries, mut close) = take_apart(array);
    let fresh = fresh_lead(&entries);
    let single_line = entries.iter().all(|entry| !entry.lead.contains('\n'));
    let first = entries.first().map(|entry| entry.lead.clone());
    let mut left: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    let mut result = Vec::with_capacity(after.len());
    for (next, origin) in after.iter().zip(origins) {
        let kept = origin.and_then(|index| Some((index, left.get_mut(index)?.take()?)));
        let entry = match kept {
            Some((index, entry)) => {
                let old = before.get(index).ok_or(Blocked)?;
                update(editor, entry, old, next, level)?
            }
            None => Entry {
                lead: fresh.clone(),
                value: next.clone(),
                tail: String::new(),
            },
        };
        result.push(entry);
    }
    for entry in left.into_iter().flatten() {
        if let Some(orphan) = decor::orphan(&entry.lead) {
            // Not at its old place, but in its list.
            close = decor::joined(&orphan, &close);
        }
    }
    if single_line {
        for (index, entry) in result.iter_mut().enumerate() {
            entry.lead = match (&first, index) {
                (Some(first), 0) => first.clone(),
                (None, 0) => String::new(),
                _ => " ".to_owned(),
            };
        }
    }
    put_together(array, open, result, &close);
    Ok(())
}

fn update(
    editor: &mut Editor,
    mut entry: Entry,
    old: &Value,
    next: &Value,
    level: Level,
) -> Result<Entry, Blocked> {
    match (&mut entry.value, old, next) {
        (Value::InlineTable(table), Value::InlineTable(old), Value::InlineTable(next)) => {
            editor.table(Keys::Inline(table), old, next, level)?;
        }
        (_, old, next) if same(old, next) => {}
        (value, _, next) => replace(value, next.clone()),
    }
    Ok(entry)
}

/// The comment after the bracket, the items, and what stands before the closing bracket.
fn take_apart(array: &mut Array) -> (String, Vec<Entry>, String) {
    let trailing = decor::text(Some(array.trailing()));
    let around = array.decor().clone();
    let has_comma = array.trailing_comma();
    let old = std::mem::take(array);
    *array.decor_mut() = around;
    array.set_trailing_comma(has_comma);
    let mut open = String::new();
    let mut entries: Vec<Entry> = Vec::with_capacity(old.len());
    let mut behind = String::new();
    for mut value in old {
        let prefix = decor::text(value.decor().prefix());
        let gap = format!("{}{prefix}", std::mem::take(&mut behind));
        let suffix = decor::text(value.decor().suffix());
        value.decor_mut().clear();
        let (tail, lead) = divide(&gap);
        match entries.last_mut() {
            Some(last) => last.tail = tail,
            None => open = tail,
        }
        entries.push(Entry {
            lead,
            value,
            tail: String::new(),
        });
        behind = if decor::has_comment(&suffix) {
            suffix
        } else {
            String::new()
        };
    }
    let (tail, close) = divide(&format!("{behind}{trailing}"));
    match entries.last_mut() {
        Some(last) => last.tail = tail,
        None => open = tail,
    }
    (open, entries, close)
}

/// The comment at the end of the line, and the rest.
fn divide(gap: &str) -> (String, String) {
    match gap.split_once('\n') {
        Some((tail, _)) if decor::has_comment(tail) => {
            (tail.to_owned(), gap[tail.len()..].to_owned())
        }
        _ => (String::new(), gap.to_owned()),
    }
}

fn fresh_lead(entries: &[Entry]) -> String {
    match entries.last() {
        Some(last) if last.lead.contains('\n') => format!("\n{}", decor::indentation(&last.lead)),
        Some(_) => " ".to_owned(),
        None => String::new(),
    }
}

fn put_together(array: &mut Array, open: String, entries: Vec<Entry>, close: &str) {
    let mut behind = open;
    for entry in entries {
        let prefix = after_comment(&behind, &entry.lead);
        let mut value = entry.value;
        value.decor_mut().set_prefix(prefix);
        value.decor_mut().set_suffix("");
        array.push_formatted(value);
        behind = entry.tail;
    }
    array.set_trailing(after_comment(&behind, close));
}

/// A comment goes to the end of its line, so what comes after it starts a new one.
fn after_comment(comment: &str, rest: &str) -> String {
    let needs_end = decor::has_comment(comment) && !rest.starts_with('\n');
    let end = if needs_end { "\n" } else { "" };
    format!("{comment}{end}{rest}")
}

/// The comments on `key` of `table`, which has an empty list, as lines of their own.
pub(super) fn comment_of(table: &Table, key: &str) -> String {
    let above = table.key(key).and_then(|key| key.leaf_decor().prefix());
    let value = table.get(key).and_then(|item| item.as_array());
    let within = value.map(|array| array.trailing());
    let behind = value.and_then(|array| array.decor().suffix());
    let texts = [above, within, behind].map(decor::text);
    let lines = texts.iter().flat_map(|text| text.lines());
    let comments = lines.map(str::trim).filter(|line| line.starts_with('#'));
    comments.map(|line| format!("{line}\n")).collect()
}
