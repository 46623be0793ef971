//! The new process's part: says how far it is, and takes what the old one hands over.
//! It must not open the journal before the old one has let go of it.

use std::{
    env,
    io::{self, stdin},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use super::{FromNew, FromOld, Inherited, PROTOCOL, SIGN, Socket, channel::Channel};
use crate::control::{record::Entry, succession::Key};

/// How long the old process may take with what it does in between.
const PATIENCE: Duration = Duration::from_secs(60);

/// The process that we take over from.
#[derive(Debug)]
pub(crate) struct Predecessor(Channel);

/// What it hands over.
#[derive(Debug)]
pub(in crate::app) struct Estate {
    pub(in crate::app) listeners: Vec<(Key, OwnedFd)>,
    pub(in crate::app) doors: Inherited,
    pub(in crate::app) past: Past,
}

/// What there was before us.
#[derive(Debug)]
pub(in crate::app) struct Past {
    /// What is to be recorded of the upgrade.
    pub(in crate::app) entry: Entry,
    pub(in crate::app) process: u32,
    pub(in crate::app) version: String,
}

impl Predecessor {
    /// The process that started this one in order to be taken over from, if one did.
    ///
    /// # Errors
    /// When it cannot be spoken to.
    pub(crate) fn of_this_process() -> Option<io::Result<Self>> {
        env::var_os(SIGN).map(|_| Self::on_standard_input())
    }

    fn on_standard_input() -> io::Result<Self> {
        let channel = Channel::on(stdin().as_fd().try_clone_to_owned()?)?;
        // Programs that probes run are not to have it.
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        Ok(Self(channel))
    }

    /// Says why we cannot take over.
    pub(crate) fn refuse(&self, message: &str) {
        let message = message.to_owned();
        // Where nobody hears it, our end says the same.
        let _ = self.0.send(&FromNew::Refused { message }, None);
    }

    /// Says that the configuration passes, and waits for what is handed over.
    pub(in crate::app) fn checked(&self) -> io::Result<Estate> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let protocol = PROTOCOL;
        self.say(&FromNew::Checked { protocol, version })?;
        let (mut listeners, mut doors) = (Vec::new(), Vec::new());
        loop {
            match self.hear()? {
                (FromOld::Socket { socket }, Some(fd)) => match socket {
                    Socket::Service { key } => listeners.push((key, fd)),
                    Socket::Admin { .. } | Socket::Http { .. } | Socket::Metrics { .. } => {
                        doors.push((socket, fd))
                    }
                },
                (
                    FromOld::TakeOver {
                        entry,
                        process,
                        version,
                    },
                    _,
                ) => {
                    break_if("crash");
                    break_if("hang");
                    return Ok(Estate {
                        listeners,
                        doors: Inherited::new(doors),
                        past: Past {
                            entry: *entry,
                            process,
                            version,
                        },
                    });
                }
                (other, _) => return Err(unexpected(&other)),
            }
        }
    }

    /// Says that all is open, and waits for the word to accept.
    pub(in crate::app) fn ready(&self) -> io::Result<()> {
        break_if("crash-late");
        self.say(&FromNew::Ready {})?;
        match self.hear()? {
            (FromOld::Go {}, _) => Ok(()),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Says that we accept. From here on we are on our own.
    pub(in crate::app) fn serving(&self) {
        #[cfg(debug_assertions)]
        orphan_if_asked();
        // The old process speaks for the service until it has said this, or is gone. Where it
        // cannot hear us it is gone: otherwise it would have ended us.
        let _ = self.say(&FromNew::Serving {}).and_then(|()| self.hear());
    }

    fn say(&self, message: &FromNew) -> io::Result<()> {
        self.0.send(message, None)
    }

    fn hear(&self) -> io::Result<(FromOld, Option<OwnedFd>)> {
        let heard = self.0.receive(PATIENCE)?;
        heard.ok_or_else(|| io::Error::other("the process to take over from is gone"))
    }
}

fn unexpected(message: &FromOld) -> io::Error {
    io::Error::other(format!(
        "the process to take over from said {message:?} out of turn"
    ))
}

/// The fault switch of debug builds.
#[cfg(debug_assertions)]
#[expect(
    clippy::disallowed_methods,
    reason = "that it blocks is what it is for"
)]
fn break_if(step: &str) {
    if env::var("POINTSMAN_FAULT").is_ok_and(|switch| switch == format!("upgrade:{step}")) {
        if step == "hang" {
            std::thread::sleep(Duration::from_secs(600));
        }
        std::process::abort();
    }
}

/// The same for one that kills the old process at the last moment, and waits until it is gone.
#[cfg(debug_assertions)]
#[expect(
    clippy::disallowed_methods,
    reason = "that it blocks is what it is for"
)]
fn orphan_if_asked() {
    use rustix::process::{Signal, getppid, kill_process};
    let asked = env::var("POINTSMAN_FAULT").is_ok_and(|switch| switch == "upgrade:orphan");
    if let Some(old) = getppid().filter(|_| asked) {
        let _ = kill_process(old, Signal::KILL);
        while getppid() == Some(old) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(not(debug_assertions))]
const fn break_if(_: &str) {}
