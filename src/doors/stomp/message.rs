//! A message as the door sees it, and what it comes to.
//! It must not know a connection.

use serde_json::{Value, json};

use super::{
    key::Key,
    token::{ANSWER, sign},
};
use crate::model::error::{Code, CommandError};

/// The longest log-in or command, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// The longest answer, in bytes: brokers close the connection over a frame that is too long.
const MAX_ANSWER: usize = 1024 * 1024;
/// The only destinations that answers go to. They belong to whoever sent the message; anything
/// else would have us write in our name where the sender may not.
const REPLIES: &str = "/remote-temp-queue/";

/// A message that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Where it was sent, by its header.
    pub destination: String,
    /// The user that the broker knows its sender as.
    pub sender: Option<String>,
    /// Where its sender wants the answer.
    pub reply_to: Option<String>,
    /// What its sender knows the answer by.
    pub correlation: Option<String>,
    /// What its body is.
    pub content_type: Option<String>,
    /// Its body; of one that is too long, its length.
    pub body: Body,
}

/// The body of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// So many bytes, which were not kept.
    TooLong(u64),
}

impl Default for Body {
    fn default() -> Self {
        Self::Whole(Vec::new())
    }
}

impl Message {
    /// Where the answer may go; `None` when nobody wants one.
    ///
    /// # Errors
    /// When it would go where answers do not go.
    pub(super) fn answer_to(&self) -> Result<Option<&str>, ()> {
        match self.reply_to.as_deref() {
            None => Ok(None),
            Some(to) if to.starts_with(REPLIES) && to.len() > REPLIES.len() => Ok(Some(to)),
            Some(_) => Err(()),
        }
    }

    /// An answer with this body; `None` when nobody wants one.
    fn reply(&self, content_type: &'static str, body: String) -> Option<Reply> {
        Some(Reply {
            destination: self.answer_to().ok()??.to_owned(),
            correlation: self.correlation.clone(),
            content_type,
            body,
        })
    }

    /// An answer that nothing vouches for, to somebody who could not be believed.
    pub(super) fn plain_reply(&self, message: &str) -> Option<Reply> {
        let error = CommandError::denied(message);
        let answer = json!({"ok": false, "error": error});
        self.reply("application/json", answer.to_string())
    }

    /// An answer that is signed.
    pub(super) fn signed_reply(&self, answer: &Signed<'_>) -> Option<Reply> {
        let token = answer.token();
        let token = match token.len() > MAX_ANSWER {
            false => token,
            true => {
                let message = format!(
                    "the answer has {} bytes, more than the {MAX_ANSWER} that go over the bus; \
                     ask for less",
                    token.len()
                );
                let error = CommandError::new(Code::Failed, message);
                let res = json!({"id": answer.jti, "ok": false, "error": error});
                Signed { res, ..*answer }.token()
            }
        };
        self.reply("application/jwt", token)
    }
}

/// What an answer says, and who vouches for it.
pub(super) struct Signed<'a> {
    pub(super) node: &'a str,
    pub(super) key: &'a Key,
    /// The login, where there is one.
    pub(super) kid: &'a str,
    /// The id of what is answered.
    pub(super) jti: &'a str,
    /// Milliseconds since 1970.
    pub(super) now: u64,
    pub(super) res: Value,
}

impl Signed<'_> {
    fn token(&self) -> String {
        let claims = json!({
            "iss": self.node,
            "sub": self.jti,
            "iat": self.now / 1000,
            "res": self.res,
        });
        sign(ANSWER, self.kid, &claims, self.key)
    }
}

/// An answer to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Where.
    pub destination: String,
    /// What the other side knows it by.
    pub correlation: Option<String>,
    /// What its body is.
    pub content_type: &'static str,
    /// Its body.
    pub body: String,
}

/// What a message came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// It is dealt with for good, and recorded: it is answered, where somebody waits, and then
    /// acknowledged.
    Dealt(Option<Reply>),
    /// The journal did not take it, for this reason: it is left with the broker.
    Left(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_to_temporary_queues_of_others_only() {
        for to in [
            "/queue/pointsman.commands.lb1",
            "/topic/pointsman.events.host",
            "/temp-queue/x",
            "/remote-temp-queue/",
            "/remote-temp-topic/x",
            " /remote-temp-queue/x",
            "remote-temp-queue/x",
            "",
        ] {
            let message = Message {
                reply_to: Some(to.to_owned()),
                ..Message::default()
            };
            assert_eq!(message.answer_to(), Err(()), "{to}");
            assert_eq!(message.plain_reply("no"), None, "{to}");
        }
        assert_eq!(Message::default().answer_to(), Ok(None));
    }

    #[test]
    fn an_answer_that_is_too_long_says_so_instead() {
        let message = Message {
            reply_to: Some("/remote-temp-queue/ID:1".to_owned()),
            ..Message::default()
        };
        let key = Key::new([1; 32]);
        let answer = Signed {
            node: "lb1",
            key: &key,
            kid: "0123",
            jti: "7",
            now: 1_732_270_000_123,
            res: json!({"ok": true, "data": "x".repeat(MAX_ANSWER)}),
        };
        let reply = message.signed_reply(&answer).unwrap();
        assert!(reply.body.len() < 1000);
        let token = super::super::token::Compact::parse(reply.body.as_bytes()).unwrap();
        let claims = token.claims(&key).unwrap();
        assert_eq!(claims["res"]["error"]["code"], "failed");
        assert_eq!(
            (&claims["sub"], &claims["iss"]),
            (&json!("7"), &json!("lb1"))
        );
    }
}
