//! A stand-in for the control task, for the tests of doors: it answers as it is told.
//! It must not be used where anything is to happen.

use std::sync::mpsc::sync_channel;

use tokio::sync::broadcast;

use super::{
    answer::Answer,
    handle::{Control, Message, WAITING},
    pipeline::Asked,
    record::{Entry, InMemory, Record, RecordError},
};
use crate::model::{
    command::Request,
    error::{Code, CommandError},
    name::Name,
    principal::Principal,
};

impl Control {
    /// A handle on a task that has `answer` answer commands, and records and publishes events.
    /// A subscriber may lag `lag` events behind.
    #[doc(hidden)]
    pub fn stand_in(
        node: Name,
        lag: usize,
        answer: impl Fn(Principal, Request, String) -> Answer + Send + 'static,
    ) -> Self {
        let (messages, waiting) = sync_channel(WAITING);
        let (published, _) = broadcast::channel(lag);
        let publish = published.clone();
        std::thread::spawn(move || {
            let mut record = InMemory::default();
            while let Ok(message) = waiting.recv() {
                if matches!(message, Message::Stop) {
                    return;
                }
                take(message, &mut record, &publish, &answer);
            }
        });
        Self {
            messages: messages.into(),
            published,
            epoch: "memory".into(),
            node,
            succession: None,
            access: None,
            tally: std::sync::Arc::default(),
        }
    }
}

/// Whoever asked may be gone; then nobody hears the answer.
fn take(
    message: Message,
    record: &mut InMemory,
    publish: &broadcast::Sender<super::record::Recorded>,
    answer: &impl Fn(Principal, Request, String) -> Answer,
) {
    match message {
        Message::Execute(asked) => {
            let Asked {
                principal,
                request,
                id,
                once,
                reply,
                before: _,
                successor: _,
            } = *asked;
            let answer = answer(principal, request, id);
            let entry = Entry {
                answered: once.map(|once| once.answered(answer.to_text())),
                ..Entry::default()
            };
            // Memory always takes it.
            let _ = record.record(&[entry]);
            super::pipeline::reply(reply, answer);
        }
        Message::Record { entry, reply } => {
            let recorded = record.record(&[*entry]);
            for event in recorded.iter().flatten() {
                let _ = publish.send(event.clone());
            }
            let _ = reply.send(recorded.map(drop).map_err(unavailable));
        }
        Message::Seen { id, reply } => {
            let seen = super::record::seen(record, &id);
            let _ = reply.send(seen.map_err(unavailable));
        }
        Message::Revision { reply } => drop(reply.send(1)),
        Message::Leave { reply } => drop(reply.send(())),
        Message::Stop | Message::Happened => {}
        Message::Kept { prefix, reply } => {
            let _ = reply.send(record.kept(&prefix).map_err(unavailable));
        }
        Message::Events {
            since,
            limit,
            reply,
        } => {
            let _ = reply.send(record.events(since, limit).map_err(unavailable));
        }
    }
}

fn unavailable(error: RecordError) -> CommandError {
    CommandError::new(Code::Unavailable, error.to_string())
}
