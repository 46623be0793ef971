//! The message bus of the node: connected as the settings have it, and replaced when they change.
//! It must not wait for a broker, nor keep anything else from starting or stopping.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::settings::Commit;
use crate::{
    config::{self, SecretError, Settings},
    control::{
        Control,
        outside::{self, BusStatus},
    },
    events::{Status, bus::BusSink, heartbeat, outbox},
    stomp::{Client, Link, Options, Trust},
};

/// Under which key the journal keeps how far events were sent.
const SENT: &str = "events/bus";
/// How long events may take to be sent when the connection is replaced or the node stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why the bus cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("[bus] passcode: {0}")]
pub struct BusError(#[from] SecretError);

/// Where the bus shows how it is.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<Option<Shown>>);

/// What shows how a connection is, and how the sending of events over it.
#[derive(Debug)]
struct Shown {
    link: watch::Receiver<Link>,
    sending: watch::Receiver<Status>,
}

impl Board {
    fn show(&self, shown: Option<Shown>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }
}

impl outside::Bus for Board {
    fn status(&self, newest: u64) -> Option<BusStatus> {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Shown { link, sending } = shown.as_ref()?;
        let sending = sending.borrow().clone();
        let (broker, why) = match &*link.borrow() {
            Link::Up { broker, .. } => (Some(broker.to_string()), None),
            Link::Down(why) => (None, why.clone()),
        };
        Some(BusStatus {
            connected: broker.is_some(),
            broker,
            sent: sending.sent,
            // Not as the outbox counts it: without a connection it does not look.
            waiting: newest.saturating_sub(sending.last_sent),
            lost: sending.lost,
            trouble: why.or(sending.trouble),
        })
    }
}

/// The bus of a node. Cheap to clone.
#[derive(Clone)]
pub(super) struct Bus {
    control: Control,
    runtime: Handle,
    running: Arc<Mutex<Option<Running>>>,
    board: Arc<Board>,
}

/// A connection, and what goes over it.
struct Running {
    settings: config::Bus,
    stop: CancellationToken,
    carrying: JoinHandle<()>,
}

impl Bus {
    /// Nothing is connected yet. How it is will stand on `board`.
    pub(super) fn new(control: Control, runtime: Handle, board: Arc<Board>) -> Self {
        Self {
            control,
            runtime,
            running: Arc::default(),
            board,
        }
    }

    /// Fetches what `settings` need. Run, what it gives connects as they want; a connection that
    /// they do not want ends first.
    ///
    /// # Errors
    /// When the password is not to be had.
    pub(super) fn prepare(&self, settings: &Settings) -> Result<Commit, BusError> {
        let now = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if now.as_ref().map(|running| &running.settings) == settings.bus.as_ref() {
            return Ok(Box::new(|| {}));
        }
        drop(now);
        let wanted = match &settings.bus {
            Some(settings) => Some((settings.clone(), options(settings)?)),
            None => None,
        };
        let bus = self.clone();
        Ok(Box::new(move || bus.replace(wanted)))
    }

    fn replace(&self, wanted: Option<(config::Bus, Options)>) {
        let before = self.take();
        if let Some(before) = &before {
            before.stop.cancel();
        }
        let Some((settings, options)) = wanted else {
            self.board.show(None);
            return;
        };
        let stop = CancellationToken::new();
        let (control, until) = (self.control.clone(), stop.clone());
        let (prefix, board) = (settings.prefix.to_string(), Arc::clone(&self.board));
        let carrying = self.runtime.spawn(async move {
            if let Some(before) = before {
                before.end().await;
            }
            carry(options, control, prefix, &board, until).await;
        });
        let running = Running {
            settings,
            stop,
            carrying,
        };
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }

    fn take(&self) -> Option<Running> {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Ends the connection, after what waits to be sent if that goes quickly.
    pub(super) async fn end(&self) {
        if let Some(running) = self.take() {
            running.stop.cancel();
            running.end().await;
        }
    }
}

impl Running {
    async fn end(self) {
        let mut carrying = self.carrying;
        if tokio::time::timeout(FAREWELL, &mut carrying).await.is_err() {
            carrying.abort();
        }
    }
}

/// Connects, and sends what there is until `stop`.
async fn carry(
    options: Options,
    control: Control,
    prefix: String,
    board: &Board,
    stop: CancellationToken,
) {
    let client = Client::open(options);
    let (status, sending) = watch::channel(Status::default());
    let link = client.link();
    board.show(Some(Shown { link, sending }));
    let sink = BusSink::new(client.clone(), control.clone(), prefix.clone());
    let beside = async {
        tokio::join!(
            report(client.link(), stop.clone()),
            heartbeat::run(client.clone(), control.clone(), prefix, stop.clone()),
        )
    };
    let sending = outbox::run(sink, control.clone(), SENT, status, stop.clone());
    tokio::join!(sending, beside);
    client.close().await;
}

/// Logs how the connection is.
async fn report(mut link: watch::Receiver<Link>, stop: CancellationToken) {
    loop {
        match &*link.borrow_and_update() {
            Link::Up { broker, .. } => tracing::info!(%broker, "connected to the bus"),
            Link::Down(Some(why)) => tracing::warn!(why, "not connected to the bus"),
            Link::Down(None) => {}
        }
        match stop.run_until_cancelled(link.changed()).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => return,
        }
    }
}

/// How `settings` have it connect.
pub(super) fn options(settings: &config::Bus) -> Result<Options, SecretError> {
    let passcode = settings.passcode.as_ref();
    if passcode.is_some_and(config::Secret::is_plain) {
        tracing::warn!("[bus] passcode stands in the file; better in a file of its own");
    }
    Ok(Options {
        login: settings.login.clone(),
        passcode: passcode.map(config::Secret::fetch).transpose()?,
        trust: Trust {
            ca_file: settings.ca_file.clone(),
            identity: settings.cert_file.clone().zip(settings.key_file.clone()),
        },
        heart_beat: settings.heart_beat.duration(),
        ..Options::new(settings.brokers.clone())
    })
}
