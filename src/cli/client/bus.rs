//! Asks a node over a broker.
//! It must not believe who is at the other end: the node's key is known before, or it is no use.

use std::{collections::VecDeque, env, fs, path::PathBuf};

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{
    Keeper, Reply, Trouble, Via,
    known::{self, KnownError},
    stream::Message,
    via::BusPlace,
};
use crate::{
    doors::stomp::{
        caller::{CallError, Caller, Login},
        key::Key,
    },
    model::error::CommandError,
    stomp::{Incoming, Options, Subscription, Trust, frame::Body},
};

/// What else it takes to ask over a broker.
#[derive(Clone, Debug, Default, clap::Args)]
pub(in crate::cli) struct BusOptions {
    /// The node's public key, from `pointsman pubkey` on its machine [default: that in the file
    /// known_nodes]
    #[arg(long, global = true, value_name = "KEY")]
    pub(in crate::cli) node_key: Option<String>,
    /// The user to be at the broker [default: $POINTSMAN_BUS_LOGIN]
    #[arg(long, global = true, value_name = "USER")]
    pub(in crate::cli) bus_login: Option<String>,
    /// A file with that user's password [default: the password is $POINTSMAN_BUS_PASSCODE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(in crate::cli) bus_passcode_file: Option<PathBuf>,
}

/// Events that are asked for at a time: a broker bears answers up to some length.
const PAGE: usize = 200;

impl BusOptions {
    fn options(&self, place: &BusPlace, ca_file: Option<&PathBuf>) -> Result<Options, Trouble> {
        let passcode = match &self.bus_passcode_file {
            Some(file) => {
                let text = fs::read_to_string(file);
                let text = text.map_err(|error| Trouble::Passcode(file.clone(), error))?;
                Some(text.trim_end_matches(['\n', '\r']).to_owned())
            }
            None => variable("POINTSMAN_BUS_PASSCODE"),
        };
        let login = self.bus_login.clone();
        Ok(Options {
            login: login.or_else(|| variable("POINTSMAN_BUS_LOGIN")),
            passcode: passcode.map(SecretString::from),
            trust: Trust {
                ca_file: ca_file.cloned(),
                identity: None,
            },
            ..Options::new(vec![place.broker.clone()])
        })
    }

    fn node_key(&self, place: &BusPlace) -> Result<String, KnownError> {
        match &self.node_key {
            Some(key) => Ok(key.clone()),
            None => known::key(&place.node),
        }
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// A node that is asked over a broker.
#[derive(Debug)]
pub(super) struct Bus<'a> {
    pub(super) place: &'a BusPlace,
    pub(super) options: &'a BusOptions,
    pub(super) ca_file: Option<&'a PathBuf>,
}

impl Bus<'_> {
    fn via(&self) -> Via {
        Via::Bus(self.place.clone())
    }

    async fn open(&self) -> Result<Caller, Trouble> {
        let options = self.options.options(self.place, self.ca_file)?;
        let BusPlace { prefix, node, .. } = self.place;
        let caller = Caller::open(options, prefix, node).await;
        caller.map_err(|error| self.trouble(error))
    }

    fn trouble(&self, error: CallError) -> Trouble {
        match matches!(error, CallError::Silent) {
            true => Trouble::Silent(self.via()),
            false => Trouble::Bus(Box::new(self.via()), error),
        }
    }

    pub(super) async fn command(&self, command: &Value) -> Result<(Via, Reply), Trouble> {
        let Some(login) = login(&self.via()) else {
            return Ok((self.via(), nobody(&self.via())));
        };
        let mut caller = self.open().await?;
        let answered = caller.command(&login, command).await;
        caller.close().await;
        let reply = match answered {
            Ok(answer) => Reply::of_value(&self.via(), &answer),
            // Whoever it was: without a login that the node knows there is nothing to be had.
            Err(CallError::Unproven(_)) => nobody(&self.via()),
            Err(error) => return Err(self.trouble(error)),
        };
        Ok((self.via(), reply))
    }

