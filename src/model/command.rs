//! The command language: everything that can be asked of a node, as plain values.
//! It must not carry anything out.
//!
//! [`super::catalogue`] has a line of help for each. A command is a JSON object with the key `command`; that object is the same on every door. The
//! options of a change stand in it beside the arguments and are split off here.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    address::Endpoint,
    name::{GroupPath, HostPath, Name},
    period::Period,
    topology::{Group, Host, Service, Weight},
};

pub use super::request::{MAX_REASON, Options, Request};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the catalogue has a line of help for each, and its arguments"
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
        object: Box<Group>,
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
        listen: Vec<Endpoint>,
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
    Upgrade {},
}

/// Keys of an object with their new values; `null` restores the default.
pub type Changes = Map<String, Value>;

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
    /// Its name, as in the catalogue.
    pub fn name(&self) -> String {
        match self.to_object().remove("command") {
            Some(Value::String(name)) => name,
            Some(_) | None => String::new(),
        }
    }

    /// Those commands whose arguments are an object of the file are read by hand: serde cannot
    /// both flatten an object and refuse unknown keys.
    pub(super) fn from_object(name: &str, mut object: Changes) -> Result<Self, serde_json::Error> {
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
                let object = Box::new(named(object, &group.group)?);
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

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others write themselves"
    )]
    /// The command as a JSON object, with its name under `command`.
    pub fn to_object(&self) -> Changes {
        let flat = |name: &str, key: &str, path: String, rest: Changes| {
            let mut object = rest;
            object.insert("command".to_owned(), name.into());
            object.insert(key.to_owned(), path.into());
            object
        };
        match self {
            Self::AddHost { host, object } => {
                flat("add-host", "host", host.to_string(), nameless(object))
            }
            Self::SetHost { host, changes } => {
                flat("set-host", "host", host.to_string(), changes.clone())
            }
            Self::AddGroup { group, object } => {
                flat("add-group", "group", group.to_string(), nameless(&**object))
            }
            Self::SetGroup { group, changes } => {
                flat("set-group", "group", group.to_string(), changes.clone())
            }
            Self::AddService { service, object } => flat(
                "add-service",
                "service",
                service.to_string(),
                nameless(object),
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

/// The same without its name, which stands in the path. What is set keeps every key, a wrong one
/// too, so that it is refused where it is read and not lost on the way.
fn nameless(object: &impl Serialize) -> Changes {
    let mut object = fields(object);
    object.remove("name");
    object
}

/// The keys of `value` with their values.
pub(super) fn fields(value: &impl Serialize) -> Changes {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => object,
        Ok(_) | Err(_) => Map::new(),
    }
}
