//! What the program says when it cannot run, and what it exits with: 4 for what the file says,
//! 1 for what the machine refuses.

use std::{
    env, fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::Command,
};

use rustix::process::geteuid;

use super::process::{File, Program, config, listening_on, pointsman};

/// An account without any rights.
const NOBODY: u32 = 65534;

/// Runs until the end; returns exit code and complaint. Nothing is on standard output.
async fn refusal(mut program: Program) -> (i32, String) {
    let code = program.end().await;
    assert_eq!(program.said(), "");
    (code, program.complained())
}

async fn refused(config: &str) -> (i32, String) {
    refusal(Program::run(config)).await
}

async fn refused_path(path: &str) -> (i32, String) {
    refusal(Program::start(pointsman(&["run", path]))).await
}

fn last_line(complaint: &str) -> &str {
    complaint.lines().last().unwrap()
}

#[tokio::test]
async fn a_file_that_is_not_there() {
    let answer = refused_path("/nowhere/web.toml").await;
    let sentence = "pointsman: cannot read /nowhere/web.toml: there is no such file\n";
    assert_eq!(answer, (4, sentence.to_owned()));
}

#[tokio::test]
async fn a_directory_instead_of_a_file() {
    let (code, complaint) = refused_path(env!("CARGO_TARGET_TMPDIR")).await;
    assert_eq!(code, 4);
    assert!(complaint.ends_with(": is a directory\n"), "{complaint}");
}

#[tokio::test]
async fn a_key_that_there_is_not() {
    let text = config("", &[]).replace("listen", "lissten");
    let (code, complaint) = refused(&text).await;
    assert_eq!(code, 4);
    assert!(complaint.contains(".toml:5: "), "{complaint}");
    assert!(complaint.contains("lissten"), "{complaint}");
    assert!(!complaint.contains("starting"), "{complaint}");
}

#[tokio::test]
async fn several_problems_are_told_at_once() {
    let text = listening_on("nowhere", "threads = 0\ncolour = \"red\"", &[]);
    let (code, complaint) = refused(&text).await;
    assert_eq!(code, 4);
    assert_eq!(last_line(&complaint), "3 problems");
    assert_eq!(complaint.lines().count(), 4);
    for line in complaint.lines().take(3) {
        let (_, rest) = line.split_once(".toml:").unwrap();
        let (number, _) = rest.split_once(": ").unwrap();
        assert!(
            number.parse::<usize>().is_ok() && line.starts_with('/'),
            "{line}"
        );
    }
    for expected in ["threads", "colour", "\"nowhere\""] {
        assert!(complaint.contains(expected), "{complaint}");
    }
}

#[tokio::test]
async fn a_host_name_where_only_an_address_can_be() {
    let text = listening_on("localhost:8080", "", &["127.0.0.1:7001".parse().unwrap()]);
    let (code, complaint) = refused(&text).await;
    assert_eq!(code, 4);
    assert!(
        complaint.contains("\"localhost:8080\" is not"),
        "{complaint}"
    );
}

#[tokio::test]
async fn nothing_to_balance() {
    let (code, complaint) = refused("").await;
    assert_eq!(code, 4);
    assert!(complaint.contains("no [[service]]"), "{complaint}");
}

#[tokio::test]
async fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, complaint) = refused(&listening_on(&address, "", &[])).await;
    assert_eq!(code, 1);
    let expected = format!("pointsman: service web cannot listen on {address}: address in use");
    assert!(last_line(&complaint).starts_with(&expected), "{complaint}");
}

#[tokio::test]
async fn certificates_for_a_probe_that_cannot_be_read() {
    let probe = "name = \"blue\"\nprobe = { kind = \"tls\", ca = \"ours\" }\n";
    let text = config("", &["127.0.0.1:7001".parse().unwrap()]);
    let text = text.replacen("name = \"blue\"\n", probe, 1);
    let text = format!("{text}[certificates.ours]\ncert_file = \"/nowhere/ours.pem\"\n");
    let (code, complaint) = refused(&text).await;
    assert_eq!(code, 1, "{complaint}");
    let expected = "pointsman: the hosts of web/blue cannot be probed: \
                    the certificates that it trusts cannot be used: /nowhere/ours.pem: ";
    assert!(last_line(&complaint).starts_with(expected), "{complaint}");
}

#[tokio::test]
async fn an_address_that_is_not_ours() {
    let (code, complaint) = refused(&listening_on("192.0.2.1:0", "", &[])).await;
    assert_eq!(code, 1);
    let expected = "pointsman: service web cannot listen on 192.0.2.1:0: address not available";
    assert!(last_line(&complaint).starts_with(expected), "{complaint}");
}

#[tokio::test]
async fn a_file_that_may_not_be_read_and_a_port_that_may_not_be_bound() {
    let free = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if !geteuid().is_root() || free.trim().parse::<u16>().unwrap() <= 80 {
        eprintln!("skipped: needs root, to be without rights, and rights that port 80 needs");
        return;
    }
    let program = Public::copy(env!("CARGO_BIN_EXE_pointsman"), 0o755);
    let text = File::with(&listening_on("127.0.0.1:80", "", &[]));
    let readable = Public::copy(text.path(), 0o644);
    let secret = Public::copy(text.path(), 0o600);
    let as_nobody = |file: &Public| {
        let mut command = Command::new(&program.0);
        command.arg("run").arg(&file.0).uid(NOBODY);
        command.env("STATE_DIRECTORY", file.0.with_extension("state"));
        Program::start(command)
    };

    let (code, complaint) = refusal(as_nobody(&readable)).await;
    assert_eq!(code, 1);
    let expected = "pointsman: service web cannot listen on 127.0.0.1:80: permission denied";
    assert!(last_line(&complaint).starts_with(expected), "{complaint}");

    let (code, complaint) = refusal(as_nobody(&secret)).await;
    assert_eq!(code, 4);
    assert!(complaint.contains("cannot read"), "{complaint}");
    assert!(complaint.ends_with(": permission denied\n"), "{complaint}");
}

/// A copy where other accounts find it; gone when dropped.
struct Public(PathBuf);

impl Public {
    fn copy(from: &str, mode: u32) -> Self {
        let name = PathBuf::from(from);
        let name = name.file_name().unwrap().to_str().unwrap();
        let name = format!("{}-{mode:o}-{name}", std::process::id());
        let to = env::temp_dir().join(name);
        fs::copy(from, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
        Self(to)
    }
}

impl Drop for Public {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
