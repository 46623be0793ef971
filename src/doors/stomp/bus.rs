//! What the bus door needs to judge a message, and what it does with one that it turns away.
//! It must not touch a connection.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::{
    holders::Holders,
    key::Key,
    message::{Body, Done, Message, Signed},
    refusal::Refusal,
    seal::NodeKey,
    vault::Vault,
};
use crate::{
    auth::{
        clock::{Clock, Moment},
        noise::{Failure, Noise},
    },
    control::Control,
    doors::authority::Authority,
    model::{event::Event, principal::Door},
};

/// What the settings say about log-ins and commands over the bus.
#[derive(Clone, Debug)]
pub struct Options {
    /// What destinations begin with.
    pub prefix: String,
    /// Users of the broker whose messages are taken; absent: everybody's.
    pub allowed_senders: Option<Vec<String>>,
    /// Whether log-ins are taken that are not sealed.
    pub plain_log_in: bool,
}

/// The two keys of a node.
#[derive(Debug)]
pub struct Keys {
    /// Opens sealed log-ins.
    pub node: Key,
    /// Encrypts the keys of logins.
    pub logins: Key,
}

/// Judges messages, and has done what they ask.
pub struct Bus {
    pub(super) control: Control,
    pub(super) authority: Arc<dyn Authority>,
    pub(super) options: Options,
    pub(super) node_key: NodeKey,
    pub(super) holders: Holders,
    pub(super) clock: Clock,
    noise: Mutex<Noise>,
    /// Where commands come.
    pub commands: String,
    /// Where log-ins come.
    pub logins: String,
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("options", &self.options)
            .field("node_key", &self.node_key)
            .finish_non_exhaustive()
    }
}

impl Bus {
    /// The bus of the node that `control` is a handle on. `kept` is what the journal keeps under
    /// [`super::KEPT`].
    pub fn new(
        control: Control,
        authority: Arc<dyn Authority>,
        options: Options,
        keys: &Keys,
        kept: Vec<(String, Value)>,
        clock: Clock,
    ) -> Self {
        let queue = |kind| format!("/queue/{}.{kind}.{}", options.prefix, control.node());
        Self {
            commands: queue("commands"),
            logins: queue("logins"),
            node_key: NodeKey::new(&keys.node),
            holders: Holders::new(Vault::new(&keys.logins), kept),
            noise: Mutex::new(Noise::default()),
            control,
            authority,
            options,
            clock,
        }
    }

    /// What seals log-ins for this node.
    pub fn public_key(&self) -> String {
        self.node_key.public()
    }

    pub(super) fn node(&self) -> &str {
        self.control.node().as_str()
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.now().unix_ms
    }

    /// What every message has to be, whatever is in it: its body and its sender.
    pub(super) fn envelope<'a>(
        &self,
        message: &'a Message,
        queue: &str,
    ) -> Result<(&'a [u8], &'a str), Refusal> {
        let body = match &message.body {
            Body::Whole(body) => body,
            Body::TooLong(length) => return Err(Refusal::TooLong(*length)),
        };
        if body.len() > super::message::MAX_BODY {
            return Err(Refusal::TooLong(body.len() as u64));
        }
        if message.destination != queue {
            return Err(Refusal::Destination(shown(&message.destination)));
        }
        let reply_to = || shown(message.reply_to.as_deref().unwrap_or_default());
        message
            .answer_to()
            .map_err(|()| Refusal::ReplyTo(reply_to()))?;
        let sender = message
            .sender
            .as_deref()
            .filter(|sender| !sender.is_empty());
        let sender = sender.ok_or(Refusal::Unstamped)?;
        let allowed = self.options.allowed_senders.as_ref();
        if allowed.is_some_and(|allowed| !allowed.iter().any(|allowed| allowed == sender)) {
            return Err(Refusal::Sender);
        }
        Ok((body, sender))
    }

    /// Turns away what proves nothing: counted up, and answered by a text that nothing vouches
    /// for, without a reason. `kind`: of the event, by the queue that it was taken from; what it
    /// says of where it was sent may be another.
    pub(super) async fn turn_away(
        &self,
        kind: &'static str,
        message: &Message,
        refusal: &Refusal,
    ) -> Done {
        let because = refusal.to_string();
        let sender = message.sender.as_deref().unwrap_or("unknown");
        tracing::debug!(sender, because, "a message is turned away");
        let failure = Failure {
            kind,
            user: sender,
            source: &from(sender),
            door: Door::Stomp,
            code: refusal.word(),
            because: &because,
        };
        let told = {
            let Moment { at, .. } = self.clock.now();
            let mut noise = self.noise.lock().unwrap_or_else(PoisonError::into_inner);
            noise.count(failure, at);
            noise.take(at)
        };
        if let Err(error) = self.record(told).await {
            return Done::Left(error);
        }
        // Whose password may just have been seen is to know why.
        let text = match *refusal == Refusal::Plain {
            true => because.as_str(),
            false => "not taken",
        };
        Done::Dealt(message.plain_reply(text))
    }

    /// What was turned away and is to be told by now. To be called every few seconds.
    pub async fn tell_what_is_due(&self) {
        let told = {
            let now = self.clock.now().at;
            let mut noise = self.noise.lock().unwrap_or_else(PoisonError::into_inner);
            noise.take(now)
        };
        if let Err(error) = self.record(told).await {
            tracing::warn!(error, "messages that were turned away cannot be recorded");
        }
    }

    async fn record(&self, events: Vec<Event>) -> Result<(), String> {
        match events.is_empty() {
            true => Ok(()),
            false => self
                .control
                .record(events)
                .await
                .map_err(|error| error.message),
        }
    }

    pub(super) fn signed<'a>(
        &'a self,
        (key, kid): (&'a Key, &'a str),
        jti: &'a str,
        res: Value,
    ) -> Signed<'a> {
        Signed {
            node: self.node(),
            key,
            kid,
            jti,
            now: self.now(),
            res,
        }
    }
}

/// An answer that was recorded.
pub(super) fn recorded(text: &str) -> Value {
    // It was JSON when it went in.
    serde_json::from_str(text).unwrap_or_else(|_| json!({"ok": false}))
}

/// Where a command or a log-in is from, as the audit trail has it and the delays tell it.
pub(super) fn from(sender: &str) -> String {
    format!("broker user {sender}")
}

/// The most of what somebody sent that is repeated in a message of ours, in characters.
const SHOWN: usize = 100;

fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).collect();
    short.escape_debug().to_string()
}
