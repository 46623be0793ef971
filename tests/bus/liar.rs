//! A broker that does as a test says: answers as it should, or as no broker would.
//! It must not know what the node makes of it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Instant,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

/// What its sockets take in before they are read: little, so that who writes on has to wait.
const ROOM: u32 = 4096;
/// What it keeps for a test that does not look; the rest is left out.
const QUEUE: usize = 64;
/// The node's commands: what the broker says first it says when these are subscribed to.
const COMMANDS: &str = "/queue/pointsman.commands.";

/// How a broker behaves on each connection.
#[derive(Clone, Copy)]
pub(crate) struct Manners {
    /// What it answers to CONNECT.
    pub(crate) greeting: fn() -> String,
    /// What it says before its answer to the first SEND or to the subscription to commands, of
    /// which it is given the id.
    pub(crate) first: fn(&str) -> String,
    /// What it answers to a frame that asks for the receipt with this id.
    pub(crate) receipt: fn(&str) -> String,
    /// What it does when it has said what comes first.
    pub(crate) then: Then,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    ReadsOn,
    ReadsNothing,
    HangsUp,
}

/// As a broker should be.
pub(crate) const TRUTHFUL: Manners = Manners {
    greeting: || "CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0\n".to_owned(),
    first: |_| String::new(),
    receipt: |id| format!("RECEIPT\nreceipt-id:{id}\n\n\0\n"),
    then: Then::ReadsOn,
};

/// A frame of the node.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) command: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Sent {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn read(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\n\n")?;
        let mut lines = head.lines();
        let command = lines.next()?.to_owned();
        let pair = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.to_owned()))
        };
        Some(Self {
            command,
            headers: lines.filter_map(pair).collect(),
            body: body.to_owned(),
        })
    }
}

/// A broker, and what it has heard.
pub(crate) struct Liar {
    pub(crate) place: String,
    /// When each of its connections began.
    pub(crate) connections: watch::Receiver<Vec<Instant>>,
    /// The numbers of the events that it has confirmed, in the order in which they came.
    pub(crate) events: watch::Receiver<Vec<u64>>,
    /// What is neither an event nor a subscription: acknowledgements and answers.
    pub(crate) heard: mpsc::Receiver<Sent>,
    shared: Arc<Shared>,
}

struct Shared {
    manners: Manners,
    truth: CancellationToken,
    connections: watch::Sender<Vec<Instant>>,
    events: watch::Sender<Vec<u64>>,
    heard: mpsc::Sender<Sent>,
    subscribed: Mutex<HashMap<String, Subscribed>>,
}

/// The id of a subscription, and what writes to its connection.
type Subscribed = (String, mpsc::Sender<String>);

impl Liar {
    pub(crate) async fn open(manners: Manners) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(ROOM).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(64).unwrap();
        let (told, heard) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            manners,
            truth: CancellationToken::new(),
            connections: watch::Sender::new(Vec::new()),
            events: watch::Sender::new(Vec::new()),
            heard: told,
            subscribed: Mutex::default(),
        });
        let liar = Self {
            place: format!("stomp://{}", listener.local_addr().unwrap()),
            connections: shared.connections.subscribe(),
            events: shared.events.subscribe(),
            heard,
            shared: Arc::clone(&shared),
        };
        tokio::spawn(shared.listen(listener));
        liar
    }

    /// From now on it is as a broker should be, on new connections: there are no others.
    pub(crate) fn repent(&self) {
        self.shared.truth.cancel();
    }

    /// Delivers a message to whoever has subscribed to the queue, as from a user of the broker.
    /// Whether anybody has.
    pub(crate) fn deliver(&self, queue: &str, id: &str, more: &str, body: &str) -> bool {
        let subscribed = self.shared.subscribed.lock().unwrap();
        let Some((subscription, connection)) = subscribed.get(queue) else {
            return false;
        };
        let text = format!(
            "MESSAGE\nsubscription:{subscription}\nmessage-id:{id}\nack:{id}\n\
             destination:{queue}\nJMSXUserID:eve\n{more}\n{body}\0\n"
        );
        connection.try_send(text).is_ok()
    }
}

impl Shared {
    async fn listen(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            self.connections
                .send_modify(|began| began.push(Instant::now()));
            let this = Arc::clone(&self);
            tokio::spawn(async move {
                if this.truth.is_cancelled() {
                    this.serve(stream, TRUTHFUL).await;
                } else {
                    let lying = this.serve(stream, this.manners);
                    this.truth.run_until_cancelled(lying).await;
                }
            });
        }
    }

    /// Serves a connection to its end; `None` is that end.
    async fn serve(&self, stream: TcpStream, manners: Manners) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut wire = Wire(stream, Vec::new());
        let (connection, mut delivered) = mpsc::channel::<String>(QUEUE);
        let mut first = true;
        loop {
            let sent = tokio::select! {
                sent = wire.hear() => sent?,
                text = delivered.recv() => {
                    wire.say(&text?).await?;
                    continue;
                }
            };
            let (command, destination) = (sent.command.as_str(), sent.header("destination"));
            if command == "CONNECT" {
                wire.say(&(manners.greeting)()).await?;
            }
            let commands = command == "SUBSCRIBE" && destination.starts_with(COMMANDS);
            if first && (commands || command == "SEND") {
                first = false;
                wire.say(&(manners.first)(sent.header("id"))).await?;
                match manners.then {
                    Then::ReadsOn => {}
                    Then::ReadsNothing => std::future::pending().await,
                    Then::HangsUp => return None,
                }
            }
            if command == "SUBSCRIBE" {
                let entry = (sent.header("id").to_owned(), connection.clone());
                let mut subscribed = self.subscribed.lock().unwrap();
                subscribed.insert(destination.to_owned(), entry);
            }
            if let Some(id) = sent.headers.get("receipt") {
                let answer = (manners.receipt)(id);
                wire.say(&answer).await?;
                self.keep(sent, &answer);
            }
        }
    }

    /// Keeps what was confirmed.
    fn keep(&self, sent: Sent, answer: &str) {
        if !answer.contains(&format!("RECEIPT\nreceipt-id:{}\n", sent.header("receipt"))) {
            return;
        }
        if sent.header("destination").starts_with("/topic/") {
            let event: Value = serde_json::from_str(&sent.body).unwrap_or_default();
            let number = event["sequence"].as_str().map(str::parse);
            if let Some(Ok(number)) = number {
                self.events.send_modify(|events| events.push(number));
            }
        } else {
            let _ = self.heard.try_send(sent);
        }
    }
}

/// A connection, and what of the next frame has come.
struct Wire(TcpStream, Vec<u8>);

impl Wire {
    /// The next frame of the node; `None` at the end. Cancel safe.
    async fn hear(&mut self) -> Option<Sent> {
        let Self(stream, bytes) = self;
        loop {
            let beats = bytes.iter().take_while(|byte| **byte == b'\n').count();
            bytes.drain(..beats);
            if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
                let frame: Vec<u8> = bytes.drain(..=end).take(end).collect();
                return Sent::read(str::from_utf8(&frame).ok()?);
            }
            if stream.read_buf(bytes).await.ok()? == 0 {
                return None;
            }
        }
    }

    async fn say(&mut self, text: &str) -> Option<()> {
        self.0.write_all(text.as_bytes()).await.ok()
    }
}
