//! The architecture as a test: who may import whom, what the pure modules may not touch, and how
//! long a file may be. It reads the source text; comments, strings and test code do not mislead it.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::Path};

use rust_source::{blank, declared_modules, paths, without_tests};

#[path = "support/rust_source.rs"]
mod rust_source;

/// Each module of ours: the modules that it may import.
const MAY_IMPORT: [(&str, &str); 17] = [
    ("model", ""),
    ("files", ""),
    ("stomp", "files"),
    ("balance", "model"),
    ("config", "model stomp files"),
    ("health", "model files"),
    ("auth", "model files"),
    ("discovery", "model stomp"),
    ("proxy", "model balance"),
    // The last three only with the feature `server`.
    (
        "control",
        "model balance proxy health config auth discovery",
    ),
    ("journal", "model control"),
    ("events", "model control stomp"),
    ("doors", "model control auth stomp files"),
    ("cli", "everything"),
    ("app", "everything"),
    // The roots: the map of the library, and the program.
    ("lib", "everything but cli and app"),
    ("main", "everything"),
];

/// Modules without a runtime, files, sockets, clocks, chance, threads or locks.
const PURE: [&str; 2] = ["model", "balance"];
/// What betrays one of those: a run of path segments.
const IMPURE: &str = "tokio tokio_util rustix libc std::fs std::io std::os std::env std::process \
    std::thread TcpStream TcpListener UdpSocket UnixStream UnixListener UnixDatagram Instant::now \
    SystemTime rand::rng rand::random Mutex RwLock Condvar Barrier";
/// Where a short lock is cheaper than what would avoid it; the file says why.
const EXCEPTIONS: [(&str, &str); 6] = [
    ("balance/admission/clients.rs", "Mutex"),
    ("balance/admission/queue.rs", "Mutex"),
    ("balance/admission/rate.rs", "Mutex"),
    ("balance/ranking.rs", "Mutex"),
    ("balance/scheduler/weighted_round_robin.rs", "Mutex"),
    ("balance/scheduler/sticky.rs", "Mutex"),
];

const MAX_LINES: usize = 300;

#[test]
fn the_source_keeps_to_the_architecture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &root, &mut files);
    let complaints: Vec<_> = files
        .iter()
        .flat_map(|(file, text)| complaints(file, text))
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));

    // Each file but the two roots is some `mod name;`: were one missed, or orphaned, this would tell.
    let declared: usize = files
        .iter()
        .map(|(_, text)| declared_modules(&blank(text)))
        .sum();
    assert!(files.len() >= 20, "only {} files were walked", files.len());
    assert_eq!(
        files.len(),
        declared + 2,
        "files walked, against modules declared and the roots"
    );
}

