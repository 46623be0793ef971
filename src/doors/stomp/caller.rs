//! The other side of the bus door: how a program logs in, commands and listens over a broker.
//! It must not believe an answer that is not signed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::zeroize::Zeroizing;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use super::{
    key::Key,
    login::SEALED,
    seal,
    token::{ANSWER, COMMAND, Compact, sign},
};
use crate::stomp::{
    Acknowledge, Client, Error, Incoming, Options, Send, Subscribe, Subscription, frame::Body,
};

/// How long a log-in and a command are valid, in seconds.
const LIFE: u64 = 60;
/// How long an answer is waited for, before the same is sent again: it is carried out once.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it is sent again and again.
const IN_ALL: Duration = Duration::from_secs(30);
/// How long a signed answer is waited for, after one came that nothing vouches for: anybody may
/// write to a temporary queue whose name they guess.
const DOUBT: Duration = Duration::from_secs(1);
/// The queue of our answers; the broker gives it a name that is ours.
const ANSWERS: &str = "/temp-queue/answers";
/// The longest answer, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Events that may wait to be taken.
const EVENTS: usize = 1024;

/// Why there is no answer to believe.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no way to a broker.
    #[error("cannot reach a broker: {0}")]
    NoBroker(String),
    /// The broker did not take it.
    #[error(transparent)]
    Broker(#[from] Error),
    /// The broker does not let us listen.
    #[error("the broker refuses {0}: {1}")]
    NoListening(String, String),
    /// The node's public key is no such key.
    #[error("the node's key is not 32 bytes in base64")]
    NodeKey,
    /// Nobody answered.
    #[error("no answer; whether it was done is not known")]
    Silent,
    /// Somebody refused, and nothing proves that it was the node: it does not know the login, or
    /// it could not read what was sent.
    #[error("refused without proof that it was the node: {0}")]
    Unproven(String),
}

/// A login over the bus.
#[derive(Clone, Debug)]
pub struct Login {
    /// Its id.
    pub id: String,
    /// What signs its commands.
    pub key: Key,
}

/// A connection over which one node is asked, one question at a time.
#[derive(Debug)]
pub struct Caller {
    client: Client,
    answers: Subscription,
    prefix: String,
    node: String,
}

impl Caller {
    /// Connects with `options`, to ask `node`. Destinations begin with `prefix`.
    ///
    /// # Errors
    /// `NoBroker`, `NoListening`.
    pub async fn open(options: Options, prefix: &str, node: &str) -> Result<Self, CallError> {
        let client = Client::open(Options {
            max_body: MAX_ANSWER,
            ..options
        });
        client.up(PATIENCE).await.map_err(CallError::NoBroker)?;
        let answers = listen(&client, ANSWERS.to_owned(), 16).await?;
        Ok(Self {
            client,
            answers,
            prefix: prefix.to_owned(),
            node: node.to_owned(),
        })
    }

