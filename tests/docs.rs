//! The documents as a test: configurations in them are valid, links in them lead somewhere.

#![allow(clippy::unwrap_used, clippy::panic)]

#[cfg(feature = "server")]
use std::process::Command;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use pointsman::model::catalogue::CATALOGUE;

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
const TOML_BLOCKS: usize = 7;

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

/// The rows of the table whose first column is called `first`, as cells without backticks.
fn table(text: &str, first: &str) -> Vec<Vec<String>> {
    let head = format!("| {first} |");
    let lines = text.lines().skip_while(|line| !line.starts_with(&head));
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    let cell = |cell: &str| cell.trim().replace('\0', "|").replace('`', "");
    rows.map(|row| {
        let row = row.replace("\\|", "\0");
        let cells: Vec<_> = row.split('|').map(cell).collect();
        cells[1..cells.len() - 1].to_vec()
    })
    .collect()
}

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).unwrap()
}

#[test]
fn the_table_of_commands_is_the_catalogue() {
    let documented = table(&document("docs/commands.md"), "command");
    let catalogue: Vec<_> = CATALOGUE
        .iter()
        .map(|entry| {
            let options = if entry.changes { "yes" } else { "" };
            let role = entry.role.to_string();
            [entry.name, entry.arguments, &role, options, entry.help].map(str::to_owned)
        })
        .collect();
    let without_line = |row: &Vec<String>| [0, 1, 2, 3, 5].map(|column| row[column].clone());
    let documented: Vec<_> = documented.iter().map(without_line).collect();
    assert_eq!(documented, catalogue);
}

#[test]
#[cfg(feature = "server")]
fn every_command_line_in_the_table_of_commands_exists() {
    let mut count = 0;
    for row in table(&document("docs/commands.md"), "command") {
        for line in row[4].split(", ").filter(|line| !line.is_empty()) {
            count += 1;
            let is_name = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            let names: Vec<_> = line.split(' ').take_while(is_name).collect();
            let mut program = Command::new(env!("CARGO_BIN_EXE_pointsman"));
            let output = program.args(&names).arg("--help").output().unwrap();
            assert!(output.status.success(), "{line}");
            let help = String::from_utf8(output.stdout).unwrap();
            for option in line.split(['[', ' ']).filter(|word| word.starts_with("--")) {
                let option = option.trim_end_matches(']');
                assert!(help.contains(option), "{line}: there is no {option}");
            }
        }
    }
    assert!(count >= 31, "only {count} command lines were found");
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = document("Cargo.toml");
    let sections = manifest.split("\n[").filter_map(|section| {
        let (name, body) = section.split_once(']')?;
        matches!(name, "dependencies" | "dev-dependencies").then_some(body)
    });
    let used: BTreeSet<_> = sections
        .flat_map(str::lines)
        .filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()))
        .collect();
    let reasons = table(&document("CONTRIBUTING.md"), "crate");
    let word = |row: &Vec<String>| row[0].split(' ').next().unwrap().to_owned();
    let explained: BTreeSet<_> = reasons.iter().map(word).collect();
    assert_eq!(explained, used);
}

#[test]
fn cells_are_found_where_they_are() {
    let text = "| a | b |\n|---|---|\n| `x` | y \\| `z` |\n\n| c |\n";
    assert_eq!(table(text, "a"), [["x", "y | z"]]);
}

#[test]
fn blocks_and_links_are_found_where_they_are() {
    let text = "[a](b.md#c) and\n```toml\nx = 1\n```\n```toml part\n[y](z)\n```\n[d](e)";
    assert_eq!(blocks(text, "toml"), ["x = 1"]);
    assert_eq!(links(text), ["b.md#c", "e"]);
}
