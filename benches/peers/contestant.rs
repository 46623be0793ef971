//! Starting a contestant, knowing whether it answers, and ending it.
//! It must not leave a process behind, nor wait without a bound for one that hangs.

use crate::{
    dial,
    disturb::Changes,
    gauge, hosts,
    settings::{self, Stage},
};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// One that takes part; `direct` has no program: the load goes to a host itself.
#[derive(Clone)]
pub(crate) struct Contestant {
    pub(crate) name: String,
    program: Option<PathBuf>,
}

/// One that runs, until it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    child: Option<Child>,
    /// What it is given to do besides.
    changes: Option<Changes>,
}

impl Contestant {
    /// From `NAME=PROGRAM`, or `NAME` for none.
    pub(crate) fn new(text: &str) -> Self {
        let (name, program) = text.split_once('=').unwrap_or((text, ""));
        let program = (!program.is_empty()).then(|| PathBuf::from(program));
        Self {
            name: name.to_owned(),
            program,
        }
    }

    /// The same program, with another name that says what it is told.
    pub(crate) fn variant(&self, ending: &str) -> Self {
        Self {
            name: format!("{}{ending}", self.name),
            program: self.program.clone(),
        }
    }

    /// Whether this is one of those that Pointsman is compared with.
    pub(crate) fn is_peer(&self) -> bool {
        let ours = ["pointsman", "bare"];
        self.program.is_some() && !ours.iter().any(|name| self.name.starts_with(name))
    }

    /// Starts it and waits until it answers, five seconds at most.
    pub(crate) fn start(&self, stage: &Stage) -> Result<Running, String> {
        let Some(program) = &self.program else {
            let address = *stage.hosts.first().ok_or("there is no host")?;
            return Ok(Running {
                address,
                child: None,
                changes: None,
            });
        };
        let port = free_port().ok_or("no port is free")?;
        let log = stage.folder.join(format!("{}.log", self.name));
        let spawned =
            settings::command(&self.name, program, stage, port).and_then(|mut command| {
                let out = File::create(&log)?;
                command
                    .stdin(Stdio::null())
                    .stderr(out.try_clone()?)
                    .stdout(out);
                spawn(&mut command, &stage.folder)
            });
        let child = spawned.map_err(|e| format!("cannot start {}: {e}", program.display()))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut running = Running {
            address,
            child: Some(child),
            changes: None,
        };
        if running.wait_for_answer().map_err(|e| e.to_string())? {
            if self.name.ends_with("-changing") {
                let socket = settings::socket(&self.name, stage, port);
                running.changes = Some(Changes::begin(&self.name, socket));
            }
            return Ok(running);
        }
        let said = fs::read_to_string(&log).unwrap_or_default();
        Err(format!(
            "does not answer; its last words: {}",
            said.lines().last().unwrap_or("none")
        ))
    }
}

/// In a process group of its own, and written down for `run` to end if we cannot.
fn spawn(command: &mut Command, folder: &Path) -> io::Result<Child> {
    let mut started = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("started"))?;
    let child = command.current_dir(folder).process_group(0).spawn()?;
    writeln!(started, "{}", child.id())?;
    Ok(child)
}

/// Below the ports that outgoing connections use.
fn free_port() -> Option<u16> {
    let first = 20_000 + u16::try_from(std::process::id() % 4_000).unwrap_or(0);
    (first..first + 8_000).find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
}

/// Waits; the waiting thread does nothing else.
pub(crate) fn pause(length: Duration) {
    let until = Instant::now() + length;
    while let Some(left) = until
        .checked_duration_since(Instant::now())
        .filter(|l| !l.is_zero())
    {
        std::thread::park_timeout(left);
    }
}

/// Starts `count` hosts; they end when the child's standard input is closed.
pub(crate) fn start_hosts(
    folder: &Path,
    threads: usize,
    count: usize,
) -> io::Result<(Running, Vec<SocketAddr>)> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["hosts", &threads.to_string(), &count.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = spawn(&mut command, folder)?;
    let out = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut addresses = Vec::new();
    for line in BufReader::new(out).lines().take(count) {
        addresses.push(line?.parse().map_err(io::Error::other)?);
    }
    let address = *addresses.first().ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((
        Running {
            address,
            child: Some(child),
            changes: None,
        },
        addresses,
    ))
}

impl Running {
    /// Its processes.
    pub(crate) fn family(&self) -> Vec<u32> {
        self.child
            .as_ref()
            .map(|child| gauge::family(child.id()))
            .unwrap_or_default()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| !matches!(child.try_wait(), Ok(None)))
    }

    fn wait_for_answer(&mut self) -> io::Result<bool> {
        let runtime = hosts::runtime()?;
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && !self.has_ended() {
            if runtime.block_on(dial::answers(self.address)) {
                return Ok(true);
            }
            pause(Duration::from_millis(20));
        }
        Ok(false)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        drop(child.stdin.take());
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group.filter(|_| matches!(child.try_wait(), Ok(None))) {
            // One that has just ended by itself is as good as ended.
            let _ = kill_process(group, Signal::TERM);
            let until = Instant::now() + Duration::from_secs(3);
            while Instant::now() < until && matches!(child.try_wait(), Ok(None)) {
                pause(Duration::from_millis(10));
            }
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.wait();
    }
}
