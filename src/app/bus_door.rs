//! The bus door of the node: opened as the settings have it, and replaced when they change.
//! It must not wait for a broker, nor judge a message.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    bus,
    people::People,
    settings::{Commit, Living},
};
use crate::{
    auth::clock::Clock,
    config::{self, SecretError, Settings},
    control::Control,
    doors::stomp::{
        self, Keys,
        key_file::{self, KeyFileError},
    },
    model::error::{Code, CommandError},
    stomp::{Client, Options},
};

/// Why the bus door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BusDoorError {
    /// The password for the broker is not to be had.
    #[error("[bus] passcode: {0}")]
    Passcode(#[from] SecretError),
    /// A key of the node is not to be had.
    #[error(transparent)]
    Key(#[from] KeyFileError),
}

/// The bus door. Cheap to clone. It closes when `stop` is cancelled.
#[derive(Clone)]
pub(super) struct BusDoor {
    control: Control,
    people: Arc<People>,
    runtime: Handle,
    stop: CancellationToken,
    open: Arc<Mutex<Option<(config::Bus, CancellationToken)>>>,
}

impl BusDoor {
    /// Opens it as the settings have it, and has it live by them.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub(super) fn open(
        living: &Living,
        control: Control,
        people: Arc<People>,
        runtime: Handle,
        stop: CancellationToken,
    ) -> Result<Self, BusDoorError> {
        let door = Self {
            control,
            people,
            runtime,
            stop,
            open: Arc::default(),
        };
        let open = door.prepare(&living.now())?;
        open();
        let part = door.clone();
        living.join(move |next| {
            let refused = |error: BusDoorError| CommandError::new(Code::Failed, error.to_string());
            part.prepare(next).map_err(refused)
        });
        Ok(door)
    }

    /// Fetches what `settings` need. Run, what it gives opens the door as they want, and closes
    /// the one that was open. Without `[auth]` nobody could log in, and it stays closed.
    ///
    /// # Errors
    /// When the password or a key is not to be had.
    pub(super) fn prepare(&self, settings: &Settings) -> Result<Commit, BusDoorError> {
        let wanted = settings.bus.as_ref().filter(|_| settings.auth.is_some());
        let there = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if there.as_ref().map(|(there, _)| there) == wanted {
            return Ok(Box::new(|| {}));
        }
        drop(there);
        let ready = match wanted {
            Some(wanted) => Some((
                wanted.clone(),
                bus::options(wanted)?,
                keys(&settings.node.state_dir)?,
            )),
            None => None,
        };
        let door = self.clone();
        Ok(Box::new(move || door.replace(ready)))
    }

    /// Closes it until [`Self::prepare`] opens it again.
    pub(super) fn close(&self) {
        self.replace(None);
    }

    fn replace(&self, ready: Option<(config::Bus, Options, Keys)>) {
        let open = ready.map(|(settings, connect, keys)| {
            let stop = self.stop.child_token();
            let options = stomp::Options {
                prefix: settings.prefix.to_string(),
                allowed_senders: settings.allowed_senders.clone(),
                plain_log_in: settings.allow_plain_login
                    && settings.brokers.iter().all(|broker| broker.tls),
            };
            let serving = self.clone().serve(options, connect, keys, stop.clone());
            self.runtime.spawn(serving);
            (settings, stop)
        });
        let mut there = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, old)) = std::mem::replace(&mut *there, open) {
            old.cancel();
        }
    }

    async fn serve(
        self,
        options: stomp::Options,
        connect: Options,
        keys: Keys,
        stop: CancellationToken,
    ) {
        let kept = match self.control.kept(stomp::KEPT.to_owned()).await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::error!(%error, "the bus door stays closed");
                return;
            }
        };
        let people = Arc::clone(&self.people) as Arc<_>;
        let clock = Clock::system();
        let bus = stomp::Bus::new(self.control, people, options, &keys, kept, clock);
        tracing::info!(
            key = bus.public_key(),
            "log-ins over the bus are sealed for this key"
        );
        stomp::serve(Arc::new(bus), Client::open(connect), stop).await;
    }
}

fn keys(state_dir: &Path) -> Result<Keys, KeyFileError> {
    Ok(Keys {
        node: key_file::key(state_dir, key_file::NODE)?,
        logins: key_file::key(state_dir, key_file::LOGINS)?,
    })
}
