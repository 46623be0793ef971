//! People, as the pipeline asks about them.
//! It must not block, but where it says so; the control task waits for it.

use serde_json::{Value, json};

use super::{People, login, record, shown, told};
use crate::{
    control::outside::{Access, Later, Told},
    model::{command::Command, error::CommandError, principal::Principal},
};

impl Access for People {
    fn recheck<'a>(
        &'a self,
        principal: &'a Principal,
    ) -> Later<'a, Result<Principal, CommandError>> {
        Box::pin(async move {
            let (Some(logins), Some(control)) = (self.logins(), self.control.get()) else {
                return self.standing(principal);
            };
            let (now, effects) = logins.recheck(principal).await;
            // An end that could not be recorded is one all the same.
            let recorded = record(control, told(Value::Null, effects)).await;
            let now = now?;
            recorded.map(|()| now)
        })
    }

    fn look_up<'a>(&'a self, user: &'a str) -> Later<'a, Vec<String>> {
        Box::pin(async move {
            match self.logins() {
                Some(logins) => logins.look_up(user).await,
                None => Vec::new(),
            }
        })
    }

    fn standing(&self, principal: &Principal) -> Result<Principal, CommandError> {
        match self.logins() {
            Some(logins) => logins.standing(principal),
            None if principal.login.is_some() => Err(CommandError::denied("the login has ended")),
            None => Ok(principal.clone()),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others are not about people"
    )]
    fn answer(
        &self,
        principal: &Principal,
        command: &Command,
        found: &[String],
    ) -> Result<Told, CommandError> {
        let Some(logins) = self.logins() else {
            return Err(CommandError::invalid(
                "nobody can log in here: there is no [auth]",
            ));
        };
        match command {
            Command::Logout {} => Ok(told(json!({}), logins.logout(principal)?)),
            Command::Whoami {} => {
                let own = |login: &login::Login| Some(&login.id) == principal.login.as_ref();
                let login = logins.list(principal).into_iter().find(own);
                let ended = || CommandError::denied("the login has ended");
                Ok(told(
                    json!(shown(login.ok_or_else(ended)?)),
                    login::Effects::default(),
                ))
            }
            Command::Logins {} => {
                let logins: Vec<Value> = logins.list(principal).into_iter().map(line).collect();
                Ok(Told {
                    data: json!({"logins": logins}),
                    ..Told::default()
                })
            }
            Command::EndLogin { login } => Ok(told(json!({}), logins.end(principal, login)?)),
            Command::ExplainAccess { user } => {
                let mut because = logins.explain_access(user, found).into_iter();
                let verdict = because.next().unwrap_or_default();
                let because = Vec::from_iter(because);
                Ok(Told {
                    data: json!({"verdict": verdict, "because": because}),
                    ..Told::default()
                })
            }
            other => Err(CommandError::invalid(format!(
                "{} is not about people",
                other.name()
            ))),
        }
    }
}

/// A login as `logins` shows it.
fn line(login: login::Login) -> Value {
    let (from, door) = (login.from.clone(), login.door);
    let mut line = json!(shown(login));
    line["from"] = json!(from);
    line["door"] = json!(door);
    line
}
