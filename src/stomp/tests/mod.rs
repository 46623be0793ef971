//! The client against brokers that do as the test says, in paused time.
//! It must not use a socket: time would go on while one is waited for.

mod connecting;
mod sending;
mod subscribing;

use std::{collections::BTreeMap, time::Duration};

use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{frame::Body, *};

/// The end of a connection that a broker would have.
struct Fake {
    broker: Broker,
    stream: DuplexStream,
}

/// What a client sent.
#[derive(Debug)]
struct Sent {
    command: String,
    headers: BTreeMap<String, String>,
    body: String,
}

const SECOND: Duration = Duration::from_secs(1);

fn options() -> Options {
    Options {
        heart_beat: 10 * SECOND,
        login: Some("pointsman".to_owned()),
        passcode: Some(SecretString::from("open:sesame")),
        max_body: 16,
        ..Options::new(vec![
            "stomp://one".parse().unwrap(),
            "stomp://two".parse().unwrap(),
        ])
    }
}

/// A client, and the connections that it makes; so many bytes may be under way in each.
fn client_with(options: Options, under_way: usize) -> (Client, mpsc::Receiver<Fake>) {
    let (send, dialled) = mpsc::channel(100);
    let open = move |broker: Broker, _| {
        let (ours, theirs) = duplex(under_way);
        let send = send.clone();
        Box::pin(async move {
            let fake = Fake {
                broker,
                stream: theirs,
            };
            send.send(fake)
                .await
                .map_err(|_| "nobody there".to_owned())?;
            dial::Opened::Ok(Box::new(ours))
        }) as _
    };
    (Client::over(options, Box::new(open)), dialled)
}

fn client() -> (Client, mpsc::Receiver<Fake>) {
    client_with(options(), 64 * 1024)
}

/// A client that is connected, with its first connection.
async fn connected() -> (Client, mpsc::Receiver<Fake>, Fake) {
    let (client, mut dialled) = client();
    let mut fake = dialled.recv().await.unwrap();
    fake.greet().await;
    client.up(SECOND).await.unwrap();
    (client, dialled, fake)
}

impl Fake {
    async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next frame of the client; heart-beats are passed over. `None` at the end.
    async fn heard(&mut self) -> Option<Sent> {
        let mut bytes = Vec::new();
        loop {
            match self.stream.read_u8().await {
                Ok(b'\n') if bytes.is_empty() => {}
                Ok(0) => break,
                Ok(byte) => bytes.push(byte),
                Err(_) => return None,
            }
        }
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let command = lines.next().unwrap().to_owned();
        let pair = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.to_owned())
        };
        Some(Sent {
            command,
            headers: lines.map(pair).collect(),
            body: body.to_owned(),
        })
    }

    /// The next frame, which is this command.
    async fn expect(&mut self, command: &str) -> Sent {
        let sent = self.heard().await.unwrap();
        assert_eq!(sent.command, command, "{sent:?}");
        sent
    }

    /// Lets the client log in.
    async fn greet(&mut self) -> Sent {
        let connect = self.expect("CONNECT").await;
        self.say("CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n\0\n")
            .await;
        connect
    }

    async fn confirm(&mut self, sent: &Sent) {
        let receipt = &sent.headers["receipt"];
        self.say(&format!("RECEIPT\nreceipt-id:{receipt}\n\n\0"))
            .await;
    }

    async fn message(&mut self, subscription: &str, ack: &str, body: &str) {
        let headers = format!("subscription:{subscription}\nmessage-id:{ack}\nack:{ack}");
        self.say(&format!(
            "MESSAGE\n{headers}\ndestination:/queue/a\n\n{body}\0"
        ))
        .await;
    }
}

fn subscribe(acknowledge: Acknowledge, room: usize) -> Subscribe {
    Subscribe {
        destination: "/queue/a".to_owned(),
        acknowledge,
        headers: vec![("selector".to_owned(), "a = 'b:c'".to_owned())],
        room,
    }
}

fn note(text: &str) -> Send {
    Send::new("/topic/a").body(text)
}

fn down(client: &Client) -> String {
    let link = client.link().borrow().clone();
    let Link::Down(Some(why)) = link else {
        panic!("{link:?}");
    };
    why
}

fn delivery(incoming: Option<Incoming>) -> Delivery {
    let Some(Incoming::Message(delivery)) = incoming else {
        panic!("{incoming:?}");
    };
    delivery
}
