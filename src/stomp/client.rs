//! What holds a connection: sending, subscribing, acknowledging, and how it is.
//! It must not touch a socket; it asks the supervisor.

use std::time::Duration;

use stomp_rs::protocol::frame::{AckMode, Send, Subscribe as SubscribeFrame};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Broker, Options,
    dial::{self, Open},
    frame::{Body, EncodeError, Headers},
    supervisor::Supervisor,
};

/// Orders that may wait for the supervisor; past that, those who give them wait.
pub(super) const ORDERS: usize = 64;

/// Why something did not happen, or may not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no connection now. Nothing was sent.
    #[error("there is no connection to a broker")]
    Down,
    /// The connection broke, or no receipt came in time: whether the broker has it is not known.
    #[error("the connection to the broker was lost before it confirmed")]
    Lost,
    /// The broker refused, and says why.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// It cannot be said in STOMP. Nothing was sent.
    #[error(transparent)]
    Unsayable(#[from] EncodeError),
    /// The message came by a connection that is gone; the broker delivers it again.
    #[error("the message came by a connection that is gone")]
    Stale,
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}

/// How the connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// There is none, and why the last one ended or could not be made.
    Down(Option<String>),
    /// There is one.
    Up {
        /// To which broker.
        broker: Broker,
        /// The how manieth it is.
        session: u64,
    },
}

/// A handle on a supervised connection. Cheap to clone; the connection ends in order when the last
/// one is dropped.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) link: watch::Receiver<Link>,
}

/// What the supervisor is asked.
#[derive(Debug)]
pub(super) enum Order {
    Send {
        frame: Box<Send>,
        confirm: Confirm,
    },
    /// Of a message that came by the session with this number.
    Acknowledge {
        session: u64,
        ack: String,
        accept: bool,
        confirm: Confirm,
    },
    Subscribe(Subscribe, mpsc::Sender<Incoming>),
    /// Somebody has dropped a subscription.
    Sweep,
    Close(oneshot::Sender<()>),
}

/// Who waits for the receipt.
pub(super) type Confirm = oneshot::Sender<Result<(), Error>>;

impl Client {
    /// Begins to connect, on the runtime that this is called from. Returns at once.
    pub fn open(options: Options) -> Self {
        let open = |broker, trust| Box::pin(dial::open(broker, trust)) as _;
        Self::over(options, Box::new(open))
    }

    /// The same over streams that `open` opens.
    pub(super) fn over(options: Options, open: Open) -> Self {
        let (orders, taken) = mpsc::channel(ORDERS);
        let (told, link) = watch::channel(Link::Down(None));
        tokio::spawn(Supervisor::new(options, open, taken, told).run());
        Self { orders, link }
    }

    /// Sends `message` and waits until the broker has confirmed it.
    ///
    /// # Errors
    /// See [`Error`]; only after `Down`, `Refused` and `Unsayable` is it certain that the broker
    /// does not have it.
    ///
    /// Not cancel safe in one way only: what was handed over is sent.
    pub async fn send(&self, message: Send) -> Result<(), Error> {
        self.begin(message).await?.confirmed().await
    }

    /// Hands `message` over, to be sent after all that was handed over before, and returns its
    /// receipt, so that more can be sent meanwhile. Waits while too much waits to be written.
    ///
    /// # Errors
    /// `Closed`. Everything else is an error of the receipt.
    pub async fn begin(&self, message: Send) -> Result<Receipt, Error> {
        let frame = Box::new(message);
        self.order(|confirm| Order::Send { frame, confirm }).await
    }

    /// Tells the broker that `delivery` is dealt with, and waits until it has confirmed that.
    ///
    /// # Errors
    /// See [`Error`]. The broker may deliver the message again then.
    pub async fn ack(&self, delivery: &Delivery) -> Result<(), Error> {
        self.acknowledge(delivery, true).await
    }

