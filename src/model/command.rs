//! The command language: everything that can be asked of a node, as plain values.
//! It must not carry anything out.
//!
//! A command is a JSON object with the key `command`; that object is the same on every door. The
//! options of a change stand in it beside the arguments and are split off here.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    address::Address,
    error::CommandError,
    name::{GroupPath, HostPath, Name},
    period::Period,
    principal::Role,
    topology::{Group, Host, Service, Weight},
};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "CATALOGUE has a line of help for each, and for its arguments"
)]
pub enum Command {
    // Without arguments, and still with braces: a unit variant would accept unknown keys.
    Status {},
    Whoami {},
    Help {},
    Show {
        service: Option<Name>,
    },
    History {
        limit: Option<u32>,
    },
    Diff {
        from: Option<u64>,
        to: Option<u64>,
    },
    Events {
        since: Option<u64>,
        limit: Option<u32>,
    },
    Explain {
        host: Option<HostPath>,
        service: Option<Name>,
        client: Option<IpAddr>,
    },
    EnableHost {
        host: HostPath,
    },
    DisableHost {
        host: HostPath,
    },
    DrainHost {
        host: HostPath,
        deadline: Option<Period>,
    },
    SetWeight {
        host: HostPath,
        weight: Weight,
    },
    ActivateGroup {
        group: GroupPath,
    },
    CloseSessions {
        host: Option<HostPath>,
        service: Option<Name>,
    },
    #[serde(skip)]
    AddHost {
        host: HostPath,
        object: Host,
    },
    RemoveHost {
        host: HostPath,
    },
    #[serde(skip)]
    SetHost {
        host: HostPath,
        changes: Changes,
    },
    #[serde(skip)]
    AddGroup {
        group: GroupPath,
        object: Group,
    },
    RemoveGroup {
        group: GroupPath,
    },
    #[serde(skip)]
    SetGroup {
        group: GroupPath,
        changes: Changes,
    },
    #[serde(skip)]
    AddService {
        service: Name,
        object: Box<Service>,
    },
    RemoveService {
        service: Name,
    },
    #[serde(skip)]
    SetService {
        service: Name,
        changes: Changes,
    },
    SetListen {
        service: Name,
        listen: Vec<Address>,
    },
    Replace {
        services: Vec<Service>,
    },
    Reload {},
    Rollback {
        revision: u64,
    },
    Confirm {
        revision: Option<u64>,
    },
    Logout {},
    Logins {},
    EndLogin {
        login: String,
    },
    ExplainAccess {
        user: String,
    },
}

/// Keys of an object with their new values; `null` restores the default.
pub type Changes = Map<String, Value>;

/// What goes with a change, beside its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Refuse with a conflict when this is not the revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_revision: Option<u64>,
    /// Say what would change, and change nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Roll the change back by itself, unless it is confirmed within this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_within: Option<Period>,
    /// Why, for the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The longest reason that is kept, in bytes.
pub const MAX_REASON: usize = 1024;

const OPTIONS: [&str; 4] = ["expect_revision", "dry_run", "confirm_within", "reason"];

/// A command with its options.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// What goes with it.
    pub options: Options,
}

/// One row of the command table; see [`CATALOGUE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The command.
    pub name: &'static str,
    /// Its arguments; `?` marks those that may be left out.
    pub arguments: &'static str,
    /// The role it takes.
    pub role: Role,
    /// Whether it makes a revision or touches sessions: it then takes [`Options`].
    pub changes: bool,
    /// A line of help.
    pub help: &'static str,
}

const fn row(
    name: &'static str,
    arguments: &'static str,
    role: Role,
    changes: bool,
    help: &'static str,
) -> Entry {
    Entry {
        name,
        arguments,
        role,
        changes,
        help,
    }
}

