//! Tokens on the bus: JWTs as compact JWS with HMAC-SHA256 (RFC 7515, RFC 7519), and no others.
//! It must not know the time, who is logged in or what a command means.
//!
//! Written here rather than taken from a library because the order of the checks is part of the
//! contract (`docs/adr/0023-tokens-by-hand.md`).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Map, Value, json};

use super::key::Key;
use crate::doors::strict;

/// The longest id of a login that is looked up.
const MAX_KID: usize = 64;
/// The type of a command, in the header `typ`.
pub const COMMAND: &str = "pm-cmd+jwt";
/// The type of an answer.
pub const ANSWER: &str = "pm-res+jwt";

/// Why a text is no token of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It cannot be taken apart.
    #[error("not a token: {0}")]
    Malformed(&'static str),
    /// It is signed in another way, or not at all.
    #[error("the token is not signed with HS256")]
    Algorithm,
    /// Somebody else signed it, or somebody has changed it.
    #[error("the signature of the token is wrong")]
    Signature,
    /// What it says is not what a token says.
    #[error("the token {0}")]
    Claims(&'static str),
}

/// A token as it came: taken apart, and not believed yet.
#[derive(Debug)]
pub struct Compact<'a> {
    header: Map<String, Value>,
    /// What is signed: header and payload, as they were written.
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(text: &'a [u8]) -> Result<Self, TokenError> {
        let malformed = TokenError::Malformed;
        let text = std::str::from_utf8(text).map_err(|_| malformed("it is not text"))?;
        let parts = || malformed("it does not have three parts");
        let (signed, signature) = text.rsplit_once('.').ok_or_else(parts)?;
        let (header, payload) = signed.split_once('.').ok_or_else(parts)?;
        if payload.contains('.') {
            return Err(parts());
        }
        let header = decoded(header).ok_or(malformed("its header is not base64url"))?;
        let signature = decoded(signature).ok_or(malformed("its signature is not base64url"))?;
        let Ok(Value::Object(header)) = strict::parse(&header) else {
            return Err(malformed("its header is not a JSON object"));
        };
        Ok(Self {
            header,
            signed,
            payload,
            signature,
        })
    }

    /// Whose it claims to be: the id of a login.
    ///
    /// # Errors
    /// `Malformed` when it does not say.
    pub fn kid(&self) -> Result<&str, TokenError> {
        let kid = self.header.get("kid").and_then(Value::as_str);
        kid.filter(|kid| !kid.is_empty() && kid.len() <= MAX_KID)
            .ok_or(TokenError::Malformed("its header has no kid"))
    }

    /// Whether it claims to be signed as ours are, and to be of the type `kind` if it says of
    /// which.
    ///
    /// # Errors
    /// `Algorithm`, `Malformed`.
    pub fn check_header(&self, kind: &str) -> Result<(), TokenError> {
        if self.header.get("alg").and_then(Value::as_str) != Some("HS256") {
            return Err(TokenError::Algorithm);
        }
        // RFC 7515, section 4.1.11: who does not understand what is critical refuses it.
        if self.header.contains_key("crit") {
            return Err(TokenError::Malformed("its header has crit"));
        }
        match self.header.get("typ") {
            None => Ok(()),
            // RFC 7519, section 5.1: `JWT` is what libraries write by themselves.
            Some(Value::String(typ)) if typ == kind || typ == "JWT" => Ok(()),
            Some(_) => Err(TokenError::Malformed("it is of another type")),
        }
    }

    /// What it says, if `key` signed it.
    ///
    /// # Errors
    /// `Signature`; `Claims` when what was signed is no JSON object.
    pub fn claims(&self, key: &Key) -> Result<Map<String, Value>, TokenError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.bytes());
        hmac::verify(&key, self.signed.as_bytes(), &self.signature)
            .map_err(|_| TokenError::Signature)?;
        let payload = decoded(self.payload).ok_or(TokenError::Claims("is not base64url"))?;
        match strict::parse(&payload) {
            Ok(Value::Object(claims)) => Ok(claims),
            Ok(_) => Err(TokenError::Claims("is not a JSON object")),
            Err("it is not JSON") => Err(TokenError::Claims("is not JSON")),
            Err(_) => Err(TokenError::Claims(
                "has a name twice, or is nested too deep",
            )),
        }
    }
}

/// Strictly: no padding, no line breaks, no bits left over.
fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

/// Signs `claims` with `key`, which is that of the login `kid`.
pub fn sign(kind: &str, kid: &str, claims: &Value, key: &Key) -> String {
    let header = json!({"alg": "HS256", "typ": kind, "kid": kid});
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.bytes());
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

#[cfg(test)]
#[path = "token/tests.rs"]
mod tests;
