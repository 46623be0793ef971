//! One connection from its CONNECTED to its end: frames in and out, receipts, heart-beats.
//! It must not wait for the write half where it could read, nor connect anew.

mod orders;

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, ReadHalf},
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Broker, Delivery, Error, Incoming, Link, Options,
    client::Order,
    dial::{Beats, Connected, Stream, complaint},
    frame::{Decoder, Frame, Headers, Limits, ServerCommand},
    receipts::{Receipts, Waiting},
    registry::{Overrun, Registry},
    writer,
};

/// After so many of its heart-beats without a word the broker is dead.
const MISSED: u32 = 3;
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// What is read at once.
const CHUNK: usize = 16 * 1024;

/// What a session needs of the supervisor.
pub(super) struct Surroundings<'a> {
    pub(super) options: &'a Options,
    pub(super) broker: &'a Broker,
    pub(super) session: u64,
    pub(super) registry: &'a mut Registry,
    pub(super) orders: &'a mut mpsc::Receiver<Order>,
    pub(super) link: &'a watch::Sender<Link>,
}

/// How a session ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// As asked.
    Closed,
    /// Not as asked, for this reason.
    Broken(String),
}

struct Session<'a> {
    around: Surroundings<'a>,
    beats: Beats,
    decoder: Decoder,
    write: mpsc::Sender<Vec<u8>>,
    receipts: Receipts,
    /// When the broker was last heard.
    heard: Instant,
    /// Subscriptions that have to be answered before anything is sent.
    first: usize,
    /// What the broker complained of without saying what it is about.
    complaint: Option<String>,
    /// Until when the broker may confirm that we leave.
    leaving: Option<Instant>,
}

/// Carries a connection until it ends. All who wait for it then are told.
pub(super) async fn run(connected: Connected, around: Surroundings<'_>) -> Ended {
    let Connected {
        stream,
        rest,
        beats,
    } = connected;
    let (read, half) = tokio::io::split(stream);
    let (write, waiting) = mpsc::channel(writer::WAITING);
    let every = beats.ours.map(|ours| ours / 2);
    let writer = AbortOnDropHandle::new(tokio::spawn(writer::run(half, waiting, every)));
    let mut session = Session {
        decoder: Decoder::new(Limits::with_body(around.options.max_body)),
        receipts: Receipts::new(around.options.receipt_timeout),
        around,
        beats,
        write,
        heard: Instant::now(),
        first: 0,
        complaint: None,
        leaving: None,
    };
    let ended = match session.carry(read, writer, &rest).await {
        Ok(never) => match never {},
        Err(ended) => ended,
    };
    session.receipts.give_up();
    ended
}

/// What never comes.
enum Never {}