/// Every command; the source of all help.
pub const CATALOGUE: [Entry; 32] = {
    use Role::{Admin, Operator, Viewer};
    [
        row(
            "status",
            "",
            Viewer,
            false,
            "how services, groups and hosts are",
        ),
        row(
            "whoami",
            "",
            Viewer,
            false,
            "who you are here, and what you may do",
        ),
        row("help", "", Viewer, false, "this list"),
        row(
            "show",
            "service?",
            Viewer,
            false,
            "the configuration of one service, or of all",
        ),
        row(
            "history",
            "limit?",
            Viewer,
            false,
            "the revisions, newest first",
        ),
        row(
            "diff",
            "from?, to?",
            Viewer,
            false,
            "what changed between revisions, or file and node",
        ),
        row(
            "events",
            "since?, limit?",
            Viewer,
            false,
            "what happened, by sequence number",
        ),
        row(
            "explain",
            "host | service, client",
            Viewer,
            false,
            "why a host gets no traffic, or which host a client would get",
        ),
        row(
            "enable-host",
            "host",
            Operator,
            true,
            "let a host take sessions",
        ),
        row(
            "disable-host",
            "host",
            Operator,
            true,
            "let a host take no sessions",
        ),
        row(
            "drain-host",
            "host, deadline?",
            Operator,
            true,
            "let a host's sessions run out",
        ),
        row(
            "set-weight",
            "host, weight",
            Operator,
            true,
            "change a host's share: 0 to 256",
        ),
        row(
            "activate-group",
            "group",
            Operator,
            true,
            "send new sessions to another group",
        ),
        row(
            "close-sessions",
            "host | service",
            Operator,
            true,
            "reset the sessions that are open",
        ),
        row(
            "add-host",
            "host, address, weight?, max_sessions?, admin?",
            Admin,
            true,
            "add a host",
        ),
        row(
            "remove-host",
            "host",
            Admin,
            true,
            "remove a host; its sessions run out",
        ),
        row(
            "set-host",
            "host, …",
            Admin,
            true,
            "change any key of a host; null restores its default",
        ),
        row(
            "add-group",
            "group, … as in the file",
            Admin,
            true,
            "add a group",
        ),
        row(
            "remove-group",
            "group",
            Admin,
            true,
            "remove a group that is not active",
        ),
        row(
            "set-group",
            "group, …",
            Admin,
            true,
            "change any key of a group",
        ),
        row(
            "add-service",
            "service, listen, … as in the file",
            Admin,
            true,
            "add a service",
        ),
        row(
            "remove-service",
            "service",
            Admin,
            true,
            "remove a service; its sessions run out",
        ),
        row(
            "set-service",
            "service, …",
            Admin,
            true,
            "change any key of a service but listen",
        ),
        row(
            "set-listen",
            "service, listen",
            Admin,
            true,
            "change the addresses of a service",
        ),
        row("replace", "services", Admin, true, "replace all services"),
        row("reload", "", Admin, true, "take in the file as it is now"),
        row(
            "rollback",
            "revision",
            Admin,
            true,
            "make an earlier revision the newest",
        ),
        row(
            "confirm",
            "revision?",
            Operator,
            true,
            "keep a change that waits for it",
        ),
        row("logout", "", Viewer, false, "end your login"),
        row("logins", "", Admin, false, "who is logged in"),
        row(
            "end-login",
            "login",
            Viewer,
            false,
            "end a login: your own, or as admin anybody's",
        ),
        row(
            "explain-access",
            "user",
            Admin,
            false,
            "what a user may do, and why",
        ),
    ]
};

impl Request {
    /// Reads a command object.
    ///
    /// # Errors
    /// `invalid`, with what is wrong with it.
    pub fn from_json(value: Value) -> Result<Self, CommandError> {
        let Value::Object(mut object) = value else {
            return Err(CommandError::invalid("a command is a JSON object"));
        };
        let name = match object.get("command") {
            Some(Value::String(name)) => name.clone(),
            Some(_) => return Err(CommandError::invalid("`command` is not a string")),
            None => return Err(CommandError::invalid("the key `command` is missing")),
        };
        let Some(entry) = entry(&name) else {
            return Err(CommandError::invalid(format!(
                "there is no command {name:?}"
            )));
        };
        let mut options = Map::new();
        if entry.changes {
            for key in OPTIONS {
                options.extend(object.remove(key).map(|value| (key.to_owned(), value)));
            }
        }
        let in_command = |error| CommandError::invalid(format!("{name}: {error}"));
        let options: Options =
            serde_json::from_value(Value::Object(options)).map_err(in_command)?;
        if options
            .reason
            .as_ref()
            .is_some_and(|reason| reason.len() > MAX_REASON)
        {
            let message = format!("the reason is longer than {MAX_REASON} bytes");
            return Err(CommandError::invalid(message));
        }
        let command = Command::from_object(&name, object).map_err(in_command)?;
        Ok(Self { command, options })
    }

