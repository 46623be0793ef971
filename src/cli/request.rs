//! From what was typed to the command that is sent.
//! It must not read files, ask anybody or send anything.

use serde_json::{Map, Value, json};

use super::arguments::{Auth, Explain, Group, Host, OneGroup, OneHost, Pair, Remote, Service};
use crate::model::{
    command::{Command, Options, Request},
    error::CommandError,
};

/// Why there is no command in what was typed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    /// It is not how the command is used.
    #[error("{0}")]
    Usage(String),
    /// It would not make what it is to make.
    #[error("{0}")]
    Invalid(#[from] CommandError),
}

/// The command of `action`.
pub(super) fn request(action: Remote) -> Result<Request, Wrong> {
    Ok(match action {
        Remote::Status { watch: _ } => Command::Status {}.into(),
        Remote::Show { service } => Command::Show { service }.into(),
        Remote::Explain(explain) => self::explain(explain)?.into(),
        Remote::Host(host) => self::host(host)?,
        Remote::Group(group) => self::group(group)?,
        Remote::Service(service) => self::service(service)?,
        Remote::CloseSessions { name, change } => changing(close_sessions(&name)?, change),
        Remote::Reload { change } => changing(Command::Reload {}, change),
        Remote::Upgrade { change } => changing(Command::Upgrade {}, change),
        Remote::History { limit } => Command::History { limit }.into(),
        Remote::Diff { from, to } => Command::Diff { from, to }.into(),
        Remote::Rollback { revision, change } => changing(Command::Rollback { revision }, change),
        Remote::Confirm { revision, change } => changing(Command::Confirm { revision }, change),
        Remote::Events(events) => {
            let (since, limit) = (events.since, events.limit);
            Command::Events { since, limit }.into()
        }
        Remote::Whoami => Command::Whoami {}.into(),
        Remote::Logout => Command::Logout {}.into(),
        Remote::Logins => Command::Logins {}.into(),
        Remote::EndLogin { login } => Command::EndLogin { login }.into(),
        Remote::Auth(Auth::Explain { user }) => Command::ExplainAccess { user }.into(),
        Remote::Auth(Auth::Test { .. }) => {
            return Err(usage("a trial asks the directories, not a node"));
        }
    })
}

pub(super) fn changing(command: Command, change: impl Into<Options>) -> Request {
    Request {
        command,
        options: change.into(),
    }
}

fn explain(Explain { name, client }: Explain) -> Result<Command, Wrong> {
    let (host, service) = match (name.contains('/'), client) {
        (true, None) => (Some(name.parse().map_err(usage)?), None),
        (false, Some(_)) => (None, Some(name.parse().map_err(usage)?)),
        (true, Some(_)) => {
            let message = "--client goes with a service; for a host there is no client to look at";
            return Err(usage(message));
        }
        (false, None) => {
            let message = format!(
                "to explain service {name}, say for which client: --client IP; \
                 to explain a host, name it service/group/host"
            );
            return Err(usage(message));
        }
    };
    Ok(Command::Explain {
        host,
        service,
        client,
    })
}

fn close_sessions(name: &str) -> Result<Command, Wrong> {
    let (host, service) = match name.contains('/') {
        true => (Some(name.parse().map_err(usage)?), None),
        false => (None, Some(name.parse().map_err(usage)?)),
    };
    Ok(Command::CloseSessions { host, service })
}

fn host(action: Host) -> Result<Request, Wrong> {
    Ok(match action {
        Host::Add {
            host,
            address,
            weight,
            max_sessions,
            admin,
            change,
        } => {
            let mut object = Map::new();
            object.insert("address".to_owned(), json!(address));
            let weight = weight.map(|weight| json!(weight));
            object.extend(weight.map(|weight| ("weight".to_owned(), weight)));
            let most = max_sessions.map(|count| json!(count));
            object.extend(most.map(|count| ("max_sessions".to_owned(), count)));
            object.extend(admin.map(|admin| ("admin".to_owned(), admin.into())));
            adding("add-host", ("host", host), object, change)?
        }
        Host::Remove(OneHost { host, change }) => changing(Command::RemoveHost { host }, change),
        Host::Enable(OneHost { host, change }) => changing(Command::EnableHost { host }, change),
        Host::Disable(OneHost { host, change }) => changing(Command::DisableHost { host }, change),
        Host::Drain {
            host,
            deadline,
            change,
        } => changing(Command::DrainHost { host, deadline }, change),
        Host::Weight {
            host,
            weight,
            change,
        } => changing(Command::SetWeight { host, weight }, change),
        Host::Set {
            host,
            pairs,
            change,
        } => {
            let changes = Pair::object(pairs.pairs, &["host"]).map_err(usage)?;
            changing(Command::SetHost { host, changes }, change)
        }
    })
}

fn group(action: Group) -> Result<Request, Wrong> {
    Ok(match action {
        Group::Add {
            group,
            pairs,
            change,
        } => {
            let object = Pair::object(pairs.pairs, &["group"]).map_err(usage)?;
            adding("add-group", ("group", group), object, change)?
        }
        Group::Remove(OneGroup { group, change }) => {
            changing(Command::RemoveGroup { group }, change)
        }
        Group::Activate(OneGroup { group, change }) => {
            changing(Command::ActivateGroup { group }, change)
        }
        Group::Set {
            group,
            pairs,
            change,
        } => {
            let changes = Pair::object(pairs.pairs, &["group"]).map_err(usage)?;
            changing(Command::SetGroup { group, changes }, change)
        }
    })
}

fn service(action: Service) -> Result<Request, Wrong> {
    Ok(match action {
        Service::Add {
            service,
            listen,
            groups,
            pairs,
            change,
        } => {
            let mut object = Pair::object(pairs.pairs, &["service", "listen"]).map_err(usage)?;
            object.insert("listen".to_owned(), json!(listen));
            if !object.contains_key("group") {
                // A service needs a group to be one.
                let named: Vec<Value> = match groups.is_empty() {
                    true => vec![json!({"name": "main"})],
                    false => groups.iter().map(|name| json!({"name": name})).collect(),
                };
                object.insert("group".to_owned(), named.into());
            } else if !groups.is_empty() {
                return Err(usage("give --group or group=, not both"));
            }
            adding("add-service", ("service", service), object, change)?
        }
        Service::Remove { service, change } => changing(Command::RemoveService { service }, change),
        Service::Listen {
            service,
            listen,
            change,
        } => changing(Command::SetListen { service, listen }, change),
        Service::Set {
            service,
            pairs,
            change,
        } => {
            let changes = Pair::object(pairs.pairs, &["service"]).map_err(usage)?;
            if changes.contains_key("listen") {
                return Err(usage("for addresses there is `service listen`"));
            }
            changing(Command::SetService { service, changes }, change)
        }
    })
}

/// The command that adds a thing, read as every door reads it. Keys that are `null` are left out:
/// the new thing has its defaults anyway.
fn adding(
    name: &str,
    (key, path): (&str, impl ToString),
    mut object: Map<String, Value>,
    change: impl Into<Options>,
) -> Result<Request, Wrong> {
    object.retain(|_, value| !value.is_null());
    object.insert("command".to_owned(), name.into());
    object.insert(key.to_owned(), path.to_string().into());
    let request = Request::from_json(Value::Object(object))?;
    Ok(changing(request.command, change))
}

fn usage(message: impl ToString) -> Wrong {
    Wrong::Usage(message.to_string())
}
