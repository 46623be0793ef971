//! A command over the bus: checked, looked up among those that came before, and carried out once.
//! It must not change the order of the checks; it is part of the contract (`docs/bus.md`).

use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::{
    bus::{Bus, from, recorded},
    claims::Claims,
    holders::Holder,
    message::{Done, Message},
    refusal::Refusal,
    token::{COMMAND, Compact, TokenError},
};
use crate::{
    control::{
        answer::Answer,
        record::{Entry, Once},
    },
    model::{
        catalogue::entry,
        command::Request,
        error::{Code, CommandError},
        event::Event,
        principal::Door,
    },
};

/// The kind of the event about one that is turned away.
const KIND: &str = "admin.command";

/// A command whose sender holds the login that signed it.
struct Authentic {
    kid: String,
    holder: Holder,
    claims: Claims,
    command: Value,
    digest: Vec<u8>,
}

/// Why a message is no command of anybody; with the holder where they signed it all the same.
struct Turned(Refusal, Option<(Holder, String)>);

impl From<Refusal> for Turned {
    fn from(refusal: Refusal) -> Self {
        Self(refusal, None)
    }
}

impl From<TokenError> for Turned {
    fn from(error: TokenError) -> Self {
        Refusal::from(error).into()
    }
}

impl Bus {
    /// Has done what `message` asks, if it may.
    pub async fn command(&self, message: &Message) -> Done {
        let authentic = match self.authentic(message) {
            Ok(authentic) => authentic,
            Err(Turned(refusal, None)) => return self.turn_away(KIND, message, &refusal).await,
            Err(Turned(refusal, Some((holder, kid)))) => {
                let done = self.turn_away(KIND, message, &refusal).await;
                let Done::Dealt(_) = done else { return done };
                let answer = json!({"ok": false, "error": refusal.error()});
                let signed = self.signed((&holder.key, &kid), "", answer);
                return Done::Dealt(message.signed_reply(&signed));
            }
        };
        match self.answer(&authentic).await {
            Ok(answer) => {
                let signer = (&authentic.holder.key, authentic.kid.as_str());
                let signed = self.signed(signer, &authentic.claims.jti, answer);
                Done::Dealt(message.signed_reply(&signed))
            }
            Err(why) => Done::Left(why),
        }
    }

    /// Everything up to the node that it is for.
    fn authentic(&self, message: &Message) -> Result<Authentic, Turned> {
        let (body, sender) = self.envelope(message, &self.commands)?;
        let token = Compact::parse(body)?;
        let kid = token.kid()?;
        let holder = self.holders.find(kid);
        if holder
            .as_ref()
            .is_some_and(|holder| holder.sender != sender)
        {
            return Err(Refusal::OtherSender.into());
        }
        token.check_header(COMMAND)?;
        let holder = holder.ok_or(Refusal::Unknown)?;
        let signed = |refusal| Turned(refusal, Some((holder.clone(), kid.to_owned())));
        let mut claims = token.claims(&holder.key).map_err(|error| match error {
            TokenError::Claims(_) => signed(error.into()),
            TokenError::Malformed(_) | TokenError::Algorithm | TokenError::Signature => {
                error.into()
            }
        })?;
        let (command, claims) = take(&mut claims).map_err(signed)?;
        let audience = claims.check_audience(self.node());
        audience.map_err(|error| signed(error.into()))?;
        Ok(Authentic {
            kid: kid.to_owned(),
            holder,
            claims,
            command,
            digest: digest(&SHA256, body).as_ref().to_vec(),
        })
    }

