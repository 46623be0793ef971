//! The old process's part: starts the new one, hands over to it, and goes on where that fails.
//! It must not give up anything before the other one serves.

use std::{
    env,
    ffi::OsString,
    io,
    os::fd::AsFd,
    process::{Child, Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{ACCEPT, CHECK, FromNew, FromOld, OPEN, PROTOCOL, SIGN, Socket, channel::Channel};
use crate::{
    app::{
        bus::Bus, bus_door::BusDoor, doors::Doors, metrics::Metrics, notify::Notify,
        settings::Living,
    },
    control::{
        outside::Later,
        succession::{Legacy, Succession, Successor},
    },
    model::error::{Code, CommandError},
};

/// What belongs to the process that was started, and not to one that it starts.
const OWN: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// What is stopped for another process, and started again where that fails.
pub(in crate::app) struct Parts {
    pub(in crate::app) doors: Doors,
    pub(in crate::app) metrics: Metrics,
    pub(in crate::app) bus: Bus,
    pub(in crate::app) bus_door: BusDoor,
    pub(in crate::app) living: Living,
    pub(in crate::app) notify: Notify,
    /// Cancelled when another process serves.
    pub(in crate::app) succeeded: CancellationToken,
}

/// Starts the program that is installed now. Cheap to clone.
#[derive(Clone, Default)]
pub(in crate::app) struct Upgrader {
    parts: Arc<OnceLock<Parts>>,
    under_way: Arc<AtomicBool>,
}

impl std::fmt::Debug for Upgrader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upgrader").finish_non_exhaustive()
    }
}

impl Upgrader {
    /// From now on there is something to upgrade.
    pub(in crate::app) fn is_up(&self, parts: Parts) {
        // There is one node in a process.
        let _ = self.parts.set(parts);
    }

    async fn start(&self, rehearsal: bool) -> Result<Box<dyn Successor>, CommandError> {
        if std::process::id() == 1 {
            let message = "this is process 1, with whose end a container ends; start another one";
            return Err(CommandError::invalid(message));
        }
        if self.under_way.swap(true, SeqCst) {
            return Err(CommandError::conflict("an upgrade is under way already"));
        }
        let upgrader = self.clone();
        let started = tokio::task::spawn_blocking(move || Heir::start(upgrader)).await;
        let mut heir = started.map_err(|error| failed(&error))??;
        if !rehearsal && let Some(parts) = self.parts.get() {
            heir.paused = true;
            // Two must not send the same events, nor answer the same questions.
            parts.bus_door.close();
            parts.bus.end().await;
        }
        Ok(Box::new(heir))
    }
}

impl Succession for Upgrader {
    fn begin(&self, rehearsal: bool) -> Later<'_, Result<Box<dyn Successor>, CommandError>> {
        Box::pin(self.start(rehearsal))
    }
}

/// The new process. Dropped, it is ended.
#[derive(Debug)]
struct Heir {
    upgrader: Upgrader,
    /// Nothing once it is on its own.
    child: Option<Child>,
    channel: Channel,
    version: String,
    /// Something was stopped for it.
    paused: bool,
}

fn failed(error: &dyn std::fmt::Display) -> CommandError {
    CommandError::new(Code::Failed, error.to_string())
}

impl Heir {
    /// Starts it, and waits until it has looked at its configuration.
    fn start(upgrader: Upgrader) -> Result<Self, CommandError> {
        let under_way = Arc::clone(&upgrader.under_way);
        let free = |error: CommandError| {
            under_way.store(false, SeqCst);
            error
        };
        let (channel, theirs) = Channel::pair().map_err(|error| free(failed(&error)))?;
        let child = spawn(theirs.into()).map_err(free)?;
        let mut heir = Self {
            upgrader,
            child: Some(child),
            channel,
            version: String::new(),
            paused: false,
        };
        let FromNew::Checked { protocol, version } = heir.hear(CHECK)? else {
            return Err(heir.out_of_turn());
        };
        if protocol != PROTOCOL {
            let message = format!(
                "version {version} hands over by protocol {protocol}, and this one by \
                 {PROTOCOL}: restart instead"
            );
            return Err(CommandError::invalid(message));
        }
        heir.version = version;
        Ok(heir)
    }

