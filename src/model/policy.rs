//! Who may do what: the one maker of [`Authorized`], without which nothing changes.
//! It must not ask anybody; it judges by the principal and the command alone.

use super::{
    catalogue::entry,
    command::Command,
    error::CommandError,
    name::Name,
    principal::{Principal, Role},
};

/// A command that its principal may give. Only [`authorize`] makes one: nobody else can write one
/// down, and none can be read from a text.
///
/// ```compile_fail,E0451
/// use pointsman::model::{command::Command, policy::Authorized, principal::{Door, Principal}};
///
/// let principal = Principal::part("eve", Door::Library);
/// let forged = Authorized { principal, command: Command::Reload {} };
/// ```
///
/// ```compile_fail,E0277
/// let forged: pointsman::model::policy::Authorized = serde_json::from_str("{}").unwrap();
/// ```
///
/// ```compile_fail,E0599
/// let forged = pointsman::model::policy::Authorized::default();
/// ```
///
/// And nothing but one changes a state:
///
/// ```compile_fail,E0308
/// use pointsman::model::{command::{Command, Options}, state::{Given, State}};
///
/// let given = Given::default();
/// State::default().apply(&Command::Reload {}, &Options::default(), &given);
/// ```
#[derive(Clone, Debug)]
pub struct Authorized {
    principal: Principal,
    command: Command,
}

impl Authorized {
    /// Who gives it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What it is.
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// Whose work a revision is that comes of it: what a reload takes in, somebody wrote into the
    /// file.
    pub fn author(&self) -> &str {
        let from_file = matches!(self.command, Command::Reload {});
        if from_file {
            "file"
        } else {
            &self.principal.user
        }
    }
}

/// What a change takes that waits to be confirmed: whoever confirms it needs the same.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Needs {
    /// The role.
    pub role: Role,
    /// The service, or all of them.
    pub service: Option<Name>,
}

/// What `command` takes.
pub fn needs(command: &Command) -> Needs {
    let role = entry(&command.name()).map_or(Role::Admin, |entry| entry.role);
    Needs {
        role,
        service: service(command).cloned(),
    }
}

/// Lets `principal` give `command`, or says why not. `pending` is what the change that waits for
/// confirmation took, if one does.
///
/// # Errors
/// `denied`, with what is missing.
pub fn authorize(
    principal: &Principal,
    command: Command,
    pending: Option<&Needs>,
) -> Result<Authorized, CommandError> {
    let needs = match (&command, pending) {
        (Command::Confirm { .. }, Some(pending)) => pending.clone(),
        _ => needs(&command),
    };
    if principal.role < needs.role {
        let (name, has) = (command.name(), principal.role);
        let message = format!(
            "{name} takes the role {}, and {} is {has}",
            needs.role, principal.user
        );
        return Err(CommandError::denied(message));
    }
    match needs.service {
        Some(service) if !principal.services.covers(&service) => {
            let message = format!("{} has no rights on service {service}", principal.user);
            Err(CommandError::denied(message))
        }
        None if takes_all_services(&command) && !principal.services.is_all() => {
            let message = format!("{} takes rights on all services", command.name());
            Err(CommandError::denied(message))
        }
        Some(_) | None => Ok(Authorized {
            principal: principal.clone(),
            command,
        }),
    }
}

/// The service that a command is about, where it is about one.
fn service(command: &Command) -> Option<&Name> {
    match command {
        Command::EnableHost { host }
        | Command::DisableHost { host }
        | Command::DrainHost { host, .. }
        | Command::SetWeight { host, .. }
        | Command::AddHost { host, .. }
        | Command::RemoveHost { host }
        | Command::SetHost { host, .. } => Some(&host.service),
        Command::ActivateGroup { group }
        | Command::AddGroup { group, .. }
        | Command::RemoveGroup { group }
        | Command::SetGroup { group, .. } => Some(&group.service),
        Command::AddService { service, .. }
        | Command::RemoveService { service }
        | Command::SetService { service, .. }
        | Command::SetListen { service, .. } => Some(service),
        Command::Show { service } => service.as_ref(),
        Command::CloseSessions { host, service } | Command::Explain { host, service, .. } => {
            host.as_ref().map(|host| &host.service).or(service.as_ref())
        }
        Command::Status {}
        | Command::Whoami {}
        | Command::Help {}
        | Command::History { .. }
        | Command::Diff { .. }
        | Command::Events { .. }
        | Command::Replace { .. }
        | Command::Reload {}
        | Command::Rollback { .. }
        | Command::Confirm { .. }
        | Command::Logout {}
        | Command::Logins {}
        | Command::EndLogin { .. }
        | Command::ExplainAccess { .. }
        | Command::Upgrade {} => None,
    }
}

/// Whether a command that names no service is about all of them. The others filter what they
/// show by the caller's scope.
fn takes_all_services(command: &Command) -> bool {
    match command {
        Command::Replace { .. }
        | Command::Reload {}
        | Command::Rollback { .. }
        | Command::Confirm { .. }
        | Command::CloseSessions { .. }
        | Command::Logins {}
        | Command::ExplainAccess { .. }
        | Command::Upgrade {} => true,
        Command::Status {}
        | Command::Whoami {}
        | Command::Help {}
        | Command::Show { .. }
        | Command::History { .. }
        | Command::Diff { .. }
        | Command::Events { .. }
        | Command::Explain { .. }
        | Command::EnableHost { .. }
        | Command::DisableHost { .. }
        | Command::DrainHost { .. }
        | Command::SetWeight { .. }
        | Command::ActivateGroup { .. }
        | Command::AddHost { .. }
        | Command::RemoveHost { .. }
        | Command::SetHost { .. }
        | Command::AddGroup { .. }
        | Command::RemoveGroup { .. }
        | Command::SetGroup { .. }
        | Command::AddService { .. }
        | Command::RemoveService { .. }
        | Command::SetService { .. }
        | Command::SetListen { .. }
        | Command::Logout {}
        | Command::EndLogin { .. } => false,
    }
}
