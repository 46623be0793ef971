//! What every change takes, and single values as they are typed.
//! It must not know which change it is.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::model::{
    command::{Changes, MAX_REASON, Options},
    period::Period,
};

/// What goes with every change.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every change")]
pub(in crate::cli) struct ChangeOptions {
    /// Refuse when this is not the revision: another change came first
    #[arg(long, value_name = "N")]
    expect_revision: Option<u64>,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Roll the change back by itself unless `confirm` comes within this time
    #[arg(long, value_name = "TIME")]
    confirm_within: Option<Period>,
    /// Why, for the history
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,
}

impl From<ChangeOptions> for Options {
    fn from(change: ChangeOptions) -> Self {
        Self {
            expect_revision: change.expect_revision,
            dry_run: change.dry_run,
            confirm_within: change.confirm_within,
            reason: change.reason,
        }
    }
}

fn reason(text: &str) -> Result<String, String> {
    match text.len() > MAX_REASON {
        true => Err(format!("it is longer than {MAX_REASON} bytes")),
        false => Ok(text.to_owned()),
    }
}

/// A number within the bounds of its type.
pub(super) fn number<T: TryFrom<i64, Error = String>>(text: &str) -> Result<T, String> {
    let number: i64 = text.parse().map_err(|_| "not a number".to_owned())?;
    number.try_into()
}

/// A key with its new value; `null` restores the default.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct Pair {
    key: String,
    value: Value,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || format!("{text:?} is not of the form KEY=VALUE");
        let (key, value) = text.split_once('=').ok_or_else(shape)?;
        match key {
            "" => return Err(shape()),
            "command" | "name" => return Err(format!("{key} cannot be set")),
            "expect_revision" | "dry_run" | "confirm_within" | "reason" => {
                let option = key.replace('_', "-");
                return Err(format!("{key} is an option of the change: --{option}"));
            }
            _ => {}
        }
        let value = match value {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        };
        Ok(Self {
            key: key.to_owned(),
            value,
        })
    }
}

impl Pair {
    /// `pairs` as keys of an object that has the keys `taken` by other means.
    pub(in crate::cli) fn object(pairs: Vec<Self>, taken: &[&str]) -> Result<Changes, String> {
        let mut object = Map::new();
        for Self { key, value } in pairs {
            if taken.contains(&key.as_str()) {
                return Err(format!("{key} cannot be set like this"));
            }
            if object.contains_key(&key) {
                return Err(format!("{key} is given twice"));
            }
            object.insert(key, value);
        }
        Ok(object)
    }
}
