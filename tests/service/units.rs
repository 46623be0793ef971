//! The units of systemd that we ship, judged by systemd where it is installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The worst exposure (0 to 10) that `systemd-analyze security` may find; see docs/systemd.md.
const WORST: f32 = 1.8;

/// The answer of `systemd-analyze`, unless it is not installed.
fn analyze(arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("systemd-analyze");
    match command.args(arguments).env("SYSTEMD_PAGER", "").output() {
        Ok(output) => Some(output),
        Err(_) if env::var_os("REQUIRE_REAL").is_none() => {
            eprintln!("skipped: there is no systemd-analyze here");
            None
        }
        Err(error) => panic!("systemd-analyze: {error}"),
    }
}

/// A folder with the units, in which the program is the one that was just built, and the user
/// one that there is.
fn units(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for unit in ["pointsman.service", "pointsman.socket"] {
        let text = fs::read_to_string(Path::new("config").join(unit)).unwrap();
        let text = text.replace("/usr/bin/pointsman", env!("CARGO_BIN_EXE_pointsman"));
        fs::write(folder.join(unit), text).unwrap();
    }
    folder
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let folder = units("units-verified");
    let paths = ["pointsman.service", "pointsman.socket"].map(|unit| folder.join(unit));
    let [service, socket] = paths.each_ref().map(|path| path.to_str().unwrap());
    let Some(output) = analyze(&["verify", "--man=no", service, socket]) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let ours = said.lines().filter(|line| line.contains("pointsman"));
    // The one word that systemd before 253 does not know, as the unit says.
    let wrong: Vec<&str> = ours
        .filter(|line| !line.contains("notify-reload"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_service_is_as_confined_as_the_documents_say() {
    let folder = units("units-judged");
    let service = folder.join("pointsman.service");
    let arguments = [
        "security",
        "--offline=true",
        "--no-pager",
        service.to_str().unwrap(),
    ];
    let Some(output) = analyze(&arguments) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let overall = said.lines().find(|line| line.contains("Overall exposure"));
    let overall = overall.unwrap_or_else(|| panic!("{output:?}"));
    let score = overall
        .split(": ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let score: f32 = score.parse().unwrap();
    assert!(score <= WORST, "{overall}\n{said}");
}
