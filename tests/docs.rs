//! The documents as a test: configurations in them are valid, links in them lead somewhere.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Every Markdown file of ours: at the top, and under `docs/`.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("docs")];
    let mut paths = markdown_in(root);
    while let Some(folder) = folders.pop() {
        paths.extend(markdown_in(&folder));
        folders.extend(entries(&folder).into_iter().filter(|path| path.is_dir()));
    }
    assert!(paths.len() >= 11, "only {paths:?} were found");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

fn markdown_in(folder: &Path) -> Vec<PathBuf> {
    let is_markdown = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "md");
    entries(folder).into_iter().filter(is_markdown).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The blocks fenced as `language`, and nothing more: `toml part` is for what is no whole file.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(label) = line.trim().strip_prefix("```") {
            let inside = lines.by_ref().take_while(|line| line.trim() != "```");
            let block: Vec<_> = inside.collect();
            if label == language {
                found.push(block.join("\n"));
            }
        }
    }
    found
}

/// The targets of `[text](target)`, outside of blocks.
fn links(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    let opened = prose.flat_map(|part| part.split("](").skip(1));
    opened
        .filter_map(|rest| Some(rest.split_once(')')?.0))
        .collect()
}

#[test]
#[cfg(feature = "server")]
fn every_configuration_in_the_documents_is_valid() {
    let mut count = 0;
    for (path, text) in documents() {
        for block in blocks(&text, "toml") {
            count += 1;
            if let Err(problems) = pointsman::config::parse(&block) {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                panic!("{}: {}\n{block}", path.display(), problems.join("\n"));
            }
        }
    }
    assert_eq!(count, TOML_BLOCKS, "configurations in the documents");
}

/// How many there are: a document that lost its example, or its fence, shall be noticed.
#[cfg(feature = "server")]
const TOML_BLOCKS: usize = 3;

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut count = 0;
    for (path, text) in documents() {
        for link in links(&text) {
            let file = link.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let target = path.parent().unwrap().join(file);
            assert!(target.exists(), "{}: {link} leads nowhere", path.display());
        }
    }
    assert!(count >= 15, "only {count} relative links were found");
}

#[test]
fn blocks_and_links_are_found_where_they_are() {
    let text = "[a](b.md#c) and\n```toml\nx = 1\n```\n```toml part\n[y](z)\n```\n[d](e)";
    assert_eq!(blocks(text, "toml"), ["x = 1"]);
    assert_eq!(links(text), ["b.md#c", "e"]);
}
