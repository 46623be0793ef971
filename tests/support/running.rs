//! `pointsman run` as a process in a directory of its own, which outlives it.
//! It must not outlive its test.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use super::admin::Admin;

/// A directory of a test's own; gone when dropped.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new() -> Self {
        Self::under(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    pub fn under(parent: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("n{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = parent.join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A node, running or not.
pub struct Node {
    pub file: PathBuf,
    pub state: PathBuf,
    pub log: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// With `config` in `dir`; its `state_dir` is to be `state` there. Not running yet.
    pub fn new(dir: &Path, config: &str) -> Self {
        let file = dir.join("pointsman.toml");
        fs::write(&file, config).unwrap();
        Self {
            file,
            state: dir.join("state"),
            log: dir.join("log"),
            child: None,
        }
    }

    /// What starts it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.arg("run").arg(&self.file);
        command.current_dir(self.file.parent().unwrap());
        command
    }

    /// Starts it; `fault` is the switch.
    pub fn start(&mut self, fault: Option<&str>) {
        let mut command = self.command();
        command.envs(fault.map(|fault| ("POINTSMAN_FAULT", fault)));
        self.start_as(command);
    }

    pub fn start_as(&mut self, mut command: Command) {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        command.env("RUST_LOG", "pointsman=warn");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.stderr(log.unwrap()).spawn().unwrap());
    }

    /// A client, once there can be one.
    pub async fn ready(&mut self) -> Admin {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Ok(admin) = Admin::connect(&self.state.join("admin.sock")).await {
                return admin;
            }
            if let Some(status) = self.ended() {
                panic!("ended with {status} instead of starting: {}", self.said());
            }
            assert!(Instant::now() < deadline, "never started: {}", self.said());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        child.try_wait().unwrap()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// SIGKILL, and nothing is left of it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// What it wrote to standard error in all its lives.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if !std::thread::panicking() {
            assert!(!self.said().contains("panicked"), "{}", self.said());
        }
    }
}