    /// The answer: the one that it was given before, or that which it gets now.
    ///
    /// # Errors
    /// Why the journal could not be asked, or did not take it.
    async fn answer(&self, asked: &Authentic) -> Result<Value, String> {
        let seen = self.control.seen(asked.id()).await;
        let seen = seen.map_err(|error| error.message)?;
        match seen.answered {
            Some(before) if before.digest == asked.digest => return Ok(recorded(&before.answer)),
            Some(_) => return self.refuse(asked, &Refusal::Conflict, false).await,
            None => {}
        }
        if asked.claims.could_be_forgotten(seen.forgotten) {
            return self.refuse(asked, &Refusal::Forgotten, false).await;
        }
        let once = changes(&asked.command);
        if let Err(error) = asked.claims.check_times(self.now()) {
            return self.refuse(asked, &error.into(), once).await;
        }
        let from = from(&asked.holder.sender);
        let principal = self
            .authority
            .principal_of(&asked.kid, Door::Stomp, &from)
            .await;
        let Some(principal) = principal else {
            return self.refuse(asked, &Refusal::Ended, once).await;
        };
        let request = match Request::from_json(asked.command.clone()) {
            Ok(request) => request,
            Err(error) => return self.refuse_with(asked, error, "invalid", once).await,
        };
        let jti = asked.claims.jti.clone();
        if !once {
            let answer = self.control.execute(principal, request, jti).await;
            return Ok(json!(answer));
        }
        let once = asked.once();
        let answer = self.control.execute_once(principal, request, jti, once);
        self.recorded_one(asked, answer.await).await
    }

    /// `answer`, if it was recorded. One that says `unavailable` may say that it was not; or that
    /// nobody knows, and the journal, read again, does.
    async fn recorded_one(&self, asked: &Authentic, answer: Answer) -> Result<Value, String> {
        match &answer.error {
            Some(error) if error.code == Code::Unavailable => {
                let seen = self.control.seen(asked.id()).await;
                match seen.map_err(|error| error.message)?.answered {
                    Some(answered) => Ok(recorded(&answered.answer)),
                    None => Err(error.message.clone()),
                }
            }
            Some(_) | None => Ok(json!(answer)),
        }
    }

    async fn refuse(
        &self,
        asked: &Authentic,
        refusal: &Refusal,
        once: bool,
    ) -> Result<Value, String> {
        self.refuse_with(asked, refusal.error(), refusal.word(), once)
            .await
    }

    /// Refuses what its sender has signed. It is written down with their name; `once` has the
    /// refusal recorded as its answer.
    async fn refuse_with(
        &self,
        asked: &Authentic,
        error: CommandError,
        word: &str,
        once: bool,
    ) -> Result<Value, String> {
        let Authentic { kid, claims, .. } = asked;
        let sender = &asked.holder.sender;
        let data = json!({
            "door": Door::Stomp,
            "from": from(sender),
            "login": kid,
            "command": name(&asked.command),
            "id": claims.jti,
            "ok": false,
            "code": error.code,
            "because": word,
            "message": error.message,
        });
        let answer = Answer::refused(claims.jti.clone(), 0, error);
        let entry = Entry {
            events: vec![Event::new("admin.command", sender, data)],
            answered: once.then(|| asked.once().answered(answer.to_text())),
            ..Entry::default()
        };
        let recorded = self.control.record_entry(entry).await;
        recorded.map_err(|error| error.message)?;
        Ok(json!(answer))
    }
}

impl Authentic {
    fn id(&self) -> (String, String) {
        (self.kid.clone(), self.claims.jti.clone())
    }

    fn once(&self) -> Once {
        Once {
            id: self.id(),
            digest: self.digest.clone(),
        }
    }
}

fn take(claims: &mut Map<String, Value>) -> Result<(Value, Claims), Refusal> {
    let command = claims.remove("cmd");
    let command = command.ok_or(TokenError::Claims("has no cmd"))?;
    Ok((command, Claims::take(claims)?))
}

fn name(command: &Value) -> Option<&str> {
    let name = command.get("command")?.as_str()?;
    entry(name).map(|entry| entry.name)
}

/// Whether a command may leave something behind: everything but what is known to be a question.
fn changes(command: &Value) -> bool {
    let known = name(command).and_then(entry);
    known.is_none_or(|entry| entry.changes || matches!(entry.name, "logout" | "end-login"))
}