    fn hand_over(&mut self, legacy: Legacy) -> Result<(), CommandError> {
        let upgrader = self.upgrader.clone();
        let Some(parts) = upgrader.parts.get() else {
            return Err(CommandError::new(
                Code::Unavailable,
                "the node is still starting",
            ));
        };
        let Legacy { listeners, entry } = legacy;
        let services = listeners
            .into_iter()
            .map(|(key, fd)| (Socket::Service { key }, fd));
        // What is asked from here on is for the other one to answer.
        parts.doors.rest(true);
        parts.metrics.rest(true);
        let doors = parts.doors.sockets().map_err(|error| failed(&error))?;
        let metrics = parts.metrics.socket().map_err(|error| failed(&error))?;
        for (socket, fd) in services.chain(doors).chain(metrics) {
            self.say(&FromOld::Socket { socket }, Some(fd.as_fd()))?;
        }
        let entry = FromOld::TakeOver {
            entry: Box::new(entry),
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.say(&entry, None)?;
        let FromNew::Ready {} = self.hear(OPEN)? else {
            return Err(self.out_of_turn());
        };
        self.say(&FromOld::Go {}, None)?;
        let FromNew::Serving {} = self.hear(ACCEPT)? else {
            return Err(self.out_of_turn());
        };
        let Some(child) = self.child.take() else {
            return Ok(());
        };
        tracing::info!(process = child.id(), version = %self.version, "another process has taken over");
        parts.doors.leave(true);
        parts.notify.give_way_to(child.id());
        parts.succeeded.cancel();
        // It serves, whether or not it hears that.
        let _ = self.channel.send(&FromOld::Over {}, None);
        Ok(())
    }

    fn say(
        &mut self,
        message: &FromOld,
        with: Option<std::os::fd::BorrowedFd<'_>>,
    ) -> Result<(), CommandError> {
        let said = self.channel.send(message, with);
        said.map_err(|error| self.ended(&error.to_string()))
    }

    fn hear(&mut self, within: std::time::Duration) -> Result<FromNew, CommandError> {
        match self.channel.receive(within) {
            Ok(Some((FromNew::Refused { message }, _))) => Err(CommandError::invalid(format!(
                "the new program refuses: {message}"
            ))),
            Ok(Some((message, _))) => Ok(message),
            Ok(None) => Err(self.ended("it ended before it was ready")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(self.ended(&format!("it was not ready within {within:?}")))
            }
            Err(error) => Err(self.ended(&error.to_string())),
        }
    }

    fn out_of_turn(&mut self) -> CommandError {
        self.ended("it said something out of turn")
    }

    /// Ends it, and says why it did not come to anything.
    fn ended(&mut self, why: &str) -> CommandError {
        let status = self.child.take().map(|mut child| {
            // It may be ending by itself: how it did is to be known.
            let status = child.try_wait().ok().flatten();
            if status.is_none() {
                let _ = child.kill();
            }
            (status, child.wait())
        });
        let message = match status {
            Some((Some(status), _)) => format!("the new program failed: {why} ({status})"),
            _ => format!("the new program failed: {why}"),
        };
        CommandError::new(Code::Failed, message)
    }
}

fn spawn(channel: Stdio) -> Result<Child, CommandError> {
    let mut words = env::args_os();
    // As we were called: what is installed there may be another program by now.
    let program: OsString = words.next().unwrap_or_else(|| "pointsman".into());
    let mut command = Command::new(&program);
    command.args(words).stdin(channel).env(SIGN, "1");
    for name in OWN {
        command.env_remove(name);
    }
    command.spawn().map_err(|error| {
        let program = program.display();
        CommandError::new(Code::Failed, format!("cannot start {program}: {error}"))
    })
}

impl Successor for Heir {
    fn about(&self) -> Map<String, Value> {
        let process = self.child.as_ref().map(Child::id);
        let about = [
            ("process", json!(process)),
            ("version", json!(self.version)),
        ];
        about
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect()
    }

    fn take_over(mut self: Box<Self>, legacy: Legacy) -> Result<(), CommandError> {
        let handed_over = self.hand_over(legacy);
        self.paused &= handed_over.is_err();
        handed_over
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(parts) = self.upgrader.parts.get().filter(|_| self.paused) {
            parts.doors.rest(false);
            parts.metrics.rest(false);
            let settings = parts.living.now();
            let bus = parts.bus.prepare(&settings).map_err(|error| failed(&error));
            let door = parts
                .bus_door
                .prepare(&settings)
                .map_err(|error| failed(&error));
            for part in [bus, door] {
                match part {
                    Ok(resume) => resume(),
                    Err(error) => tracing::error!(%error, "the bus is not back"),
                }
            }
        }
        self.upgrader.under_way.store(false, SeqCst);
    }
}