    /// The command object.
    pub fn to_json(&self) -> Value {
        let mut object = self.command.to_object();
        if let Ok(Value::Object(options)) = serde_json::to_value(&self.options) {
            object.extend(options);
        }
        Value::Object(object)
    }
}

/// The row of `name` in [`CATALOGUE`].
pub fn entry(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.name == name)
}

impl From<Command> for Request {
    fn from(command: Command) -> Self {
        Self {
            command,
            options: Options::default(),
        }
    }
}

/// Takes `key` out of `object`.
fn argument<T: serde::de::DeserializeOwned>(
    object: &mut Changes,
    key: &str,
) -> Result<T, serde_json::Error> {
    use serde::de::Error;
    let value = object.remove(key);
    let value = value.ok_or_else(|| serde_json::Error::custom(format!("missing field `{key}`")))?;
    serde_json::from_value(value)
}

/// Reads what is left of `object` as the thing called `name`.
fn named<T: serde::de::DeserializeOwned>(
    mut object: Changes,
    name: &Name,
) -> Result<T, serde_json::Error> {
    use serde::de::Error;
    if object.contains_key("name") {
        return Err(serde_json::Error::custom(
            "the name is not given apart: unknown field `name`",
        ));
    }
    object.insert("name".to_owned(), Value::String(name.as_str().to_owned()));
    serde_json::from_value(Value::Object(object))
}

impl Command {
    /// Its name, as in [`CATALOGUE`].
    pub fn name(&self) -> String {
        match self.to_object().remove("command") {
            Some(Value::String(name)) => name,
            Some(_) | None => String::new(),
        }
    }

    /// Those commands whose arguments are an object of the file are read by hand: serde cannot
    /// both flatten an object and refuse unknown keys.
    fn from_object(name: &str, mut object: Changes) -> Result<Self, serde_json::Error> {
        let object_command = matches!(
            name,
            "add-host" | "set-host" | "add-group" | "set-group" | "add-service" | "set-service"
        );
        if !object_command {
            return serde_json::from_value(Value::Object(object));
        }
        object.remove("command");
        Ok(match name {
            "add-host" => {
                let host: HostPath = argument(&mut object, "host")?;
                let object = named(object, &host.host)?;
                Self::AddHost { host, object }
            }
            "set-host" => Self::SetHost {
                host: argument(&mut object, "host")?,
                changes: object,
            },
            "add-group" => {
                let group: GroupPath = argument(&mut object, "group")?;
                let object = named(object, &group.group)?;
                Self::AddGroup { group, object }
            }
            "set-group" => Self::SetGroup {
                group: argument(&mut object, "group")?,
                changes: object,
            },
            "add-service" => {
                let service: Name = argument(&mut object, "service")?;
                let object = Box::new(named(object, &service)?);
                Self::AddService { service, object }
            }
            _ => Self::SetService {
                service: argument(&mut object, "service")?,
                changes: object,
            },
        })
    }

    fn to_object(&self) -> Changes {
        let flat = |name: &str, key: &str, path: String, rest: Changes| {
            let mut object = rest;
            object.remove("name");
            object.insert("command".to_owned(), name.into());
            object.insert(key.to_owned(), path.into());
            object
        };
        match self {
            Self::AddHost { host, object } => {
                flat("add-host", "host", host.to_string(), fields(object))
            }
            Self::SetHost { host, changes } => {
                flat("set-host", "host", host.to_string(), changes.clone())
            }
            Self::AddGroup { group, object } => {
                flat("add-group", "group", group.to_string(), fields(object))
            }
            Self::SetGroup { group, changes } => {
                flat("set-group", "group", group.to_string(), changes.clone())
            }
            Self::AddService { service, object } => flat(
                "add-service",
                "service",
                service.to_string(),
                fields(object),
            ),
            Self::SetService { service, changes } => flat(
                "set-service",
                "service",
                service.to_string(),
                changes.clone(),
            ),
            plain => {
                let mut object = fields(plain);
                object.retain(|_, value| !value.is_null());
                object
            }
        }
    }
}

/// The keys of `value` with their values.
pub(super) fn fields(value: &impl Serialize) -> Changes {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => object,
        Ok(_) | Err(_) => Map::new(),
    }
}
