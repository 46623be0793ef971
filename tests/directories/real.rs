//! Real servers: whether they are installed, and what becomes of a test when they are not.

#![allow(clippy::print_stderr)]

use std::{env, path::Path};

/// Whether every one of these `programs` is installed. If not, the test has nothing to test
/// against: it says so in one line and passes, or fails where `REQUIRE_REAL=1`.
pub(crate) fn installed(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|name| !exists(name)).collect();
    if missing.is_empty() {
        return true;
    }
    let required = env::var("REQUIRE_REAL").is_ok_and(|value| value == "1");
    assert!(!required, "not installed: {missing:?}");
    eprintln!("skipped, not installed: {missing:?}");
    false
}

/// Servers are often where only root looks for programs.
fn exists(program: &str) -> bool {
    let path = env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/sbin"]);
    folders
        .map(|folder| Path::new(folder).join(program))
        .any(|file| file.is_file())
}

#[test]
fn a_program_is_found_where_it_is_and_only_there() {
    assert!(exists("sh") && installed(&["sh"]));
    assert!(!exists("no-such-program-anywhere"));
}
