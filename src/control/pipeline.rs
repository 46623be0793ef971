//! The pipeline: the one way in which anything changes, in the one order in which it does.
//! It must not know which door a command came by, beyond writing it down.
//!
//! Authorize, apply, prepare, record, commit, publish, reply. Whether the caller still is who
//! they were was asked before ([`super::handle`]). What comes before `record`
//! may refuse and leaves no trace but in the audit trail; what comes after it cannot fail.
//! Commands that wait together share one transaction and one file; each is answered after both.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::sync::broadcast;

use super::{
    answer::Answer,
    balancer::Balancer,
    fault,
    outcome::{Outcome, done, dry, entry, refused},
    outside::{Access, Bus, File, PreparedFile},
    prepare::PreparedChange,
    record::{Entry, Once, Record, RecordError, Recorded},
    succession::Successor,
    tally::{Tally, Waiting},
};
use crate::model::{
    command::{Command, Request},
    error::{Code, CommandError},
    name::{HostPath, Name},
    policy::authorize,
    principal::{Door, Principal},
    state::{Change, Given, State},
};

/// Everything that a change goes through.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) node: Name,
    pub(super) state: State,
    pub(super) balancer: Arc<Balancer>,
    pub(super) record: Box<dyn Record>,
    pub(super) file: Option<Box<dyn File>>,
    pub(super) access: Option<Arc<dyn Access>>,
    pub(super) bus: Option<Arc<dyn Bus>>,
    pub(super) published: broadcast::Sender<Recorded>,
    pub(super) tally: Arc<Tally>,
    /// The digest of the text that a reload is taking in.
    pub(super) reloaded: Option<Vec<u8>>,
    /// Sessions on hosts at the moment when they began to drain, until they are first looked at.
    pub(super) drained_from: HashMap<HostPath, u32>,
    /// A text whose renaming failed; it is tried again.
    pub(super) unwritten: Option<Box<dyn PreparedFile>>,
    /// Why the file was left alone by what was prepared last.
    pub(super) left_alone: Option<String>,
}

/// A command that waits for its answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) principal: Principal,
    pub(super) request: Request,
    pub(super) id: String,
    /// What was looked up elsewhere before, to answer it; or why it is to be refused.
    pub(super) before: Result<Vec<String>, CommandError>,
    /// The process that waits to take over, where it is an upgrade.
    pub(super) successor: Option<Box<dyn Successor>>,
    /// Where it is carried out once, however often it comes.
    pub(super) once: Option<Once>,
    pub(super) reply: Waiting,
}

impl Pipeline {
    /// Carries out changes that wait together. Where the world refuses them together, each is
    /// tried alone, so that one cannot spoil another.
    pub(super) fn execute(&mut self, asked: Vec<Asked>) {
        let several = asked.len() > 1;
        self.reloaded = None;
        let (next, outcomes) = self.apply_all(&asked);
        let by_timer = asked.iter().all(|one| one.principal.door == Door::Timer);
        fault::reached(fault::BEFORE_PREPARE);
        match self.prepare(&next, by_timer) {
            Ok(prepared) => {
                fault::reached(fault::AFTER_PREPARE);
                let outcomes = join(outcomes, asked);
                self.record_and_commit(next, outcomes, prepared);
            }
            Err(_) if several => {
                for one in asked {
                    self.execute(vec![one]);
                }
            }
            Err(error) => {
                for one in asked {
                    self.refuse(one, error.clone());
                }
            }
        }
    }

    /// Authorizes and applies each to what the one before it left.
    fn apply_all(&mut self, asked: &[Asked]) -> (State, Vec<Outcome>) {
        let mut next = self.state.clone();
        let mut outcomes = Vec::with_capacity(asked.len());
        for one in asked {
            let outcome = match self.apply(&next, one) {
                Ok((change, _)) if one.request.options.dry_run => self.try_out(one, &next, &change),
                Ok((change, entry)) => {
                    let outcome = done(one, &change, entry);
                    next = change.next;
                    outcome
                }
                Err(error) => {
                    self.reloaded = None;
                    refused(one, next.revision, error)
                }
            };
            outcomes.push(outcome);
        }
        (next, outcomes)
    }

    /// A dry run: gets ready as for the change itself, unseen, and leaves it at that.
    fn try_out(&mut self, asked: &Asked, state: &State, change: &Change) -> Outcome {
        let ready = self.prepare(&change.next, false);
        self.reloaded = None;
        match ready {
            Ok(PreparedChange { settings, .. }) => {
                let mut outcome = dry(asked, state, change);
                if let Some(settings) = settings {
                    outcome.tell(&settings.told);
                }
                outcome
            }
            Err(error) => refused(asked, state.revision, error),
        }
    }

