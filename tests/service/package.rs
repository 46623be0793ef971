//! The Debian package, installed, upgraded and removed; and what else is shipped for operators.

use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
};

/// Whether `why` keeps us from going on; where everything has to be there, that is a failure.
fn cannot(missing: bool, why: &str) -> bool {
    let required = env::var_os("REQUIRE_REAL").is_some_and(|value| value == "1");
    assert!(!(missing && required), "REQUIRE_REAL is set: {why}");
    if missing {
        eprintln!("skipped: {why}");
    }
    missing
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

fn package(arguments: &[&str]) -> Output {
    let mut script = Command::new("integration/package");
    script.args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_package_installs_upgrades_and_goes_and_keeps_what_it_should() {
    let root = rustix::process::geteuid().is_root();
    if cannot(!is_there("dpkg-deb"), "there is no dpkg")
        || cannot(!is_there("cargo-deb"), "there is no cargo-deb")
        || cannot(!root, "only root can install a package")
        || cannot(
            !copies(),
            "this system cannot be copied for a moment (overlay)",
        )
    {
        return;
    }
    let built = package(&["build", env!("CARGO_BIN_EXE_pointsman")]);
    assert!(built.status.success(), "{}", text(&built.stderr));
    let path = text(&built.stdout).lines().last().unwrap();
    let tried = package(&["try", path]);
    let said = text(&tried.stdout);
    assert!(tried.status.success(), "{said}{}", text(&tried.stderr));
    let held = said.lines().filter(|line| line.starts_with("ok: ")).count();
    assert!(
        held >= 20 && said.ends_with("== all of it holds\n"),
        "{said}"
    );
    assert!(
        !Path::new("/etc/pointsman/all.toml").exists(),
        "it was no copy"
    );
}

/// Whether we may mount what takes the changes.
fn copies() -> bool {
    let script = "mount -t tmpfs tmpfs /mnt && mkdir /mnt/u /mnt/w /mnt/r && \
        mount -t overlay -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w overlay /mnt/r";
    let mut unshare = Command::new("unshare");
    let output = unshare.args(["--mount", "sh", "-c", script]).output();
    output.is_ok_and(|output| output.status.success())
}

/// The name of a network interface that there is; the loopback one is not taken.
fn interface() -> Option<String> {
    let found = fs::read_dir("/sys/class/net").ok()?;
    let mut names = found.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.find(|name| name != "lo")
}

/// What keepalived says of a file of ours, with an interface and a user that this machine has.
fn checked(name: &str, interface: &str, change: impl Fn(&str) -> String) -> Output {
    let read = fs::read_to_string(Path::new("config/keepalived").join(name)).unwrap();
    let here = read
        .replace("script_user pointsman", "script_user root")
        .replace("/usr/bin/pointsman", "/bin/true")
        .replace("interface eth0", &format!("interface {interface}"));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("keepalived-{name}"));
    fs::write(&path, change(&here)).unwrap();
    let mut keepalived = Command::new("/usr/sbin/keepalived");
    keepalived.arg("-t").arg("-f").arg(&path).output().unwrap()
}

#[test]
fn keepalived_finds_nothing_wrong_with_the_two_nodes() {
    let there = Path::new("/usr/sbin/keepalived").exists();
    let interface = interface().unwrap_or_default();
    if cannot(!there, "there is no keepalived")
        || cannot(interface.is_empty(), "there is no network interface but lo")
    {
        return;
    }
    for name in ["a.conf", "b.conf"] {
        let output = checked(name, &interface, str::to_owned);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    }
    let wrong = |text: &str| text.replace("192.0.2.10/24", "192.0.2.1000/24");
    let output = checked("a.conf", &interface, wrong);
    assert!(!output.status.success(), "it notices nothing");
}

#[test]
fn the_two_nodes_of_keepalived_differ_in_what_they_must() {
    let read = |name: &str| {
        let text = fs::read_to_string(Path::new("config/keepalived").join(name)).unwrap();
        let lines = text.lines().map(|line| line.trim().to_owned());
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.collect::<Vec<_>>()
    };
    let (a, b) = (read("a.conf"), read("b.conf"));
    assert_eq!(a.len(), b.len());
    let differ: Vec<_> = a.iter().zip(&b).filter(|(a, b)| a != b).collect();
    let words = |line: &str| line.split(' ').next().unwrap().to_owned();
    let what: Vec<_> = differ.iter().map(|(a, _)| words(a)).collect();
    assert_eq!(
        what,
        ["router_id", "priority", "unicast_src_ip", "192.0.2.12"]
    );
}
