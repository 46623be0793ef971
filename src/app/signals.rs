//! The signals that ask for an end, or for the file to be taken in again.
//! It must not end anything itself.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::notify::Notify;
use crate::{
    control::Control,
    model::{
        command::Command,
        principal::{Door, Principal},
    },
};

/// What this process heeds from now on.
#[derive(Debug)]
pub(super) struct Signals {
    reload: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// Reloads at each SIGHUP, and tells so, until a signal asks for an end.
    pub(super) async fn until_the_end(&mut self, control: Option<&Control>, notify: &Notify) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.reload.recv() => {
                    notify.reloading();
                    if let Some(control) = control {
                        reload(control).await;
                    }
                    notify.ready();
                }
            }
        }
    }

    /// The number of the next one that asks for an end.
    pub(super) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
        }
    }
}

/// Takes in the file as it is now.
async fn reload(control: &Control) {
    let who = Principal::part("file", Door::File);
    let answer = control
        .execute(who, Command::Reload {}.into(), "SIGHUP".to_owned())
        .await;
    match answer.error {
        None => {
            let (revision, diff) = (answer.revision, &answer.diff);
            let named = |key: &str| answer.data.get(key).map(ToString::to_string);
            let (settings, restart) = (named("settings"), named("restart"));
            tracing::info!(revision, ?diff, settings, restart, "reloaded");
        }
        Some(error) => tracing::error!(%error, "not reloaded"),
    }
}
