//! `pointsman login`: asks for the password, and whatever else the node wants, and keeps the token.
//! It must not keep the password.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{
    Exit, ask,
    client::{Keeper, Reply, Via},
    complain,
    remote::Node,
    say, show,
    style::clean,
};
use crate::model::error::CommandError;

/// How many times a node may ask for one thing more.
const CHALLENGES: usize = 8;
/// For how many seconds an answer is held back that came too soon; a question is open for longer.
const LONGEST_WAIT: f64 = 20.0;

pub(super) async fn login(node: &Node, user: Option<String>) -> Exit {
    match attempt(node, user).await {
        Ok(exit) => exit,
        Err(error) => {
            complain(&error);
            error.exit()
        }
    }
}

async fn attempt(node: &Node, user: Option<String>) -> Result<Exit, ask::AskError> {
    let user = match user.or_else(own_name) {
        Some(user) => user,
        None => ask::line("User: ")?,
    };
    let password = ask::secret(&format!("Password of {}: ", clean(&user)))?;
    let mut body = json!({"user": &user, "password": password.expose_secret()});
    for _ in 0..CHALLENGES {
        let (via, reply) = match node.client.login(&body).await {
            Ok(answered) => answered,
            Err(trouble) => return Ok(node.trouble(&trouble)),
        };
        if let (Some(seconds), true) = (reply.retry_after(), body.get("otp").is_some())
            && (0.0..LONGEST_WAIT).contains(&seconds)
        {
            // Too soon after log-ins that failed. The question is still open, and whoever has
            // answered it should not have to begin anew.
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            continue;
        }
        if reply.error().is_some() {
            return Ok(node.rejected(&reply));
        }
        let text = |key| reply.data().get(key).and_then(Value::as_str);
        match (reply.token(), text("challenge")) {
            (Some(token), _) => return Ok(keep(node, &via, token, &reply)),
            (None, Some(challenge)) => {
                let answer = ask::secret(&format!("{}: ", clean(challenge.trim_end_matches(':'))))?;
                let state = reply.data().get("state");
                body = json!({"user": &user, "state": state, "otp": answer.expose_secret()});
            }
            (None, None) => {
                let error = format!("{via} gave neither a login nor a question");
                return Ok(node.refuse(&CommandError::new(FAILED, error)));
            }
        }
    }
    let error = "the node asks and asks; that is no log-in";
    Ok(node.refuse(&CommandError::new(FAILED, error)))
}

const FAILED: crate::model::error::Code = crate::model::error::Code::Failed;

fn own_name() -> Option<String> {
    let of = |name| std::env::var(name).ok().filter(|name| !name.is_empty());
    of("USER").or_else(|| of("LOGNAME"))
}

fn keep(node: &Node, via: &Via, token: &str, reply: &Reply) -> Exit {
    if let Err(error) = Keeper::new(via).keep(token) {
        return node.refuse(&CommandError::new(FAILED, error.to_string()));
    }
    match node.json {
        true => say(&reply.text),
        false => say(&show::logged_in(reply.data())),
    }
    Exit::Done
}