fn walk(folder: &Path, root: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, root, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Everything that is wrong with `file` (relative to `src/`), whose text is `source`.
fn complaints(file: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let code = blank(source);
    let product = without_tests(&code);
    if !source.starts_with("//!") {
        found.push("does not start with `//!`: one sentence on what it is".to_owned());
    }
    let lines = product
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count();
    if lines > MAX_LINES {
        found.push(format!("has {lines} lines of code, more than {MAX_LINES}"));
    }
    let home = module_path(file);
    let module = home
        .first()
        .cloned()
        .unwrap_or_else(|| file.replace(".rs", ""));
    match MAY_IMPORT.iter().find(|(name, _)| *name == module) {
        None => found.push(format!("{module} is not in the table of modules")),
        Some((_, allowed)) => {
            for path in paths(&code).iter().filter_map(|path| path.resolve(&home)) {
                let target = path.first().map_or("the whole crate", String::as_str);
                if target != module && !allows(allowed, target) {
                    found.push(format!("{module} must not import {target}"));
                }
            }
        }
    }
    if PURE.contains(&module.as_str()) {
        for path in paths(&product) {
            let text = format!("::{}::", path.segments.join("::"));
            for impure in IMPURE
                .split_whitespace()
                .filter(|impure| text.contains(&format!("::{impure}::")))
            {
                if !EXCEPTIONS.contains(&(file, impure)) {
                    found.push(format!("{module} is pure and must not use {impure}"));
                }
            }
        }
    }
    found
        .into_iter()
        .map(|what| format!("src/{file}: {what}"))
        .collect()
}

/// Whether the table's `allowed` covers `target`.
fn allows(allowed: &str, target: &str) -> bool {
    match allowed {
        "everything" => true,
        "everything but cli and app" => !matches!(target, "cli" | "app"),
        _ => allowed.split(' ').any(|module| module == target),
    }
}

/// The module that a file is: `balance/scheduler/mod.rs` is `balance::scheduler`.
fn module_path(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    match path {
        "lib" | "main" => Vec::new(),
        _ => path.split('/').map(str::to_owned).collect(),
    }
}

#[test]
fn an_import_that_the_table_does_not_allow_is_caught() {
    for case in [
        "model/name.rs | use crate::balance::View; | balance",
        "balance/host.rs | use crate::{model::name::Name, proxy::relay}; | proxy",
        "balance/host.rs | use crate::{model::{self, name::{Name as N}}, config}; | config",
        "balance/scheduler/mod.rs | use super::super::proxy::relay; | proxy",
        "balance/scheduler/sticky.rs | use super::super::super::control; | control",
        "balance/view.rs | mod inner { use super::super::super::auth::x; } | auth",
        "proxy/relay.rs | fn f() { let it = crate::control::start(); } | control",
        "proxy/relay.rs | #[cfg(test)] mod tests { use crate::control::start; } | control",
        "control/mod.rs | pub(in crate::control) fn f() -> crate::journal::J {} | journal",
        "control/mod.rs | use crate::app; | app",
        "lib.rs | pub use self::cli::run; | cli",
        "doors/http.rs | use pointsman::journal; | journal",
        "config/file.rs | use crate::*; | *",
        "config/file.rs | use crate as all; | the whole crate",
    ] {
        caught(case, "must not import");
    }
}

#[test]
fn the_world_in_a_pure_module_is_caught() {
    for case in [
        "model/name.rs | use tokio::time::sleep; | tokio",
        "model/name.rs | use std::{fmt, fs as files}; | std::fs",
        "balance/host.rs | use std::{net::{IpAddr, TcpStream}, sync::Arc}; | TcpStream",
        "balance/host.rs | struct Host { slots: std::sync::Mutex<u32> } | Mutex",
        "balance/ranking.rs | use std::sync::RwLock; | RwLock",
        "balance/view.rs | fn f() { let now = Instant::now(); } | Instant::now",
        "balance/view.rs | fn f() { std::thread::yield_now(); } | std::thread",
    ] {
        caught(case, "is pure and must not use");
    }
}

/// Asserts that the one complaint about `case`, `file | code | culprit`, is about the culprit.
#[track_caller]
fn caught(case: &str, what: &str) {
    let [file, code, culprit] = case.split(" | ").collect::<Vec<_>>()[..] else {
        panic!("{case}");
    };
    let module = file.split(['/', '.']).next().unwrap();
    let wanted = format!("src/{file}: {module} {what} {culprit}");
    let found = complaints(file, &format!("//! X.\n{code}"));
    assert_eq!(found, [wanted], "{code}");
}

#[test]
fn what_is_allowed_is_let_be() {
    for case in [
        "balance/host.rs | use crate::{balance::view, model::{name::Name, check}};",
        "balance/scheduler/mod.rs | use super::host::Host; pub(super) fn f(self) {}",
        "balance/scheduler/mod.rs | mod tests { use super::super::host::Host; }",
        "balance/ranking.rs | use std::sync::Mutex;",
        "balance/view.rs | use std::net::{IpAddr, SocketAddr}; fn f(now: Instant) {}",
        "balance/view.rs | // crate::proxy and tokio\n/* a /* crate::app */ Mutex */",
        "balance/view.rs | const A: &str = \"crate::proxy \\\" tokio::x\"; const B: char = '\"';",
        "balance/view.rs | const A: &str = r#\"a \" crate::proxy\"#; fn f<'a>(x: &'a str) {}",
        "balance/view.rs | #[cfg(test)]\nmod tests { fn f() { std::thread::scope(|s| {}); } }",
        "cli/mod.rs | use crate::{app, proxy};",
        "main.rs | use pointsman::{app, cli};",
    ] {
        let (file, code) = case.split_once(" | ").unwrap();
        let found = complaints(file, &format!("//! X.\n{code}"));
        assert_eq!(found, [""; 0], "{code}");
    }
}

#[test]
fn a_file_too_long_without_a_first_sentence_or_out_of_place_is_caught() {
    let long = "fn f() {}\n".repeat(MAX_LINES);
    let padding = "\n// a comment\n#[cfg(test)]\nmod tests {\n fn f() {}\n}\n";
    let just = format!("//! X.\n{long}{padding}");
    let over = format!("{just}fn g() {{}}");
    assert_eq!(complaints("model/name.rs", &just), [""; 0]);
    assert_eq!(complaints("model/name.rs", &over).len(), 1);
    assert_eq!(complaints("model/name.rs", "use std::fmt;").len(), 1);
    assert_eq!(complaints("utilities.rs", "//! X.").len(), 1);
}