    /// Logs in; `key` is what signs commands from then on.
    pub(super) async fn login(&self, body: &Value, key: &Key) -> Result<(Via, Reply), Trouble> {
        let node_key = self.options.node_key(self.place)?;
        let proof: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
        let mut caller = self.open().await?;
        let answered = caller.log_in(&node_key, key, proof).await;
        caller.close().await;
        let answer = answered.map_err(|error| self.trouble(error))?;
        let reply = Reply::of_value(&self.via(), &answer);
        let id = reply.data().get("login").and_then(Value::as_str);
        let token = id.map(|id| format!("{id}.{}", key.to_text().as_str()));
        Ok((self.via(), reply.with_token(token)))
    }

    /// Listens to the events of the node, after the one with the number `since` if given.
    pub(super) async fn events(
        &self,
        since: Option<u64>,
    ) -> Result<Result<BusStream, Reply>, Trouble> {
        let login = login(&self.via());
        if since.is_some() && login.is_none() {
            return Ok(Err(nobody(&self.via())));
        }
        let caller = self.open().await?;
        let events = caller.events(">").await;
        let mut stream = BusStream {
            via: self.via(),
            source: format!("/pointsman/{}", self.place.node),
            events: events.map_err(|error| self.trouble(error))?,
            caller,
            waiting: VecDeque::new(),
            last: since,
        };
        match login {
            Some(login) if since.is_some() => match stream.catch_up(&login).await {
                Ok(None) => Ok(Ok(stream)),
                Ok(Some(refusal)) => Ok(Err(refusal)),
                Err(CallError::Unproven(_)) => Ok(Err(nobody(&self.via()))),
                Err(error) => Err(self.trouble(error)),
            },
            Some(_) | None => Ok(Ok(stream)),
        }
    }
}

/// Events of a node, from a broker.
pub(in crate::cli) struct BusStream {
    via: Via,
    source: String,
    caller: Caller,
    events: Subscription,
    waiting: VecDeque<Message>,
    last: Option<u64>,
}

impl BusStream {
    /// Asks for the events that happened before we listened; whatever comes twice is left out.
    async fn catch_up(&mut self, login: &Login) -> Result<Option<Reply>, CallError> {
        loop {
            let asked = json!({"command": "events", "since": self.last, "limit": PAGE});
            let answer = self.caller.command(login, &asked).await?;
            let reply = Reply::of_value(&self.via, &answer);
            if reply.error().is_some() {
                return Ok(Some(reply));
            }
            let events = reply.data().get("events").and_then(Value::as_array);
            let events = events.map_or(&[][..], Vec::as_slice);
            for event in events {
                self.take_in(event);
            }
            if events.len() < PAGE {
                return Ok(None);
            }
        }
    }

    /// Puts an event in the row, if it is the node's and comes after those that were there.
    fn take_in(&mut self, event: &Value) {
        let text = |key| event.get(key).and_then(Value::as_str);
        let sequence = text("sequence").and_then(|sequence| sequence.parse::<u64>().ok());
        let Some(sequence) = sequence.filter(|_| text("source") == Some(self.source.as_str()))
        else {
            return;
        };
        if self.last.is_none_or(|last| sequence > last) {
            self.last = Some(sequence);
            self.waiting.push_back(Message {
                id: Some(sequence.to_string()),
                data: event.to_string(),
            });
        }
    }

    /// The next event; `None` when events may have been missed, so that they have to be asked for.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, Trouble> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(Some(message));
            }
            match self.events.next().await {
                Some(Incoming::Message(delivery)) => {
                    if let Body::Whole(body) = &delivery.body
                        && let Ok(event) = serde_json::from_slice(body)
                    {
                        self.take_in(&event);
                    }
                }
                Some(Incoming::Ready | Incoming::Missed(_)) | None => return Ok(None),
                Some(Incoming::Refused(why)) => {
                    let topic = "the events".to_owned();
                    let error = CallError::NoListening(topic, why);
                    return Err(Trouble::Bus(Box::new(self.via.clone()), error));
                }
            }
        }
    }
}

/// The login that is kept for `via`.
fn login(via: &Via) -> Option<Login> {
    let token = Keeper::new(via).token()?;
    let (id, key) = token.split_once('.')?;
    Some(Login {
        id: id.to_owned(),
        key: Key::from_text(key)?,
    })
}

/// What somebody hears whom the node does not know.
fn nobody(via: &Via) -> Reply {
    let error = CommandError::denied("no login, or one that the node does not know");
    Reply::wanting_login(via, &json!({"ok": false, "error": error}))
}
