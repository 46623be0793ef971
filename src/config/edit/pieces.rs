//! A text cut at its headers, so that hosts are changed without reading everything again.
//! It must not change what it cannot prove to read as what was asked for.
//!
//! TOML is a sequence of lines, each of which is complete at its end: texts that each read alone
//! read the same one after the other, up to what their headers refer to. So when every piece
//! reads alone, no cut is inside a string or a list; and when a piece begins with the same header
//! as before and has no other, nothing that stands in other pieces changes its meaning.

use std::sync::Arc;

use serde::Deserialize;
use toml_edit::{DocumentMut, InlineTable, Item, Table};

use super::{
    Care,
    keys::Keys,
    spot::Style,
    tables::Editor,
    tree::{Level, plain},
};
use crate::model::{
    compare::{bare, bare_group},
    topology::{Host, Topology},
};

/// A text in pieces. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::config) struct Pieces {
    texts: Vec<Arc<str>>,
    /// The piece of each host, in the order in which they stand.
    hosts: Arc<[usize]>,
}

/// A host with other values: which it is, counted over all groups, and what it is now.
struct Differing<'t> {
    number: usize,
    old: &'t Host,
    next: &'t Host,
}

/// What a piece says that is one host and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alone {
    service: AloneService,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AloneService {
    group: AloneGroup,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AloneGroup {
    host: [Host; 1],
}

/// The text with the values of some hosts changed, and its pieces. `before` are those of `text`,
/// if they are known. `None` where more than such values differs, or the text is not written so;
/// then [`super::edit`] is the way.
pub(in crate::config) fn edit_hosts(
    text: &str,
    before: Option<Pieces>,
    old: &Topology,
    next: &Topology,
) -> Option<(String, Pieces)> {
    let differing = differing(old, next)?;
    let mut pieces = match before {
        Some(pieces) => pieces,
        None => Pieces::of(text, old)?,
    };
    for host in differing {
        let piece = pieces.texts.get_mut(*pieces.hosts.get(host.number)?)?;
        *piece = changed(piece, &host)?.into();
    }
    Some((pieces.texts.concat(), pieces))
}

impl Pieces {
    /// Cuts `text`, which says `topology`. `None` where not every host has a header of its own.
    fn of(text: &str, topology: &Topology) -> Option<Self> {
        if text.contains('\r') || text.starts_with('\u{feff}') {
            return None;
        }
        let mut texts = vec![String::new()];
        for line in text.split_inclusive('\n') {
            if line.trim_start().starts_with('[') {
                texts.push(String::new());
            }
            texts.last_mut()?.push_str(line);
        }
        let mut wanted = all_hosts(topology);
        let mut hosts = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match host(text) {
                Some(host) if *wanted.next()? == host => hosts.push(index),
                Some(_) => return None,
                None => drop(text.parse::<DocumentMut>().ok()?),
            }
        }
        wanted.next().is_none().then(|| Self {
            texts: texts.into_iter().map(Arc::from).collect(),
            hosts: hosts.into(),
        })
    }
}

fn all_hosts(topology: &Topology) -> impl Iterator<Item = &Host> {
    let groups = topology.services.iter().flat_map(|service| &service.groups);
    groups.flat_map(|group| &group.hosts)
}

/// The host that `piece` is.
fn host(piece: &str) -> Option<Host> {
    let alone: Alone = toml::from_str(piece).ok()?;
    let [host] = alone.service.group.host;
    Some(host)
}

/// The hosts that differ; `None` when anything else does.
fn differing<'t>(old: &'t Topology, next: &'t Topology) -> Option<Vec<Differing<'t>>> {
    let mut found = Vec::new();
    let mut number = 0;
    let same_length = old.services.len() == next.services.len();
    for (old, next) in old.services.iter().zip(&next.services) {
        if old != next && (bare(old) != bare(next) || old.groups.len() != next.groups.len()) {
            return None;
        }
        for (old, next) in old.groups.iter().zip(&next.groups) {
            let names = |group: &'t [Host]| group.iter().map(|host| &host.name);
            if !names(&old.hosts).eq(names(&next.hosts)) || bare_group(old) != bare_group(next) {
                return None;
            }
            for (old, next) in old.hosts.iter().zip(&next.hosts) {
                if old != next {
                    found.push(Differing { number, old, next });
                }
                number += 1;
            }
        }
    }
    same_length.then_some(found)
}

