//! What a command came to: the entry to be recorded with its line of the audit trail, the answer.
//! It must not record or answer anything.

use serde_json::{Map, Value, json};

use super::{
    answer::Answer,
    pipeline::{Asked, now},
    record::{Answered, Entry, Revision},
    tally::Waiting,
};
use crate::model::{
    command::{Command, Options},
    error::CommandError,
    event::Event,
    policy::Authorized,
    state::{Change, State, Target},
};

/// What a command came to, before it is recorded.
pub(super) struct Outcome {
    pub(super) entry: Entry,
    pub(super) answer: Answer,
    pub(super) close: Option<Target>,
    pub(super) reply: Waiting,
}

impl Outcome {
    /// Has the answer and the audit trail say more of what was done.
    pub(super) fn tell(&mut self, more: &Map<String, Value>) {
        if more.is_empty() {
            return;
        }
        self.answer.data = Value::Object(more.clone());
        let audited = self.entry.events.last_mut();
        if let Some(data) = audited.and_then(|event| event.data.as_object_mut()) {
            data.extend(more.clone());
        }
        if let Some(answered) = &mut self.entry.answered {
            answered.answer = self.answer.to_text();
        }
    }
}

pub(super) fn entry(
    state: &State,
    change: &Change,
    authorized: &Authorized,
    options: &Options,
) -> Entry {
    let time = now();
    let revision = change.revises(state).then(|| {
        let revision = Revision {
            revision: change.next.revision,
            time,
            author: authorized.author().to_owned(),
            door: authorized.principal().door,
            reason: options.reason.clone(),
            diff: change.lines.clone(),
        };
        (revision, change.next.topology.clone())
    });
    let jobs = (change.next.jobs != state.jobs).then(|| change.next.jobs.clone());
    Entry {
        time,
        revision,
        jobs,
        events: change.events.clone(),
        ..Entry::default()
    }
}

pub(super) fn done(asked: &Asked, change: &Change, mut entry: Entry) -> Outcome {
    let revision = change.next.revision;
    entry.events.push(audit(asked, revision, None));
    let diff = change.lines.clone();
    let answer = Answer::done(asked.id.clone(), revision, diff, Value::Null);
    entry.answered = answered(asked, &answer);
    Outcome {
        entry,
        answer,
        close: change.close.clone(),
        reply: Waiting::default(),
    }
}

pub(super) fn dry(asked: &Asked, state: &State, change: &Change) -> Outcome {
    let diff = change.lines.clone();
    let answer = Answer::done(asked.id.clone(), state.revision, diff, Value::Null);
    let events = vec![audit(asked, state.revision, None)];
    unchanged(asked, answer, events)
}

pub(super) fn refused(asked: &Asked, revision: u64, error: CommandError) -> Outcome {
    let events = vec![audit(asked, revision, Some(&error))];
    let answer = Answer::refused(asked.id.clone(), revision, error);
    unchanged(asked, answer, events)
}

/// What is left by a command that changes nothing: an answer and the audit trail.
fn unchanged(asked: &Asked, answer: Answer, events: Vec<Event>) -> Outcome {
    let entry = Entry {
        time: now(),
        events,
        answered: answered(asked, &answer),
        ..Entry::default()
    };
    Outcome {
        entry,
        answer,
        close: None,
        reply: Waiting::default(),
    }
}

fn answered(asked: &Asked, answer: &Answer) -> Option<Answered> {
    let once = asked.once.clone()?;
    Some(once.answered(answer.to_text()))
}

/// The line of the audit trail: who, how checked, from where, what, and what came of it.
fn audit(asked: &Asked, revision: u64, error: Option<&CommandError>) -> Event {
    let Asked {
        principal,
        request,
        id,
        ..
    } = asked;
    let mut data = json!({
        "user": principal.user,
        "role": principal.role,
        "by": principal.by,
        "door": principal.door,
        "from": principal.from,
        "command": request.command.name(),
        "id": id,
        "ok": error.is_none(),
        "revision": revision,
    });
    if let Some(arguments) = arguments(&request.command) {
        data["arguments"] = arguments;
    }
    if let Some(error) = error {
        data["code"] = json!(error.code);
        data["message"] = json!(error.message);
    }
    if request.options.dry_run {
        data["dry_run"] = json!(true);
    }
    if let Some(reason) = &request.options.reason {
        data["reason"] = json!(reason);
    }
    Event::new("admin.command", &principal.user, data)
}

/// The longest arguments, as JSON, that the audit trail keeps; of longer ones it has the diff.
const MOST_ARGUMENTS: usize = 4096;

fn arguments(command: &Command) -> Option<Value> {
    let mut arguments = command.to_object();
    arguments.remove("command");
    let arguments = Value::Object(arguments);
    (arguments.to_string().len() <= MOST_ARGUMENTS).then_some(arguments)
}