    /// Tells the broker that `delivery` cannot be dealt with. ActiveMQ puts it aside at once, and
    /// does not deliver it again.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn nack(&self, delivery: &Delivery) -> Result<(), Error> {
        self.acknowledge(delivery, false).await
    }

    async fn acknowledge(&self, delivery: &Delivery, accept: bool) -> Result<(), Error> {
        let Some(ack) = delivery.headers.get("ack").map(str::to_owned) else {
            return Err(Error::Refused(
                "the message is not to be acknowledged".to_owned(),
            ));
        };
        let session = delivery.session;
        let order = |confirm| Order::Acknowledge {
            session,
            ack,
            accept,
            confirm,
        };
        self.order(order).await?.confirmed().await
    }

    /// Subscribes, on this connection and on every one after it, until the subscription is
    /// dropped. What comes of it is in [`Subscription::next`].
    ///
    /// # Errors
    /// `Closed`.
    pub async fn subscribe(&self, subscribe: Subscribe) -> Result<Subscription, Error> {
        let (send, receive) = mpsc::channel(subscribe.room.max(1) + NOTES);
        let order = Order::Subscribe(subscribe, send);
        self.orders.send(order).await.map_err(|_| Error::Closed)?;
        let orders = self.orders.downgrade();
        Ok(Subscription { receive, orders })
    }

    /// How the connection is, and as it changes from now on.
    pub fn link(&self) -> watch::Receiver<Link> {
        let mut link = self.link.clone();
        link.mark_unchanged();
        link
    }

    /// Waits until there is a connection, for as long as `patience`.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn up(&self, patience: Duration) -> Result<(), String> {
        let mut link = self.link.clone();
        let up = link.wait_for(|link| matches!(link, Link::Up { .. }));
        match tokio::time::timeout(patience, up).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(_)) => return Err(Error::Closed.to_string()),
            Err(_) => {}
        }
        match &*self.link.borrow() {
            Link::Up { .. } => Ok(()),
            Link::Down(Some(why)) => Err(why.clone()),
            Link::Down(None) => Err(format!("no broker has answered within {patience:?}")),
        }
    }

    /// Ends the connection in order: after what was handed over, and with a receipt if that comes
    /// soon. Every handle is of no use then.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.orders.send(Order::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }

    async fn order(&self, order: impl FnOnce(Confirm) -> Order) -> Result<Receipt, Error> {
        let (confirm, confirmed) = oneshot::channel();
        let sent = self.orders.send(order(confirm)).await;
        sent.map_err(|_| Error::Closed)?;
        Ok(Receipt(confirmed))
    }
}

/// A receipt that is to come.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Result<(), Error>>);

impl Receipt {
    /// Waits for it. It always ends: at the latest when its time is over.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn confirmed(self) -> Result<(), Error> {
        self.0.await.unwrap_or(Err(Error::Closed))
    }
}

/// Room for what is not a message, beside the messages.
const NOTES: usize = 4;

/// How messages of a subscription are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// By being sent.
    Auto,
    /// Each by itself, with [`Client::ack`].
    Individually,
}

/// What to subscribe to.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// Where: `/queue/…`, `/topic/…`, `/temp-queue/…`.
    pub destination: String,
    /// How messages are acknowledged.
    pub acknowledge: Acknowledge,
    /// More headers, such as `selector` or `activemq.prefetchSize`.
    pub headers: Vec<(String, String)>,
    /// How many messages may wait to be taken. One more ends the connection where messages are
    /// acknowledged individually (so the broker has to be told of it, by `activemq.prefetchSize`,
    /// and delivers them again), and is left out, and counted, where they are not.
    pub room: usize,
}

impl Subscribe {
    pub(super) fn frame(&self, id: u64) -> SubscribeFrame {
        let frame = SubscribeFrame::new(id.to_string(), self.destination.clone());
        let headers = self.headers.iter();
        let frame = headers.fold(frame, |frame, (name, value)| frame.header(name, value));
        frame.ack(match self.acknowledge {
            Acknowledge::Auto => AckMode::Auto,
            Acknowledge::Individually => AckMode::ClientIndividual,
        })
    }
}

/// Messages as they come. Dropped, it is unsubscribed.
#[derive(Debug)]
pub struct Subscription {
    receive: mpsc::Receiver<Incoming>,
    orders: mpsc::WeakSender<Order>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.receive.close();
        if let Some(orders) = self.orders.upgrade() {
            // Where there is no room, the next subscription that is dropped has it swept away.
            let _ = orders.try_send(Order::Sweep);
        }
    }
}

impl Subscription {
    /// What comes next; `None` when the client was closed.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Incoming> {
        self.receive.recv().await
    }
}

/// What comes of a subscription.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// The broker has taken the subscription, on a connection that is new.
    Ready,
    /// The broker refuses it, and says why. It is tried again with the next connection.
    Refused(String),
    /// So many messages were left out, because nobody took those before them.
    Missed(u64),
    /// A message.
    Message(Delivery),
}

/// A message as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Its headers, unescaped.
    pub headers: Headers,
    /// Its body.
    pub body: Body,
    /// The how manieth connection it came by.
    pub(super) session: u64,
}