impl Session<'_> {
    async fn carry(
        &mut self,
        mut read: ReadHalf<Box<dyn Stream>>,
        mut writer: AbortOnDropHandle<io::Result<()>>,
        rest: &[u8],
    ) -> Result<Never, Ended> {
        self.subscribe_all()?;
        self.take_in(rest)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            self.come_up();
            let deadline = self.deadline();
            tokio::select! {
                read = read.read(&mut buffer) => {
                    let length = read.map_err(|error| self.hung_up(Some(&error)))?;
                    if length == 0 {
                        return Err(self.hung_up(None));
                    }
                    self.heard = Instant::now();
                    self.take_in(buffer.get(..length).unwrap_or_default())?;
                }
                next = next(&self.write, self.around.orders), if self.first == 0 && self.leaving.is_none() => {
                    let (room, order) = next;
                    self.obey(room, order);
                }
                ended = &mut writer => {
                    let error = ended.ok().and_then(Result::err);
                    return Err(self.hung_up(error.as_ref()));
                }
                () = wait_until(deadline) => self.expire()?,
            }
        }
    }

    /// Tells that there is a connection, as soon as there is.
    fn come_up(&mut self) {
        let Surroundings {
            broker,
            session,
            link,
            ..
        } = &self.around;
        let session = *session;
        link.send_if_modified(|link| {
            let comes_up = self.first == 0 && matches!(link, Link::Down(_));
            if comes_up {
                let broker = (*broker).clone();
                *link = Link::Up { broker, session };
            }
            comes_up
        });
    }

    fn take_in(&mut self, mut input: &[u8]) -> Result<(), Ended> {
        loop {
            match self.decoder.decode(&mut input) {
                Ok(Some(frame)) => self.frame(frame)?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(Ended::Broken(format!("this is not STOMP: {error}"))),
            }
        }
    }

    fn frame(&mut self, frame: Frame) -> Result<(), Ended> {
        match frame.command {
            ServerCommand::Connected => Err(Ended::Broken("a second CONNECTED".to_owned())),
            ServerCommand::Message => {
                let delivery = Delivery {
                    headers: frame.headers,
                    body: frame.body,
                    session: self.around.session,
                };
                let delivered = self.around.registry.deliver(delivery);
                delivered.map_err(|Overrun(destination)| {
                    let more =
                        "the broker sent more unacknowledged messages than there is room for";
                    Ended::Broken(format!("{more}, from {destination}"))
                })
            }
            ServerCommand::Receipt => match self.waiting(&frame.headers) {
                Some(waiting) => self.answer(waiting, Ok(())),
                None => Ok(()),
            },
            ServerCommand::Error => {
                let why = complaint(&frame.headers);
                match self.waiting(&frame.headers) {
                    Some(waiting) => self.answer(waiting, Err(why)),
                    None => {
                        // The broker hangs up after this.
                        self.complaint = Some(why);
                        Ok(())
                    }
                }
            }
        }
    }

    /// Who waits for the receipt that a RECEIPT or an ERROR names. To be asked of no MESSAGE: its
    /// sender may have given it any header.
    fn waiting(&mut self, headers: &Headers) -> Option<Waiting> {
        self.receipts.take(headers.get("receipt-id")?)
    }

    /// Tells who waited for a receipt what came of it.
    fn answer(&mut self, waiting: Waiting, what: Result<(), String>) -> Result<(), Ended> {
        match waiting {
            Waiting::Order(confirm) => {
                // Whoever sent it may not wait any more.
                let _ = confirm.send(what.map_err(Error::Refused));
            }
            Waiting::Subscription { id, first } => {
                self.first -= usize::from(first);
                let note = what.map_or_else(Incoming::Refused, |()| Incoming::Ready);
                self.around.registry.note(id, note);
            }
            Waiting::Farewell(done) => {
                if let Some(done) = done {
                    let _ = done.send(());
                }
                return Err(Ended::Closed);
            }
        }
        Ok(())
    }

    /// When something is overdue next.
    fn deadline(&self) -> Option<Instant> {
        [self.receipts.deadline(), self.leaving, self.dead()]
            .into_iter()
            .flatten()
            .min()
    }

    /// When the broker is dead if it is not heard before.
    fn dead(&self) -> Option<Instant> {
        Some(self.heard + self.beats.theirs? * MISSED)
    }

    /// Something is overdue.
    fn expire(&self) -> Result<(), Ended> {
        let now = Instant::now();
        let over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if over(self.leaving) {
            return Err(Ended::Closed);
        }
        if over(self.dead()) {
            let silent = now - self.heard;
            return Err(self.overdue(format!("nothing heard for {silent:.1?}")));
        }
        if over(self.receipts.deadline()) {
            let patience = self.around.options.receipt_timeout;
            return Err(self.overdue(format!("no receipt within {patience:?}")));
        }
        Ok(())
    }

    /// Something did not come; what the broker complained of before may be why.
    fn overdue(&self, what: String) -> Ended {
        Ended::Broken(match &self.complaint {
            Some(complaint) => format!("{what}, after the complaint: {complaint}"),
            None => what,
        })
    }

    /// The connection is gone; what the broker complained of before says best why.
    fn hung_up(&mut self, error: Option<&io::Error>) -> Ended {
        if self.leaving.is_some() {
            return Ended::Closed;
        }
        Ended::Broken(match (self.complaint.take(), error) {
            (Some(complaint), _) => format!("the broker hung up: {complaint}"),
            (None, Some(error)) => format!("the connection broke: {error}"),
            (None, None) => "the broker hung up".to_owned(),
        })
    }
}

/// The next order, as soon as there is room to write what it says; `None` when nobody can give any
/// more.
///
/// Cancel safe.
async fn next(
    write: &mpsc::Sender<Vec<u8>>,
    orders: &mut mpsc::Receiver<Order>,
) -> (mpsc::OwnedPermit<Vec<u8>>, Option<Order>) {
    match write.clone().reserve_owned().await {
        Ok(room) => (room, orders.recv().await),
        // The writer has ended, and that is noticed elsewhere.
        Err(_) => std::future::pending().await,
    }
}

async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
