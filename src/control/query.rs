//! Answers to commands that change nothing.
//! It must not show anybody what lies outside their scope.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{
    cloud_event::{cloud_event, visible},
    outside::Told,
    pipeline::{Pipeline, unreadable},
    record::{Recorded, Revision},
};
use crate::model::{
    catalogue::CATALOGUE,
    command::Command,
    compare::compare,
    error::CommandError,
    name::Name,
    policy::Authorized,
    principal::{Principal, Scope},
    topology::{Service, Topology},
};

/// What `history` and `events` give when nobody says how many.
const SOME: u32 = 50;
/// What they give at most.
const MANY: u32 = 10_000;

/// The data of the answer.
///
/// # Errors
/// `not-found` and the like, with what and which.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the others are about people"
)]
pub(super) fn answer(
    pipeline: &mut Pipeline,
    authorized: &Authorized,
    found: &[String],
) -> Result<Told, CommandError> {
    let principal = authorized.principal();
    let scope = &principal.services;
    let data = match authorized.command() {
        Command::Status {} => Ok(super::status_json::node(pipeline, scope)),
        Command::Whoami {} => whoami(pipeline, principal),
        Command::Help {} => Ok(help()),
        Command::Show { service } => show(&pipeline.state.topology, service.as_ref(), scope),
        Command::History { limit } => history(pipeline, *limit, scope),
        Command::Diff { from, to } => diff(pipeline, *from, *to, scope),
        Command::Events { since, limit } => events(pipeline, *since, *limit, principal),
        Command::Explain {
            host,
            service,
            client,
        } => super::explain::explain(pipeline, host.as_ref(), service.as_ref(), *client),
        command => {
            let Some(access) = &pipeline.access else {
                return Err(CommandError::invalid(
                    "nobody can log in here: there is no [auth]",
                ));
            };
            return access.answer(principal, command, found);
        }
    }?;
    Ok(Told {
        data,
        ..Told::default()
    })
}

/// Takes the diff out of the data, where the answer has one.
pub(super) fn split(mut data: Value) -> (Vec<String>, Value) {
    let lines = data
        .as_object_mut()
        .and_then(|object| object.remove("diff"));
    let lines = lines
        .and_then(|lines| serde_json::from_value(lines).ok())
        .unwrap_or_default();
    (lines, data)
}

/// What the login gave, without the token; without a login, what there is of that.
fn whoami(pipeline: &Pipeline, principal: &Principal) -> Result<Value, CommandError> {
    if let (Some(_), Some(access)) = (&principal.login, &pipeline.access) {
        return Ok(access.answer(principal, &Command::Whoami {}, &[])?.data);
    }
    Ok(json!({
        "user": principal.user,
        "role": principal.role,
        "services": principal.services,
        "by": principal.by,
    }))
}

fn help() -> Value {
    let row = |entry: &crate::model::catalogue::Entry| json!({"command": entry.name, "arguments": entry.arguments, "role": entry.role, "help": entry.help});
    json!({"commands": CATALOGUE.iter().map(row).collect::<Vec<_>>()})
}

fn show(topology: &Topology, wanted: Option<&Name>, scope: &Scope) -> Result<Value, CommandError> {
    if let Some(name) = wanted {
        topology
            .service(name)
            .ok_or_else(|| CommandError::not_found("service", name))?;
    }
    let wanted = |service: &&Service| {
        scope.covers(&service.name) && wanted.is_none_or(|name| service.name == *name)
    };
    let services: Vec<&Service> = topology.services.iter().filter(wanted).collect();
    Ok(json!({"services": services}))
}

fn history(pipeline: &Pipeline, limit: Option<u32>, scope: &Scope) -> Result<Value, CommandError> {
    let limit = limit.unwrap_or(SOME).min(MANY) as usize;
    let mut revisions = pipeline.record.history(limit).map_err(unreadable)?;
    for revision in &mut revisions {
        revision
            .diff
            .retain(|line| scope.is_all() || line_is_in(line, scope));
    }
    // The author and the reason of what is about other services are nothing to show either.
    revisions.retain(|revision| scope.is_all() || !revision.diff.is_empty());
    let shown = |revision: &Revision| {
        let mut shown = json!(revision);
        let time = UNIX_EPOCH + Duration::from_millis(revision.time);
        shown["time"] = json!(humantime::format_rfc3339_millis(time).to_string());
        shown
    };
    let revisions: Vec<Value> = revisions.iter().map(shown).collect();
    Ok(json!({"revisions": revisions}))
}

/// Whether a line of a diff (`~ web/blue/w1 weight: 5 → 2`) is about a service in `scope`.
fn line_is_in(line: &str, scope: &Scope) -> bool {
    let path = line.split(' ').nth(1).unwrap_or("");
    let service = path.split('/').next().unwrap_or("");
    service
        .parse()
        .is_ok_and(|service: Name| scope.covers(&service))
}

fn diff(
    pipeline: &mut Pipeline,
    from: Option<u64>,
    to: Option<u64>,
    scope: &Scope,
) -> Result<Value, CommandError> {
    let running = pipeline.state.topology.clone();
    let (old, new) = match (from, to, &mut pipeline.file) {
        (Some(from), to, _) => {
            let new = to
                .map(|to| revision(pipeline, to))
                .transpose()?
                .unwrap_or(running);
            (revision(pipeline, from)?, new)
        }
        (None, Some(_), _) => {
            return Err(CommandError::invalid(
                "diff takes `to` only together with `from`",
            ));
        }
        (None, None, Some(file)) => (running, file.read()?.0),
        (None, None, None) => {
            return Err(CommandError::invalid("there is no file to compare with"));
        }
    };
    let mut lines = compare(&old, &new).lines;
    lines.retain(|line| scope.is_all() || line_is_in(line, scope));
    Ok(json!({"diff": lines}))
}

fn revision(pipeline: &Pipeline, number: u64) -> Result<Topology, CommandError> {
    let found = pipeline.record.topology(number).map_err(unreadable)?;
    found.ok_or_else(|| CommandError::not_found("revision", number))
}

fn events(
    pipeline: &Pipeline,
    since: Option<u64>,
    limit: Option<u32>,
    principal: &Principal,
) -> Result<Value, CommandError> {
    let limit = limit.unwrap_or(SOME).min(MANY);
    let newest = pipeline.record.last_sequence().map_err(unreadable)?;
    let since = since.unwrap_or_else(|| newest.saturating_sub(u64::from(limit)));
    let events = pipeline
        .record
        .events(since, limit as usize)
        .map_err(unreadable)?;
    let epoch = pipeline.record.epoch();
    let shown = events.into_iter().filter_map(|recorded| {
        let event = visible(&recorded.event, principal)?;
        Some(cloud_event(
            &Recorded { event, ..recorded },
            &pipeline.node,
            &epoch,
        ))
    });
    let shown: Vec<Value> = shown.collect();
    Ok(json!({"events": shown}))
}
