//! A log-in over the bus: opened, checked, put to whoever knows people, and recorded with its key.
//! It must not keep, log or repeat a password or a code.

use std::time::{SystemTime, UNIX_EPOCH};

use ring::digest::{Context, SHA256};
use secrecy::{SecretString, zeroize::Zeroizing};
use serde_json::{Map, Value, json};

use super::{
    bus::{Bus, from, recorded},
    claims::Claims,
    holders::Holder,
    key::Key,
    message::{Done, Message},
    refusal::Refusal,
};
use crate::{
    control::record::{Entry, Once},
    doors::{
        authority::{Attempt, LoginReply, Proof},
        strict,
    },
    model::{
        error::{Code, CommandError},
        principal::Door,
    },
};

/// The type of the body of a sealed log-in.
pub const SEALED: &str = "application/vnd.pointsman.login+sealed";
/// The type of the body of one that is not.
pub const PLAIN: &str = "application/vnd.pointsman.login+json";
/// The kind of the event about one that is turned away.
const KIND: &str = "admin.login-failed";
/// The sender under which answers to log-ins are recorded; no login has this id.
const INBOX: &str = "log-in";

/// A log-in as it came. No `Debug`: it holds secrets.
struct Form {
    user: String,
    proof: Proof,
    key: Key,
    claims: Claims,
}

impl Bus {
    /// Logs somebody in, or refuses.
    pub async fn log_in(&self, message: &Message) -> Done {
        let (form, sender, digest) = match self.form(message) {
            Ok(form) => form,
            Err(refusal) => return self.turn_away(KIND, message, &refusal).await,
        };
        let jti = form.claims.jti.clone();
        let key = form.key.clone();
        match self.enter(form, sender, digest).await {
            Ok(Ok(res)) => {
                let kid = res["data"]["login"].as_str().unwrap_or_default().to_owned();
                let signed = self.signed((&key, &kid), &jti, res);
                Done::Dealt(message.signed_reply(&signed))
            }
            Ok(Err(refusal)) => {
                let done = self.turn_away(KIND, message, &refusal).await;
                let Done::Dealt(_) = done else { return done };
                let res = json!({"id": jti, "ok": false, "error": refusal.error()});
                Done::Dealt(message.signed_reply(&self.signed((&key, ""), &jti, res)))
            }
            Err(why) => Done::Left(why),
        }
    }

    /// Who sent which log-in, with the digest by which it is known again.
    fn form<'a>(&self, message: &'a Message) -> Result<(Form, &'a str, Vec<u8>), Refusal> {
        let (body, sender) = self.envelope(message, &self.logins)?;
        if message.reply_to.is_none() {
            return Err(Refusal::NoReplyTo);
        }
        let opened = match message.content_type.as_deref() {
            Some(SEALED) => self.node_key.open(body).ok_or(Refusal::Sealed)?,
            Some(PLAIN) if self.options.plain_log_in => Zeroizing::new(body.to_vec()),
            Some(PLAIN) => return Err(Refusal::Plain),
            Some(_) | None => return Err(Refusal::ContentType),
        };
        let form = parse(&opened)?;
        // Another user of the broker who sends the same has not sent the same.
        let mut digest = Context::new(&SHA256);
        digest.update(sender.as_bytes());
        digest.update(b"\0");
        digest.update(body);
        Ok((form, sender, digest.finish().as_ref().to_vec()))
    }

    /// # Errors
    /// Outside: why the journal could not be asked, or did not take it. Inside: why nobody was
    /// asked.
    async fn enter(
        &self,
        form: Form,
        sender: &str,
        digest: Vec<u8>,
    ) -> Result<Result<Value, Refusal>, String> {
        let Form {
            user,
            proof,
            key,
            claims,
        } = form;
        if let Err(error) = claims.check_audience(self.node()) {
            return Ok(Err(error.into()));
        }
        let id = (INBOX.to_owned(), claims.jti.clone());
        let seen = self.control.seen(id.clone()).await;
        let seen = seen.map_err(|error| error.message)?;
        match seen.answered {
            Some(before) if before.digest == digest => return Ok(Ok(recorded(&before.answer))),
            Some(_) => return Ok(Err(Refusal::Conflict)),
            None => {}
        }
        if claims.could_be_forgotten(seen.forgotten) {
            return Ok(Err(Refusal::Forgotten));
        }
        if let Err(error) = claims.check_times(self.now()) {
            return Ok(Err(error.into()));
        }
        let attempt = Attempt {
            user,
            proof,
            door: Door::Stomp,
            from: from(sender),
            key: Some(*key.bytes()),
        };
        let holder = Holder {
            key,
            sender: sender.to_owned(),
        };
        let once = Once { id, digest };
        let beside = |reply: &LoginReply| self.left_behind(reply, &claims.jti, &holder, once);
        let reply = self.authority.login_with(attempt, Box::new(beside)).await;
        let reply = reply.map_err(|error| error.message)?;
        Ok(Ok(answer(&reply, &claims.jti)))
    }

    /// What is recorded with a log-in: its key, and its answer.
    fn left_behind(&self, reply: &LoginReply, jti: &str, holder: &Holder, once: Once) -> Entry {
        let keep = match reply {
            LoginReply::Accepted(accepted) => {
                let login = &accepted.login;
                let expires = milliseconds(&login.expires);
                let kept = self
                    .holders
                    .insert(&login.login, holder, expires, self.now());
                kept.unwrap_or_default()
            }
            LoginReply::Challenge { .. }
            | LoginReply::Rejected
            | LoginReply::SlowDown { .. }
            | LoginReply::Unavailable(_) => Vec::new(),
        };
        Entry {
            keep,
            answered: Some(once.answered(answer(reply, jti).to_string())),
            ..Entry::default()
        }
    }
}