/// The text of a host's piece with its new values.
fn changed(piece: &str, differing: &Differing<'_>) -> Option<String> {
    let mut document: DocumentMut = piece.parse().ok()?;
    let mut editor = Editor::new(Style::of(&Table::new()), Care::Values);
    let (old, next) = (values(differing.old)?, values(differing.next)?);
    let table = only_host(document.as_table_mut())?;
    editor
        .table(Keys::Table(table), &old, &next, Level::Host)
        .ok()?;
    if !editor.into_orphans().is_empty() {
        return None;
    }
    let text = document.to_string();
    let begins = |text: &str| text.lines().next().map(str::to_owned);
    let is_it = host(&text).as_ref() == Some(differing.next);
    (is_it && begins(&text) == begins(piece) && text.ends_with('\n') == piece.ends_with('\n'))
        .then_some(text)
}

fn values(host: &Host) -> Option<InlineTable> {
    plain(host)?.as_inline_table().cloned()
}

fn only_host(root: &mut Table) -> Option<&mut Table> {
    let service = root.get_mut("service").and_then(Item::as_table_mut)?;
    let group = service.get_mut("group").and_then(Item::as_table_mut)?;
    let hosts = group.get_mut("host")?.as_array_of_tables_mut()?;
    hosts.get_mut(0)
}

#[cfg(test)]
mod tests {
    use super::{super::edit, *};
    use crate::{
        config::file::parse,
        model::topology::{Admin, Weight},
    };

    const TEXT: &str = "# ours\n\n[[service]]\nname = \"web\" # front\nlisten = [\"127.0.0.1:80\"]\n\n\
        \x20 [[service.group]]\n  name = \"blue\"\n\n    # the first\n    [[service.group.host]]\n    \
        name = \"w1\" # one\n    address = \"10.0.0.1:1\"\n\n    # heavy\n    weight = 3 # three\n\n\
        \x20   [[service.group.host]]\n    address = \"10.0.0.2:1\"\n    name = \"w2\"\n    # free\n\n\
        # of green\n[[service.group]]\nname = \"green\"\n[[service.group.host]] # w1 again\n\
        name = \"w1\"\naddress = \"10.0.0.1:1\"\n# the end\n";

    fn weigh(topology: &mut Topology, group: usize, host: usize, weight: i64) {
        let host = &mut topology.services[0].groups[group].hosts[host];
        host.weight = Weight::try_from(weight).unwrap();
    }

    #[test]
    fn it_writes_what_the_careful_way_writes() {
        let mut text = TEXT.to_owned();
        let mut old = parse(TEXT).unwrap().topology;
        let mut pieces = None;
        let mut steps = 0;
        for (group, host, weight) in [(0, 0, 5), (0, 1, 7), (1, 0, 9), (0, 1, 0), (1, 0, 2)] {
            for admin in [Admin::Draining, Admin::Enabled] {
                let mut next = old.clone();
                weigh(&mut next, group, host, weight);
                next.services[0].groups[group].hosts[host].admin = admin;
                if next == old {
                    continue;
                }
                let careful = edit(&text, &old, &next).unwrap();
                let (fast, its) = edit_hosts(&text, pieces, &old, &next).unwrap();
                assert_eq!(fast, careful);
                assert_eq!(parse(&fast).unwrap().topology, next);
                (text, old, pieces) = (fast, next, Some(its));
                steps += 1;
            }
        }
        assert_eq!(steps, 10);
    }

    #[test]
    fn it_leaves_everything_else_to_the_careful_way() {
        let old = parse(TEXT).unwrap().topology;
        let mut more = old.clone();
        more.services[0].groups[0].hosts.pop();
        assert!(edit_hosts(TEXT, None, &old, &more).is_none(), "a host goes");
        let mut other = old.clone();
        other.services[0].groups.reverse();
        assert!(edit_hosts(TEXT, None, &old, &other).is_none(), "an order");
        let mut next = old.clone();
        weigh(&mut next, 0, 0, 9);
        for text in [
            &TEXT.replace('\n', "\r\n"),
            &TEXT.replace(
                "# ours",
                "[node]\nname = \"\"\"\n[[service.group.host]]\n\"\"\"",
            ),
            &TEXT.replace("# ours", "x = [\n[[1]],\n]"),
        ] {
            assert!(edit_hosts(text, None, &old, &next).is_none(), "{text}");
        }
        let inline = "[[service]]\nname = \"web\"\nlisten = [\"127.0.0.1:80\"]\n[[service.group]]\n\
            name = \"blue\"\nhost = [{ name = \"w1\", address = \"10.0.0.1:1\" }]\n";
        let old = parse(inline).unwrap().topology;
        let mut next = old.clone();
        weigh(&mut next, 0, 0, 9);
        assert!(edit_hosts(inline, None, &old, &next).is_none());
    }
}
