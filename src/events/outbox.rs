//! Brings every event of the journal to a sink, in order, and remembers how far it has come.
//! It must not count an event as sent before the sink has confirmed it and all before it.

use std::{collections::VecDeque, time::Duration};

use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Confirmation, Sink, Status,
    feed::{Feed, Next},
};
use crate::{control::Control, model::event::Event};

/// Events that may be on their way unconfirmed.
const WINDOW: usize = 256;
/// How long what was confirmed may stay unmarked: it would be sent again after a crash.
const UNMARKED: Duration = Duration::from_millis(200);
/// How long to wait after a first failure, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(30)];

/// Why sending stopped for now.
enum Stopped {
    /// All was sent, and no more is wanted.
    Done,
    /// For this reason; it is tried again.
    Failed(String),
}

struct Outbox<S> {
    sink: S,
    control: Control,
    /// The key under which the journal keeps the number of the last event that was sent.
    key: String,
    feed: Feed,
    status: watch::Sender<Status>,
    /// When what was confirmed has to be marked.
    mark_at: Option<Instant>,
}

/// Sends all events of the node behind `control` to `sink`, whose mark the journal keeps under
/// `key`. After `stop` it ends as soon as there is nothing left to send, or nothing can be.
///
/// Where the journal has no mark yet, all that it has is sent.
pub async fn run(
    sink: impl Sink,
    control: Control,
    key: &str,
    status: watch::Sender<Status>,
    stop: CancellationToken,
) {
    let Some(marked) = marked(&control, key, &stop).await else {
        return;
    };
    status.send_modify(|status| status.last_sent = marked.unwrap_or_default());
    let mut feed = Feed::after(control.clone(), marked.unwrap_or_default());
    if marked.is_none()
        && let Ok(oldest) = control.events(0, 1).await
        && let Some(oldest) = oldest.first()
    {
        // What went before there was a sink is not missed.
        feed.go_to(oldest.sequence - 1);
        status.send_modify(|status| status.last_sent = oldest.sequence - 1);
    }
    let mut outbox = Outbox {
        sink,
        key: key.to_owned(),
        feed,
        control,
        status,
        mark_at: None,
    };
    outbox.send_all(&stop).await;
    outbox.mark().await;
}

/// The mark as the journal has it; waits until it can be read. `None` after `stop`.
async fn marked(control: &Control, key: &str, stop: &CancellationToken) -> Option<Option<u64>> {
    loop {
        match control.kept(key.to_owned()).await {
            Ok(kept) => {
                let found = kept.iter().find(|(known, _)| known == key);
                return Some(found.and_then(|(_, value)| value.as_u64()));
            }
            Err(error) => tracing::warn!(%error, "cannot read how far events were sent"),
        }
        let [_, longest] = PAUSES;
        stop.run_until_cancelled(sleep(longest / 30)).await?;
    }
}

impl<S: Sink> Outbox<S> {
    async fn send_all(&mut self, stop: &CancellationToken) {
        let [mut pause, longest] = PAUSES;
        loop {
            if stop.run_until_cancelled(self.sink.ready()).await.is_none() {
                // No more is waited for; what can be sent at once still is.
                let ready = tokio::time::timeout(Duration::ZERO, self.sink.ready()).await;
                if ready.is_err() {
                    return;
                }
            }
            let before = self.status.borrow().sent;
            let why = match self.send_while_it_goes(stop).await {
                Stopped::Done => return,
                Stopped::Failed(why) => why,
            };
            let status = self.status.borrow().clone();
            if status.trouble.as_ref() != Some(&why) {
                tracing::warn!(why, waiting = status.waiting, "events cannot be sent");
            }
            self.status.send_modify(|status| status.trouble = Some(why));
            self.feed.go_to(status.last_sent);
            if status.sent > before {
                [pause, _] = PAUSES;
            }
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return;
            }
            pause = (pause * 2).min(longest);
        }
    }

    async fn send_while_it_goes(&mut self, stop: &CancellationToken) -> Stopped {
        let mut window: VecDeque<(u64, Confirmation)> = VecDeque::new();
        loop {
            self.tell(&window);
            if stop.is_cancelled() && window.is_empty() && self.feed.is_at_the_end() {
                return Stopped::Done;
            }
            let step = tokio::select! {
                biased;
                confirmed = first(&mut window) => confirmed.map(|sequence| {
                    window.pop_front();
                    self.confirmed(sequence);
                }),
                () = wait_until(self.mark_at) => {
                    self.mark().await;
                    Ok(())
                }
                next = self.feed.next(), if window.len() < WINDOW => match next {
                    Ok(Ok(Next::Event(event))) => self.sink.begin(&event).await.map(|confirmation| {
                        window.push_back((event.sequence, confirmation));
                    }),
                    Ok(Ok(Next::Gone(from, to))) => self.lost(from, to, window.is_empty()).await,
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => return Stopped::Done,
                },
                () = stop.cancelled(), if !stop.is_cancelled() => Ok(()),
            };
            if let Err(why) = step {
                return Stopped::Failed(why);
            }
        }
    }

    fn confirmed(&mut self, sequence: u64) {
        if self.status.borrow().trouble.is_some() {
            tracing::info!("events are sent again");
        }
        self.status.send_modify(|status| {
            status.sent += 1;
            status.last_sent = sequence;
            status.trouble = None;
        });
        self.mark_at
            .get_or_insert_with(|| Instant::now() + UNMARKED);
    }

    fn tell(&self, window: &VecDeque<(u64, Confirmation)>) {
        let after = self.feed.after_number(self.status.borrow().last_sent);
        let waiting = after.max(window.len() as u64);
        self.status
            .send_if_modified(|status| std::mem::replace(&mut status.waiting, waiting) != waiting);
    }

    /// Has the journal keep how far all has come. A failure is tried again with the next mark.
    async fn mark(&mut self) {
        if self.mark_at.is_none() {
            return;
        }
        let last = self.status.borrow().last_sent;
        match self
            .control
            .keep(self.key.clone(), Some(Value::from(last)))
            .await
        {
            Ok(()) => self.mark_at = None,
            Err(error) => {
                tracing::debug!(%error, "cannot mark how far events were sent");
                let [_, longest] = PAUSES;
                self.mark_at = Some(Instant::now() + longest / 30);
            }
        }
    }

    /// Says that events are gone that were never sent, and goes on behind them: once those before
    /// are confirmed, so that nothing is counted as sent out of order.
    async fn lost(&mut self, from: u64, to: u64, all_confirmed: bool) -> Result<(), String> {
        if !all_confirmed {
            return Err(format!("events {from} to {to} are gone"));
        }
        tracing::error!(
            from,
            to,
            "events were not sent in time, and are no longer kept"
        );
        let data = json!({"from": from, "to": to, "events": to - from + 1});
        let event = Event::new("node.events-lost", self.control.node(), data);
        let recorded = self.control.record(vec![event]).await;
        recorded.map_err(|error| error.to_string())?;
        self.status.send_modify(|status| {
            status.last_sent = to;
            status.lost += to - from + 1;
        });
        self.mark_at = Some(Instant::now());
        Ok(())
    }
}

/// The number of the first event of `window`, once it is confirmed.
async fn first(window: &mut VecDeque<(u64, Confirmation)>) -> Result<u64, String> {
    match window.front_mut() {
        Some((sequence, confirmation)) => {
            let sequence = *sequence;
            confirmation.await.map(|()| sequence)
        }
        None => std::future::pending().await,
    }
}

async fn wait_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