/// When a login ends: RFC 3339, as milliseconds since 1970.
fn milliseconds(expires: &str) -> u64 {
    let expires = humantime::parse_rfc3339(expires).unwrap_or_else(|_| SystemTime::now());
    let since = expires.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The same as over HTTP, without the token.
fn answer(reply: &LoginReply, jti: &str) -> Value {
    let refused = |code, message: &str| {
        let error = CommandError::new(code, message);
        json!({"id": jti, "ok": false, "error": error})
    };
    match reply {
        LoginReply::Accepted(accepted) => json!({"id": jti, "ok": true, "data": accepted.login}),
        LoginReply::Challenge { challenge, state } => {
            let data = json!({"challenge": challenge, "state": state});
            json!({"id": jti, "ok": true, "data": data})
        }
        LoginReply::Rejected => refused(Code::Denied, "the log-in was rejected"),
        LoginReply::SlowDown { retry_after } => {
            let mut answer = refused(Code::Denied, "too many log-ins failed; try again later");
            answer["retry_after"] = json!(retry_after.as_secs_f64());
            answer
        }
        LoginReply::Unavailable(why) => refused(Code::Unavailable, why),
    }
}

/// What serde says about a mistake could repeat a password; so it is read by hand.
fn parse(text: &[u8]) -> Result<Form, Refusal> {
    let Ok(Value::Object(mut object)) = strict::parse(text) else {
        return Err(Refusal::NoLogin("it is not a JSON object"));
    };
    let claims = Claims::take(&mut object)?;
    let key = match object.remove("key") {
        Some(Value::String(key)) => Key::from_text(&Zeroizing::new(key)),
        Some(_) | None => None,
    };
    let key = key.ok_or(Refusal::NoLogin("its key is not 32 bytes in base64url"))?;
    let Some(Value::String(user)) = object.remove("user") else {
        return Err(Refusal::NoLogin("it has no user"));
    };
    let proof = match (
        secret(&mut object, "password"),
        secret(&mut object, "state"),
        secret(&mut object, "otp"),
    ) {
        (Some(password), None, None) => Proof::Password(password),
        (None, Some(state), Some(otp)) => Proof::Code { state, otp },
        _ => {
            return Err(Refusal::NoLogin(
                "it has neither a password nor state and otp",
            ));
        }
    };
    if !object.is_empty() {
        return Err(Refusal::NoLogin("it has a key that is not known"));
    }
    Ok(Form {
        user,
        proof,
        key,
        claims,
    })
}

fn secret(object: &mut Map<String, Value>, name: &str) -> Option<SecretString> {
    let Value::String(text) = object.remove(name)? else {
        return None;
    };
    Some(text.into())
}
