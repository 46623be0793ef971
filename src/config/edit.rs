//! Changes the services in the text of a file, and leaves everything else in it as it is.
//! It must not touch a file, and must not give a text that says anything but what was asked for.
//!
//! A comment directly above an item or a key belongs to it and goes with it; one that a blank line
//! separates from it stays.

use toml_edit::{DocumentMut, Item};

pub(super) use self::pieces::{Pieces, edit_hosts};
use self::{spot::Style, tables::Editor};
use super::{file, render::render};
use crate::model::topology::Topology;

mod decor;
mod fresh;
mod keys;
mod list;
mod order;
mod pieces;
mod spot;
mod tables;
mod tree;

/// Why a text cannot be changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is not TOML.
    #[error("the file is not TOML: {0}")]
    NotToml(String),
    /// No way of writing led to a text that reads as the services that were asked for.
    #[error("the services cannot be written so that they read the same again")]
    NotTheSame,
}

/// The careful way does not lead through this text.
#[derive(Debug)]
struct Blocked;

/// How much is written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Care {
    /// Only the values that differ.
    Values,
    /// Every service in which something differs.
    Services,
    /// All services.
    All,
}

/// `text`, which has the services of `old`, changed so that it has those of `next`.
///
/// # Errors
///
/// When `text` is not TOML, or `next` is nothing that a file may have.
pub fn edit(text: &str, old: &Topology, next: &Topology) -> Result<String, EditError> {
    if old == next && reads_as(text, next) {
        return Ok(text.to_owned());
    }
    let (mark, body) = match text.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    };
    let is_crlf = body.contains('\n') && !body.replace("\r\n", "").contains('\n');
    let lines = if is_crlf {
        body.replace("\r\n", "\n")
    } else {
        body.to_owned()
    };
    let document: DocumentMut = lines
        .parse()
        .map_err(|error: toml_edit::TomlError| EditError::NotToml(error.message().to_owned()))?;
    for care in [Care::Values, Care::Services, Care::All] {
        let Ok(changed) = attempt(document.clone(), old, next, care) else {
            continue;
        };
        let changed = if is_crlf {
            changed.replace('\n', "\r\n")
        } else {
            changed
        };
        let changed = format!("{mark}{changed}");
        if reads_as(&changed, next) {
            return Ok(changed);
        }
    }
    Err(EditError::NotTheSame)
}

fn reads_as(text: &str, topology: &Topology) -> bool {
    file::parse(text).is_ok_and(|config| config.topology == *topology)
}

fn attempt(
    mut document: DocumentMut,
    old: &Topology,
    next: &Topology,
    care: Care,
) -> Result<String, Blocked> {
    if care == Care::All {
        return Ok(replace_all(document, next));
    }
    let style = Style::of(document.as_table());
    let mut editor = Editor::new(style, care);
    spot::spread(document.as_table_mut());
    let (old, next) = (tree::tree(old)?, tree::tree(next)?);
    editor.services(document.as_table_mut(), &old, &next)?;
    let mut trailing = decor::text(Some(document.trailing()));
    for (spot, comment) in editor.into_orphans() {
        match spot::table_after(document.as_table_mut(), spot) {
            Some(table) => decor::put_before(table.decor_mut(), &comment),
            None => trailing = decor::joined(&comment, &trailing),
        }
    }
    document.set_trailing(trailing);
    Ok(decor::without_gap_at_start(document.to_string()))
}

/// The document with its services written anew at its end.
fn replace_all(mut document: DocumentMut, next: &Topology) -> String {
    document.as_table_mut().remove("service");
    if next.services.is_empty() {
        document.insert("service", Item::Value(toml_edit::Array::new().into()));
        return document.to_string();
    }
    let rest = document.to_string();
    let gap = if rest.trim().is_empty() { "" } else { "\n" };
    format!("{rest}{gap}{}", render(next))
}

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