    pub(super) fn apply(
        &mut self,
        state: &State,
        asked: &Asked,
    ) -> Result<(Change, Entry), CommandError> {
        let Asked {
            principal, request, ..
        } = asked;
        let now = match &self.access {
            Some(access) => &access.standing(principal)?,
            None => principal,
        };
        let pending = state.jobs.pending.as_ref().map(|pending| &pending.needs);
        let authorized = authorize(now, request.command.clone(), pending)?;
        let given = self.given(&request.command, principal.door)?;
        let change = state.apply(&authorized, &request.options, &given)?;
        let entry = entry(state, &change, &authorized, &request.options);
        Ok((change, entry))
    }

    /// What the command needs to be told: the time, which names there are, and for some another
    /// configuration.
    fn given(&mut self, command: &Command, door: Door) -> Result<Given, CommandError> {
        let is_reload = matches!(command, Command::Reload {});
        let heeds_names = !is_reload && door != Door::Timer;
        let file = self.file.as_ref().filter(|_| heeds_names);
        let names = file.map(|file| file.names());
        let topology = if let Command::Rollback { revision } = command {
            let found = self.record.topology(*revision).map_err(unreadable)?;
            Some(found.ok_or_else(|| CommandError::not_found("revision", revision))?)
        } else if is_reload {
            let Some(file) = &mut self.file else {
                return Err(CommandError::invalid("there is no file to reload"));
            };
            let (topology, digest) = file.read()?;
            self.reloaded = Some(digest);
            Some(topology)
        } else {
            None
        };
        Ok(Given {
            now: self.balancer.now(),
            topology,
            names,
        })
    }

    fn record_and_commit(
        &mut self,
        next: State,
        mut outcomes: Vec<Outcome>,
        prepared: PreparedChange,
    ) {
        let PreparedChange {
            runtime,
            probes,
            text,
            settings,
        } = prepared;
        let digest = match (&text, &self.left_alone, &self.file) {
            (Some(text), _, _) => Some(text.digest()),
            (None, Some(_), Some(file)) => Some(file.left_alone()),
            (None, _, _) => self.reloaded.clone(),
        };
        if let Some(last) = outcomes.last_mut() {
            last.entry.file_digest = digest;
            if let Some(settings) = &settings {
                last.tell(&settings.told);
            }
        }
        let entries: Vec<Entry> = outcomes
            .iter_mut()
            .map(|outcome| std::mem::take(&mut outcome.entry))
            .collect();
        fault::reached(fault::BEFORE_RECORD);
        let events = match self.record_all(&entries) {
            Ok(events) => events,
            Err(error) => return fail_all(outcomes, self.state.revision, &error),
        };
        fault::reached(fault::AFTER_RECORD);
        self.count_drains(&next);
        let has_changed = runtime.is_some();
        let means = settings.as_ref().map(|settings| settings.means.clone());
        self.balancer.commit_with(runtime, probes, means);
        if has_changed {
            fault::reached(fault::AFTER_COMMIT);
            self.unwritten = text;
            self.write_file(next.revision);
            if let Some(message) = self.left_alone.take() {
                self.tell_conflict(&message, next.revision);
            }
        }
        if let (Some(file), Some(digest)) = (&mut self.file, self.reloaded.take()) {
            file.adopt(digest, next.revision);
        }
        if let Some(settings) = settings {
            (settings.commit)();
        }
        self.tally.is_at(next.revision);
        self.state = next;
        for close in outcomes.iter().filter_map(|outcome| outcome.close.as_ref()) {
            self.balancer.close_sessions(close);
        }
        self.publish(events);
        fault::reached(fault::BEFORE_REPLY);
        for outcome in outcomes {
            reply(outcome.reply, outcome.answer);
        }
    }

    /// Answers a refusal that was found before or beside the pipeline, and writes it down.
    pub(super) fn refuse(&mut self, asked: Asked, error: CommandError) {
        let revision = self.state.revision;
        let outcome = refused(&asked, revision, error);
        let answer = match self.record_all(&[outcome.entry]) {
            Ok(events) => {
                self.publish(events);
                outcome.answer
            }
            // An answer that could not be recorded is none.
            Err(error) if asked.once.is_some() => {
                Answer::refused(asked.id, revision, unavailable(&error))
            }
            Err(_) => outcome.answer,
        };
        reply(asked.reply, answer);
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

pub(super) fn reply(waiting: Waiting, answer: Answer) {
    waiting.reply(answer);
}

fn join(outcomes: Vec<Outcome>, asked: Vec<Asked>) -> Vec<Outcome> {
    let pairs = outcomes.into_iter().zip(asked);
    pairs
        .map(|(outcome, asked)| Outcome {
            reply: asked.reply,
            ..outcome
        })
        .collect()
}

fn fail_all(outcomes: Vec<Outcome>, revision: u64, error: &RecordError) {
    for outcome in outcomes {
        let id = outcome.answer.id;
        reply(
            outcome.reply,
            Answer::refused(id, revision, unavailable(error)),
        );
    }
}

pub(super) fn unavailable(error: &RecordError) -> CommandError {
    CommandError::new(Code::Unavailable, error.to_string())
}

pub(super) fn unreadable(error: RecordError) -> CommandError {
    unavailable(&error)
}
