//! The probe that runs a program of the settings, and passes when it exits with 0.
//! It must not leave a process behind, whatever becomes of the probe.

use std::{
    future::Future,
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    pin::Pin,
    process::{ExitStatus, Stdio},
    sync::Arc,
};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::unix::pipe,
    process::{Child, Command},
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{Asked, Outcome, Probe, Program, Target, means::MAX_PROGRAMS};
use crate::model::{address::Endpoint, name::Name};

/// The most that a program may write, in bytes; then it is killed.
const MAX_OUTPUT: usize = 64 * 1024;
/// How much of it is kept, in bytes.
const KEPT: usize = 1024;
/// Where a program finds others: the environment of the daemon is not passed on.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Runs a program.
#[derive(Debug)]
pub(super) struct Exec {
    pub(super) name: Name,
    pub(super) program: Program,
    pub(super) places: Arc<Semaphore>,
}

impl Probe for Exec {
    fn ask<'a>(
        &'a self,
        target: &'a Target,
        address: &'a Asked,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            let Ok(Ok(_place)) = timeout_at(deadline, self.places.acquire()).await else {
                let message = format!("{MAX_PROGRAMS} other programs were running all the time");
                return Outcome::not_asked(message);
            };
            let deadline = deadline.min(Instant::now() + self.program.timeout);
            let name = &self.name;
            let mut running = match self.start(target, address) {
                Ok(running) => running,
                Err(error) => {
                    let file = self.program.file.display();
                    return Outcome::not_asked(format!("{name} cannot be run: {file}: {error}"));
                }
            };
            match timeout_at(deadline, running.end()).await {
                Ok(Ok(End::Exited(status))) => self.judge(status, &running.output),
                Ok(Ok(End::Floods)) => {
                    Outcome::failed(format!("{name} wrote more than {MAX_OUTPUT} bytes"))
                }
                Ok(Err(error)) => Outcome::not_asked(format!("{name} was lost: {error}")),
                Err(_) => Outcome::failed(format!("{name} did not end in time and was killed")),
            }
        })
    }
}

impl Exec {
    fn start(&self, target: &Target, address: &Asked) -> io::Result<Running> {
        let (reader, writer) = io::pipe()?;
        let output = pipe::Receiver::from_owned_fd(reader.into())?;
        let host = &target.host;
        let (place, port) = match address.at() {
            Endpoint::Ip(address) => (address.ip().to_string(), address.port().to_string()),
            Endpoint::Unix(path) => (path.to_string(), String::new()),
        };
        let mut command = Command::new(&self.program.file);
        command
            .args(&self.program.arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("POINTSMAN_SERVICE", host.service.as_str())
            .env("POINTSMAN_GROUP", host.group.as_str())
            .env("POINTSMAN_HOST", host.host.as_str())
            .env("POINTSMAN_ADDRESS", place)
            .env("POINTSMAN_PORT", port)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn()?;
        // What the command still holds of the pipe.
        drop(command);
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.ok_or(io::ErrorKind::NotFound)?;
        Ok(Running {
            pid,
            child,
            exited: watch(pid),
            pipe: output,
            output: Vec::new(),
        })
    }

    fn judge(&self, status: ExitStatus, output: &[u8]) -> Outcome {
        let name = &self.name;
        let output = String::from_utf8_lossy(output);
        let said = match output.lines().map(str::trim).find(|line| !line.is_empty()) {
            Some(line) => format!(": {line}"),
            None => String::new(),
        };
        match (status.code(), status.signal()) {
            (Some(0), _) => Outcome::passed(format!("{name} exited with 0{said}")),
            (Some(code), _) => Outcome::failed(format!("{name} exited with {code}{said}")),
            (None, signal) => {
                let signal = signal.unwrap_or_default();
                Outcome::failed(format!("{name} was ended by signal {signal}{said}"))
            }
        }
    }
}

/// What can be read once the process has exited, and before it is waited for.
#[expect(
    deprecated,
    reason = "what replaces it is unsafe, for types that do not own what they name; this one does"
)]
fn watch(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

/// How a program ended.
enum End {
    Exited(ExitStatus),
    /// It wrote without end, and did not.
    Floods,
}

/// A program that runs. Dropped, it is killed with all that it started in its process group.
struct Running {
    /// The program's, and its group's.
    pid: Pid,
    child: Child,
    /// Tells that it has exited, and leaves its number taken.
    exited: io::Result<AsyncFd<OwnedFd>>,
    pipe: pipe::Receiver,
    /// The first of what it wrote.
    output: Vec<u8>,
}

impl Running {
    async fn end(&mut self) -> io::Result<End> {
        let mut written = 0;
        let mut open = true;
        loop {
            let exited = self.exited.as_ref().map_err(|error| error.kind())?;
            tokio::select! {
                biased;
                ready = self.pipe.readable(), if open => {
                    ready?;
                    let more = self.read()?;
                    open = more != Some(0);
                    written += more.unwrap_or_default();
                    if written > MAX_OUTPUT {
                        return Ok(End::Floods);
                    }
                }
                ready = exited.readable() => {
                    drop(ready?);
                    // Its children go first, while its number cannot be another's.
                    self.kill();
                    while self.read()?.is_some_and(|read| read > 0) {}
                    return self.child.wait().await.map(End::Exited);
                }
            }
        }
    }

    /// How much was read; `None` if there was nothing yet.
    fn read(&mut self) -> io::Result<Option<usize>> {
        let mut buffer = [0; 4096];
        match self.pipe.try_read(&mut buffer) {
            Ok(read) => {
                let room = KEPT.saturating_sub(self.output.len()).min(read);
                self.output
                    .extend_from_slice(buffer.get(..room).unwrap_or_default());
                Ok(Some(read))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Kills the program and all of its group. Not after it was waited for: its number may be
    /// another's then.
    fn kill(&self) {
        if self.child.id().is_some() {
            // It fails only when there is nothing left to kill.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
