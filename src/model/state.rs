//! The state of a node's configuration, and the one way to change it.
//! It must not know what time it is, nor what runs; both are told.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    check::{Names, check, check_names},
    command::{Command, Options},
    compare::compare,
    edit::edit,
    error::CommandError,
    event::Event,
    name::{HostPath, Name},
    policy::{Authorized, Needs, needs},
    topology::{Admin, Service, Topology},
};

/// What is wanted now.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct State {
    /// The number of the saved configuration.
    pub revision: u64,
    /// That configuration.
    pub topology: Topology,
    /// The jobs that wait: for a confirmation, for sessions to end.
    pub jobs: Jobs,
}

/// What waits, and survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Jobs {
    /// A change that is rolled back unless it is confirmed.
    pub pending: Option<Pending>,
    /// Hosts whose sessions run out.
    pub drains: Vec<Drain>,
}

/// A change that waits to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Pending {
    /// The change.
    pub revision: u64,
    /// What is restored without a confirmation.
    pub restore: u64,
    /// Until when it waits: milliseconds since 1970.
    pub until: u64,
    /// What it took, and a confirmation takes.
    pub needs: Needs,
}

/// A host whose sessions run out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Drain {
    /// The host.
    pub host: HostPath,
    /// When the rest are closed: milliseconds since 1970; `None` for never.
    pub until: Option<u64>,
}

/// What a change is told about the world.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Milliseconds since 1970, on a clock that nobody sets: deadlines are counted from it.
    pub now: u64,
    /// What the file or an earlier revision says, for `reload` and `rollback`.
    pub topology: Option<Topology>,
    /// The names that services may use; `None` where they are not to be looked at: what a reload
    /// brings was held against its own settings, and what was not confirmed goes whatever they are.
    pub names: Option<Names>,
}

/// What a command does, before it is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The state after it.
    pub next: State,
    /// What differs, as lines.
    pub lines: Vec<String>,
    /// What happened, as events.
    pub events: Vec<Event>,
    /// The sessions to be closed, once it is in effect.
    pub close: Option<Target>,
}

/// Whose sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host's.
    Host(HostPath),
    /// A service's.
    Service(Name),
}

impl Change {
    /// Whether it makes a new revision of `old`.
    pub fn revises(&self, old: &State) -> bool {
        self.next.revision != old.revision
    }
}

impl State {
    /// What the authorized command would do. This state is left as it is, whatever comes out.
    ///
    /// # Errors
    /// `conflict`, `not-found` or `invalid`, with what and which.
    pub fn apply(
        &self,
        authorized: &Authorized,
        options: &Options,
        given: &Given,
    ) -> Result<Change, CommandError> {
        let command = authorized.command();
        self.expect(command, options)?;
        if let Command::Confirm { revision } = command {
            self.confirm(*revision)
        } else if let Command::CloseSessions { host, service } = command {
            self.close(host.as_ref(), service.as_ref())
        } else if matches!(command, Command::Upgrade {}) {
            Ok(self.stay())
        } else {
            self.edit(authorized, command, options, given)
        }
    }

