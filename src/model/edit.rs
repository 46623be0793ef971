//! What each command does to a topology, and nothing more.
//! It must not ask who gives the command, nor whether the result can be run.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    command::{Changes, Command, fields},
    error::CommandError,
    name::{GroupPath, HostPath, Name},
    topology::{Admin, Group, Host, Service, Topology},
};

/// `topology` as `command` makes it; `None` for a command that does not edit it by itself.
///
/// # Errors
/// `not-found`, `conflict` or `invalid`, with what and which.
#[expect(
    clippy::too_many_lines,
    reason = "an arm for each command, and nothing else"
)]
pub(super) fn edit(
    topology: &Topology,
    command: &Command,
) -> Result<Option<Topology>, CommandError> {
    let mut next = topology.clone();
    match command {
        Command::EnableHost { host } => find_host(&mut next, host)?.admin = Admin::Enabled,
        Command::DisableHost { host } => find_host(&mut next, host)?.admin = Admin::Disabled,
        Command::DrainHost { host, .. } => find_host(&mut next, host)?.admin = Admin::Draining,
        Command::SetWeight { host, weight } => find_host(&mut next, host)?.weight = *weight,
        Command::AddHost { host, object } => {
            let group = find_group(&mut next, &host.group_path())?;
            add(
                &mut group.hosts,
                object.clone(),
                |host| &host.name,
                "host",
                host,
            )?;
        }
        Command::RemoveHost { host } => {
            find_host(&mut next, host)?;
            find_group(&mut next, &host.group_path())?
                .hosts
                .retain(|other| other.name != host.host);
        }
        Command::SetHost { host, changes } => {
            let found = find_host(&mut next, host)?;
            *found = merged(found, changes, &["name"])?;
        }
        Command::ActivateGroup { group } => {
            find_group(&mut next, group)?;
            find_service(&mut next, &group.service)?.active = Some(group.group.clone());
        }
        Command::AddGroup { group, object } => {
            let service = find_service(&mut next, &group.service)?;
            add(
                &mut service.groups,
                (**object).clone(),
                |group| &group.name,
                "group",
                group,
            )?;
        }
        Command::RemoveGroup { group } => remove_group(&mut next, group)?,
        Command::SetGroup { group, changes } => {
            let found = find_group(&mut next, group)?;
            *found = merged(found, changes, &["name"])?;
        }
        Command::AddService { service, object } => {
            add(
                &mut next.services,
                (**object).clone(),
                |service| &service.name,
                "service",
                service,
            )?;
        }
        Command::RemoveService { service } => {
            find_service(&mut next, service)?;
            next.services.retain(|other| other.name != *service);
        }
        Command::SetService { service, changes } => {
            let found = find_service(&mut next, service)?;
            *found = merged(found, changes, &["name", "listen"])?;
        }
        Command::SetListen { service, listen } => {
            find_service(&mut next, service)?.listen.clone_from(listen);
        }
        Command::Replace { services } => next.services.clone_from(services),
        Command::Status {}
        | Command::Whoami {}
        | Command::Help {}
        | Command::Show { .. }
        | Command::History { .. }
        | Command::Diff { .. }
        | Command::Events { .. }
        | Command::Explain { .. }
        | Command::CloseSessions { .. }
        | Command::Reload {}
        | Command::Rollback { .. }
        | Command::Confirm { .. }
        | Command::Logout {}
        | Command::Logins {}
        | Command::EndLogin { .. }
        | Command::ExplainAccess { .. }
        | Command::Upgrade {} => return Ok(None),
    }
    Ok(Some(next))
}

fn remove_group(topology: &mut Topology, path: &GroupPath) -> Result<(), CommandError> {
    find_group(topology, path)?;
    let service = find_service(topology, &path.service)?;
    if service
        .active_group()
        .is_some_and(|active| active.name == path.group)
    {
        return Err(CommandError::conflict(format!(
            "group {path} is active; activate another first"
        )));
    }
    service.groups.retain(|other| other.name != path.group);
    Ok(())
}

fn find_service<'a>(
    topology: &'a mut Topology,
    name: &Name,
) -> Result<&'a mut Service, CommandError> {
    let found = topology
        .services
        .iter_mut()
        .find(|service| service.name == *name);
    found.ok_or_else(|| CommandError::not_found("service", name))
}

fn find_group<'a>(
    topology: &'a mut Topology,
    path: &GroupPath,
) -> Result<&'a mut Group, CommandError> {
    let service = find_service(topology, &path.service)?;
    let found = service
        .groups
        .iter_mut()
        .find(|group| group.name == path.group);
    found.ok_or_else(|| CommandError::not_found("group", path))
}

fn find_host<'a>(
    topology: &'a mut Topology,
    path: &HostPath,
) -> Result<&'a mut Host, CommandError> {
    let group = find_group(topology, &path.group_path())?;
    let found = group.hosts.iter_mut().find(|host| host.name == path.host);
    found.ok_or_else(|| CommandError::not_found("host", path))
}

fn add<T>(
    list: &mut Vec<T>,
    item: T,
    name: impl Fn(&T) -> &Name,
    kind: &str,
    path: &impl ToString,
) -> Result<(), CommandError> {
    if list.iter().any(|other| name(other) == name(&item)) {
        return Err(CommandError::conflict(format!(
            "{kind} {} exists already",
            path.to_string()
        )));
    }
    list.push(item);
    Ok(())
}

/// `object` with `changes` to its keys: a value replaces the whole key, `null` restores the
/// default. The keys in `fixed` cannot be changed so.
fn merged<T: Serialize + DeserializeOwned>(
    object: &T,
    changes: &Changes,
    fixed: &[&str],
) -> Result<T, CommandError> {
    if changes.is_empty() {
        return Err(CommandError::invalid("there is no key to change"));
    }
    let mut keys = fields(object);
    for (key, value) in changes {
        if fixed.contains(&key.as_str()) {
            return Err(CommandError::invalid(format!(
                "`{key}` cannot be changed by this command"
            )));
        }
        if value.is_null() {
            let known = keys.remove(key).is_some() || is_known::<T>(key);
            if !known {
                return Err(CommandError::invalid(format!("unknown field `{key}`")));
            }
        } else {
            keys.insert(key.clone(), value.clone());
        }
    }
    serde_json::from_value(Value::Object(keys))
        .map_err(|error| CommandError::invalid(error.to_string()))
}

/// Whether an object of this type has a key `key`: asked of the one who knows.
fn is_known<T: DeserializeOwned>(key: &str) -> bool {
    let only = Value::Object([(key.to_owned(), Value::Null)].into_iter().collect());
    match serde_json::from_value::<T>(only) {
        Ok(_) => true,
        Err(error) => !error.to_string().starts_with("unknown field"),
    }
}
