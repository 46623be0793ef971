//! The bus door at work: takes messages from a broker, and answers and acknowledges them.
//! It must not judge a message.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    bus::Bus,
    conflict,
    message::{self, Done, Message, Reply},
};
use crate::stomp::{
    Acknowledge, Client, Delivery, Error, Incoming, Send, Subscribe, Subscription, frame,
};

/// Log-ins at a time: a directory may be slow.
const LOG_INS: usize = 16;
/// How long to leave a queue alone after the journal did not take a message: the first time, and
/// at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// How often an answer is sent over connections that break over it.
const TRIES: u32 = 3;
/// How often what was turned away is told.
const TELL: Duration = Duration::from_secs(2);

/// Which queue, and how many messages at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    LogIns,
    Commands,
}

/// Takes log-ins and commands from `client` until `stop`.
pub async fn serve(bus: Arc<Bus>, client: Client, stop: CancellationToken) {
    let clash = CancellationToken::new();
    let mut parts = JoinSet::new();
    for queue in [Queue::LogIns, Queue::Commands] {
        let taker = Taker {
            bus: Arc::clone(&bus),
            client: client.clone(),
            queue,
            clash: clash.clone(),
            stuck: Stuck::default(),
        };
        parts.spawn(taker.run());
    }
    parts.spawn(conflict::look(Arc::clone(&bus), client.clone(), clash));
    parts.spawn(async move {
        let mut often = interval(TELL);
        loop {
            often.tick().await;
            bus.tell_what_is_due().await;
        }
    });
    stop.cancelled().await;
    // What was handed to the control task is carried out; the broker delivers it again.
    parts.shutdown().await;
    client.close().await;
}

/// Takes from one queue.
struct Taker {
    bus: Arc<Bus>,
    client: Client,
    queue: Queue,
    clash: CancellationToken,
    stuck: Stuck,
}

/// Why a subscription came to its end.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Closed,
    Left,
    Clash,
}

impl Taker {
    async fn run(mut self) {
        let mut pause = PAUSES.0;
        loop {
            let Ok(subscription) = self.client.subscribe(self.subscribe()).await else {
                return;
            };
            let mut dealt = false;
            match self.take(subscription, &mut dealt).await {
                End::Closed => return,
                End::Left => {
                    pause = match dealt {
                        true => PAUSES.0,
                        false => (pause * 2).min(PAUSES.1),
                    };
                    sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
                }
                End::Clash => {
                    tracing::error!(queue = self.name(), "closed: another node has our name");
                    return;
                }
            }
        }
    }

    fn name(&self) -> &str {
        match self.queue {
            Queue::LogIns => &self.bus.logins,
            Queue::Commands => &self.bus.commands,
        }
    }

    fn room(&self) -> usize {
        match self.queue {
            Queue::LogIns => LOG_INS,
            Queue::Commands => 1,
        }
    }

    fn subscribe(&self) -> Subscribe {
        let header = |name: &str, value: String| (name.to_owned(), value);
        Subscribe {
            destination: self.name().to_owned(),
            acknowledge: Acknowledge::Individually,
            headers: vec![
                header("activemq.prefetchSize", self.room().to_string()),
                header("activemq.exclusive", true.to_string()),
            ],
            room: self.room(),
        }
    }

    /// Takes messages, until one is left with the broker. `dealt`: whether one was not.
    async fn take(&mut self, mut subscription: Subscription, dealt: &mut bool) -> End {
        let mut under_way = JoinSet::new();
        let clash = self.clash.clone();
        loop {
            let full = under_way.len() >= self.room();
            tokio::select! {
                biased;
                () = clash.cancelled() => return End::Clash,
                Some(ended) = under_way.join_next() => match ended {
                    Ok((delivery, Done::Dealt(reply))) => {
                        *dealt = true;
                        self.finish(&delivery, reply).await;
                    }
                    Ok((_, Done::Left(why))) => {
                        tracing::error!(queue = self.name(), why, "a message is left with the broker");
                        return End::Left;
                    }
                    Err(error) => {
                        tracing::error!(%error, "a message could not be judged");
                        return End::Left;
                    }
                },
                incoming = subscription.next(), if !full => match incoming {
                    None => return End::Closed,
                    Some(Incoming::Ready) => tracing::info!(queue = self.name(), "taking messages"),
                    Some(Incoming::Refused(why)) => {
                        tracing::error!(queue = self.name(), why, "the broker refuses the queue");
                    }
                    Some(Incoming::Missed(_)) => {}
                    Some(Incoming::Message(delivery)) => {
                        under_way.spawn(judge(Arc::clone(&self.bus), self.queue, delivery));
                    }
                },
            }
        }
    }

    /// Answers, then acknowledges; both are on their way before either is confirmed.
    async fn finish(&mut self, delivery: &Delivery, reply: Option<Reply>) {
        let reply = reply.filter(|_| self.stuck.may_answer(delivery));
        let sending = match reply {
            Some(reply) => Some(self.client.begin(frame_of(reply)).await),
            None => None,
        };
        let acknowledged = self.client.ack(delivery).await;
        match sending {
            Some(Ok(receipt)) => match receipt.confirmed().await {
                Ok(()) => {}
                Err(error @ (Error::Lost | Error::Down)) => {
                    tracing::debug!(%error, "an answer was lost; the command will come again");
                    return self.stuck.count(delivery);
                }
                Err(error) => tracing::debug!(%error, "nobody waits for the answer any more"),
            },
            Some(Err(error)) => tracing::debug!(%error, "an answer was not sent"),
            None => {}
        }
        match acknowledged {
            Ok(()) => self.stuck = Stuck::default(),
            Err(error) => tracing::debug!(%error, "not acknowledged; it will come again"),
        }
    }
}

async fn judge(bus: Arc<Bus>, queue: Queue, delivery: Delivery) -> (Delivery, Done) {
    let message = message_of(&delivery);
    let done = match queue {
        Queue::LogIns => bus.log_in(&message).await,
        Queue::Commands => bus.command(&message).await,
    };
    (delivery, done)
}

fn message_of(delivery: &Delivery) -> Message {
    let header = |name| delivery.headers.get(name).map(str::to_owned);
    Message {
        destination: header("destination").unwrap_or_default(),
        sender: header("JMSXUserID"),
        reply_to: header("reply-to"),
        correlation: header("correlation-id"),
        content_type: header("content-type"),
        body: match &delivery.body {
            frame::Body::Whole(bytes) => message::Body::Whole(bytes.clone()),
            frame::Body::TooLong(length) => message::Body::TooLong(*length),
        },
    }
}

fn frame_of(reply: Reply) -> Send {
    let send = Send::new(reply.destination)
        .header("content-type", reply.content_type)
        .body(reply.body);
    match reply.correlation {
        Some(correlation) => send.header("correlation-id", correlation),
        None => send,
    }
}

/// A message over whose answer connections break: a broker may close one that bears too long a
/// frame, and deliver the message again for ever.
#[derive(Debug, Default)]
struct Stuck {
    id: String,
    times: u32,
}

impl Stuck {
    fn may_answer(&self, delivery: &Delivery) -> bool {
        self.times < TRIES || delivery.headers.get("message-id") != Some(self.id.as_str())
    }

    fn count(&mut self, delivery: &Delivery) {
        let id = delivery.headers.get("message-id").unwrap_or_default();
        if self.id != id {
            id.clone_into(&mut self.id);
            self.times = 0;
        }
        self.times += 1;
    }
}