    fn expect(&self, command: &Command, options: &Options) -> Result<(), CommandError> {
        if let Some(expected) = options.expect_revision
            && expected != self.revision
        {
            let message = format!("revision is {}, not the {expected} expected", self.revision);
            return Err(CommandError::conflict(message));
        }
        match &self.jobs.pending {
            Some(pending)
                if !matches!(
                    command,
                    Command::Confirm { .. } | Command::Rollback { .. } | Command::Upgrade {}
                ) =>
            {
                let message = format!(
                    "revision {} waits to be confirmed or rolled back; nothing else changes meanwhile",
                    pending.revision
                );
                Err(CommandError::conflict(message))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn confirm(&self, revision: Option<u64>) -> Result<Change, CommandError> {
        let Some(pending) = &self.jobs.pending else {
            return Err(CommandError::conflict("no change waits to be confirmed"));
        };
        if revision.is_some_and(|revision| revision != pending.revision) {
            let message = format!(
                "revision {} waits to be confirmed, no other",
                pending.revision
            );
            return Err(CommandError::conflict(message));
        }
        let mut next = self.clone();
        next.jobs.pending = None;
        let data = json!({"revision": pending.revision});
        let events = vec![Event::new("config.confirmed", pending.revision, data)];
        Ok(Change {
            next,
            lines: Vec::new(),
            events,
            close: None,
        })
    }

    /// Another process goes on with this very state, what waits to be confirmed included.
    fn stay(&self) -> Change {
        Change {
            next: self.clone(),
            lines: Vec::new(),
            events: Vec::new(),
            close: None,
        }
    }

    fn close(
        &self,
        host: Option<&HostPath>,
        service: Option<&Name>,
    ) -> Result<Change, CommandError> {
        let close = match (host, service) {
            (Some(host), None) => {
                let found = self.topology.host(host);
                found.ok_or_else(|| CommandError::not_found("host", host))?;
                Target::Host(host.clone())
            }
            (None, Some(service)) => {
                let found = self.topology.service(service);
                found.ok_or_else(|| CommandError::not_found("service", service))?;
                Target::Service(service.clone())
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(CommandError::invalid(
                    "close-sessions takes either a host or a service",
                ));
            }
        };
        Ok(Change {
            next: self.clone(),
            lines: Vec::new(),
            events: Vec::new(),
            close: Some(close),
        })
    }

    fn edit(
        &self,
        authorized: &Authorized,
        command: &Command,
        options: &Options,
        given: &Given,
    ) -> Result<Change, CommandError> {
        let topology = match (edit(&self.topology, command)?, &given.topology) {
            (Some(edited), _) => edited,
            (None, Some(given)) => given.clone(),
            (None, None) => {
                let message = format!("{} changes no configuration", command.name());
                return Err(CommandError::invalid(message));
            }
        };
        let mut problems = check(&topology);
        if let Some(names) = &given.names {
            problems.extend(check_names(&topology, names));
        }
        if !problems.is_empty() {
            return Err(CommandError::problems(&problems));
        }
        if !replaces_all(command) {
            self.keeps_a_host(&topology)?;
        }
        let difference = compare(&self.topology, &topology);
        let mut next = State {
            revision: self.revision,
            topology,
            jobs: self.jobs.clone(),
        };
        next.update_drains(command, given.now);
        let mut events = difference.events;
        if next.topology != self.topology {
            next.revision += 1;
            next.jobs.pending = options.confirm_within.map(|within| Pending {
                revision: next.revision,
                restore: self.revision,
                until: given.now + within.duration().as_millis() as u64,
                needs: needs(command),
            });
            events.extend(revision_event(
                &next,
                authorized,
                command,
                options,
                &difference.lines,
            ));
        } else if matches!(command, Command::Rollback { .. }) {
            next.jobs.pending = None;
        }
        Ok(Change {
            next,
            lines: difference.lines,
            events,
            close: None,
        })
    }

    /// Refuses to leave the active group of a service without a host that takes sessions, where
    /// there was one: a slip of the hand would take the service down.
    fn keeps_a_host(&self, next: &Topology) -> Result<(), CommandError> {
        for service in &next.services {
            let before = self.topology.service(&service.name).is_some_and(serves);
            if before && !serves(service) {
                let group = service
                    .active_group()
                    .map_or("", |group| group.name.as_str());
                let message = format!(
                    "it would leave {}/{group}, the active group, without a host that takes sessions",
                    service.name
                );
                return Err(CommandError::conflict(message));
            }
        }
        Ok(())
    }
}

impl State {
    fn update_drains(&mut self, command: &Command, now: u64) {
        if let Command::DrainHost { host, deadline } = command {
            self.jobs.drains.retain(|drain| drain.host != *host);
            let until = deadline.map(|deadline| now + deadline.duration().as_millis() as u64);
            self.jobs.drains.push(Drain {
                host: host.clone(),
                until,
            });
        }
        let topology = &self.topology;
        self.jobs.drains.retain(|drain| {
            topology
                .host(&drain.host)
                .is_some_and(|host| host.admin == Admin::Draining)
        });
    }
}

fn revision_event(
    next: &State,
    authorized: &Authorized,
    command: &Command,
    options: &Options,
    lines: &[String],
) -> Vec<Event> {
    let author = authorized.author();
    let mut data = json!({
        "revision": next.revision,
        "author": author,
        "door": authorized.principal().door,
        "diff": lines,
    });
    if let Some(reason) = &options.reason {
        data["reason"] = json!(reason);
    }
    let mut events = vec![Event::new("config.changed", next.revision, data)];
    if let Command::Rollback { revision } = command {
        let data = json!({"revision": next.revision, "to": revision, "author": author});
        events.push(Event::new("config.rolled-back", next.revision, data));
    }
    events
}

/// Whether the command names the whole configuration, so that nothing in it is a slip.
fn replaces_all(command: &Command) -> bool {
    matches!(
        command,
        Command::Replace { .. } | Command::Reload {} | Command::Rollback { .. }
    )
}

/// Whether any host of the active group takes sessions.
fn serves(service: &Service) -> bool {
    service.active_group().is_some_and(|group| {
        group
            .hosts
            .iter()
            .any(|host| host.admin == Admin::Enabled && host.weight.get() > 0)
    })
}