    /// Logs in with what `proof` says: `user` and `password`, or after a challenge `user`, `state`
    /// and `otp`. What is answered is as over HTTP; `key` is that of the login from then on.
    /// `node_key` is the node's public key, which is never learnt from the bus.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn log_in(
        &mut self,
        node_key: &str,
        key: &Key,
        proof: Map<String, Value>,
    ) -> Result<Value, CallError> {
        let (jti, mut claims) = self.claims();
        claims.extend(proof);
        claims.insert("key".to_owned(), key.to_text().as_str().into());
        let text = Zeroizing::new(Value::Object(claims).to_string());
        let body = seal::seal(node_key, text.as_bytes()).ok_or(CallError::NodeKey)?;
        self.ask("logins", SEALED, body, &jti, key).await
    }

    /// Has `command` (an object as on every door) carried out in the name of `login`, once, and
    /// gives its answer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn command(&mut self, login: &Login, command: &Value) -> Result<Value, CallError> {
        let (jti, mut claims) = self.claims();
        claims.insert("cmd".to_owned(), command.clone());
        let token = sign(COMMAND, &login.id, &Value::Object(claims), &login.key);
        self.ask("commands", "application/jwt", token, &jti, &login.key)
            .await
    }

    /// Events from now on; `category` is one of them, or `>` for all.
    ///
    /// # Errors
    /// `NoListening`.
    pub async fn events(&self, category: &str) -> Result<Subscription, CallError> {
        let topic = format!("/topic/{}.events.{category}", self.prefix);
        listen(&self.client, topic, EVENTS).await
    }

    /// Ends the connection in order.
    pub async fn close(self) {
        drop(self.answers);
        self.client.close().await;
    }

    /// What a message says of itself, with a new id.
    fn claims(&self) -> (String, Map<String, Value>) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.map_or(0, |since| since.as_secs());
        let jti = uuid();
        let claims = json!({"aud": self.node, "iat": now, "exp": now + LIFE, "jti": jti});
        let claims = claims.as_object().cloned().unwrap_or_default();
        (jti, claims)
    }

    /// Sends, and sends again where no answer comes: what came once is not carried out twice.
    async fn ask(
        &mut self,
        queue: &str,
        content_type: &str,
        body: String,
        jti: &str,
        key: &Key,
    ) -> Result<Value, CallError> {
        let message = Send::new(format!("/queue/{}.{queue}.{}", self.prefix, self.node))
            .header("content-type", content_type)
            .header("reply-to", ANSWERS)
            .header("correlation-id", jti)
            .header("persistent", "true")
            .body(body);
        let end = Instant::now() + IN_ALL;
        while Instant::now() < end {
            match self.client.send(message.clone()).await {
                Ok(()) => {}
                Err(Error::Lost | Error::Down) => {
                    let left = end.saturating_duration_since(Instant::now());
                    let up = self.client.up(left).await;
                    up.map_err(CallError::NoBroker)?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            if let Some(answer) = self.answer(jti, key).await? {
                return Ok(answer);
            }
        }
        Err(CallError::Silent)
    }

    /// The answer to `jti`; `None` when it does not come, or the connection broke meanwhile.
    async fn answer(&mut self, jti: &str, key: &Key) -> Result<Option<Value>, CallError> {
        let mut end = Instant::now() + PATIENCE;
        let mut doubtful = None;
        loop {
            let incoming = match timeout_at(end, self.answers.next()).await {
                Ok(Some(incoming)) => incoming,
                Ok(None) => return Err(Error::Closed.into()),
                Err(_) => return doubtful.map_or(Ok(None), |why| Err(CallError::Unproven(why))),
            };
            let delivery = match incoming {
                Incoming::Message(delivery) => delivery,
                Incoming::Ready => return Ok(None),
                Incoming::Refused(why) => {
                    return Err(CallError::NoListening(ANSWERS.to_owned(), why));
                }
                Incoming::Missed(_) => continue,
            };
            let Body::Whole(body) = &delivery.body else {
                continue;
            };
            if let Some(res) = proven(body, jti, &self.node, key) {
                return Ok(Some(res));
            }
            if delivery.headers.get("correlation-id") == Some(jti) && doubtful.is_none() {
                doubtful = Some(refusal(body));
                end = end.min(Instant::now() + DOUBT);
            }
        }
    }
}

/// What `node` answers to `jti`, if it did.
fn proven(body: &[u8], jti: &str, node: &str, key: &Key) -> Option<Value> {
    let token = Compact::parse(body).ok()?;
    token.check_header(ANSWER).ok()?;
    let mut claims = token.claims(key).ok()?;
    let ours = claims.get("iss")? == node && claims.get("sub")? == jti;
    ours.then(|| claims.remove("res")).flatten()
}

fn refusal(body: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = answer["error"]["message"].as_str();
    message.unwrap_or("it cannot be read").to_owned()
}

async fn listen(
    client: &Client,
    destination: String,
    room: usize,
) -> Result<Subscription, CallError> {
    let mut subscription = client
        .subscribe(Subscribe {
            destination: destination.clone(),
            acknowledge: Acknowledge::Auto,
            headers: Vec::new(),
            room,
        })
        .await?;
    let end = Instant::now() + PATIENCE;
    loop {
        match timeout_at(end, subscription.next()).await {
            Ok(Some(Incoming::Ready)) => return Ok(subscription),
            Ok(Some(Incoming::Refused(why))) => {
                return Err(CallError::NoListening(destination, why));
            }
            Ok(Some(Incoming::Message(_) | Incoming::Missed(_))) => {}
            Ok(None) => return Err(Error::Closed.into()),
            Err(_) => return Err(Error::Lost.into()),
        }
    }
}

/// A random UUID (RFC 9562, version 4).
fn uuid() -> String {
    let random: u128 = rand::random();
    let bits = random & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_uuids() {
        let id = uuid();
        assert_eq!((id.len(), &id[14..15]), (36, "4"), "{id}");
        assert!("89ab".contains(&id[19..20]), "{id}");
        assert_ne!(id, uuid());
    }

    #[test]
    fn only_what_the_node_signed_for_this_question_is_an_answer() {
        let (key, res) = (Key::random(), json!({"ok": true}));
        let token = |kind, iss: &str, sub: &str, key: &Key| {
            sign(
                kind,
                "0123",
                &json!({"iss": iss, "sub": sub, "res": res}),
                key,
            )
        };
        let read = |token: String| proven(token.as_bytes(), "7", "lb1", &key);
        assert_eq!(read(token(ANSWER, "lb1", "7", &key)), Some(res.clone()));
        assert_eq!(read(token(ANSWER, "lb2", "7", &key)), None);
        assert_eq!(read(token(ANSWER, "lb1", "8", &key)), None);
        assert_eq!(read(token(COMMAND, "lb1", "7", &key)), None);
        assert_eq!(read(token(ANSWER, "lb1", "7", &Key::random())), None);
        assert_eq!(read(r#"{"ok":true}"#.to_owned()), None);
    }
}
