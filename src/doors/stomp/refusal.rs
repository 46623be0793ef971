//! Why a message was not taken for what it wants to be: one reason for each check.
//! It must not say more to somebody who proved nothing than that they may not.

use crate::model::error::{Code, CommandError};

use super::{claims::ClaimError, message::MAX_BODY, token::TokenError};

/// Why a message was turned away before anybody was asked about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it has {0} bytes, more than {MAX_BODY}")]
    TooLong(u64),
    #[error("it was sent to {0}, not to the queue of this node")]
    Destination(String),
    #[error("its answer would go to {0}, which is no temporary queue of its sender")]
    ReplyTo(String),
    #[error("it does not say where its answer goes")]
    NoReplyTo,
    #[error("the broker does not say who sent it: populateJMSXUserID is off")]
    Unstamped,
    #[error("its sender is not in allowed_senders")]
    Sender,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("there is no login with its kid")]
    Unknown,
    #[error("its login belongs to another user of the broker")]
    OtherSender,
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error("plain log-ins are not taken here; seal it with the node's key")]
    Plain,
    #[error("it is neither a sealed nor a plain log-in by its content-type")]
    ContentType,
    #[error("it is sealed for another node, or not at all")]
    Sealed,
    #[error("it is no log-in: {0}")]
    NoLogin(&'static str),
    #[error("another message with its jti came before")]
    Conflict,
    #[error("it is so old that it may have been carried out before")]
    Forgotten,
    #[error("its login has ended")]
    Ended,
}

impl Refusal {
    /// What somebody is told who has proved who they are.
    pub(super) fn error(&self) -> CommandError {
        let code = match *self == Self::Conflict {
            true => Code::Conflict,
            false => Code::Denied,
        };
        CommandError::new(code, self.to_string())
    }

    /// A word for it, in the audit trail.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "too-long",
            Self::Destination(_) => "destination",
            Self::ReplyTo(_) | Self::NoReplyTo => "reply-to",
            Self::Unstamped | Self::Sender => "sender",
            Self::Token(TokenError::Malformed(_)) => "malformed",
            Self::Token(TokenError::Algorithm) => "algorithm",
            Self::Token(TokenError::Signature) => "signature",
            Self::Token(TokenError::Claims(_)) | Self::Claim(ClaimError::Missing(_)) => "claims",
            Self::Unknown => "unknown-login",
            Self::OtherSender => "other-sender",
            Self::Claim(ClaimError::Audience) => "audience",
            Self::Claim(ClaimError::TooLong) => "too-long-lived",
            Self::Claim(ClaimError::Future) => "future",
            Self::Claim(ClaimError::Expired) => "expired",
            Self::Plain => "plain",
            Self::ContentType => "content-type",
            Self::Sealed => "sealed",
            Self::NoLogin(_) => "malformed",
            Self::Conflict => "conflict",
            Self::Forgotten => "forgotten",
            Self::Ended => "ended",
        }
    }
}
