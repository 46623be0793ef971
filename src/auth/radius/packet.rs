//! Access-Requests and what answers them, as bytes: builds the ones, checks the others.
//! It must not send anything, nor give out anything of an answer that the secret does not prove.
//!
//! RFC 2865 (packets, PAP, CHAP), RFC 2869 section 5.14 (Message-Authenticator), RFC 3162 (IPv6).

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use radius::core::{code::Code, packet::Packet, rfc2865, rfc2869, rfc3162};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::answer::{Answer, Challenged, Granted, Refusal};

/// Code, identifier, length and authenticator.
const HEADER: usize = 20;
/// The longest packet that there is.
pub(super) const MAX_PACKET: usize = 4096;
/// The longest value of an attribute.
const MAX_VALUE: usize = 253;
/// The longest password that PAP can hide (RFC 2865, section 5.2).
const MAX_PASSWORD: usize = 128;
/// The longest name of this node that is told, in characters.
const MAX_NAS: usize = 60;
/// Where the Message-Authenticator of a request is, its first attribute: behind type and length.
const OWN_PROOF: std::ops::Range<usize> = HEADER + 2..HEADER + 18;

/// A code, and what a packet of it becomes.
type Meaning = (Code, fn(Packet) -> Answer);
/// What counts as an answer to an Access-Request.
const ANSWERS: [Meaning; 3] = [
    (Code::AccessAccept, |packet| {
        Answer::Accept(Granted::of(packet))
    }),
    (Code::AccessReject, |packet| {
        Answer::Reject(Refusal::of(&packet))
    }),
    (Code::AccessChallenge, |packet| {
        Answer::Challenge(Challenged::of(&packet))
    }),
];

/// How a password is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Hidden by the shared secret.
    #[default]
    Pap,
    /// As the digest of a challenge, for which the server must know the password itself.
    Chap,
}

/// What a request asks.
pub(super) struct Question<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a SecretString,
    pub(super) method: Method,
    /// Of the challenge that `password` answers.
    pub(super) state: Option<&'a [u8]>,
    /// What this node is called.
    pub(super) nas: &'a str,
}

/// Why a request cannot even be put.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("the user name is longer than the {MAX_VALUE} bytes that RADIUS takes")]
    User,
    #[error("the password is longer than the {MAX_PASSWORD} bytes that RADIUS takes")]
    Password,
    #[error("the request cannot be encoded: {0}")]
    Encoding(String),
}

/// Why what came counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Discarded {
    /// Its length is not what its header says, or no packet has it.
    #[error("its length is wrong")]
    Length,
    /// It answers another request.
    #[error("it answers another request")]
    Identifier,
    /// It is no answer to an Access-Request.
    #[error("it is no answer to an Access-Request")]
    Code,
    /// Whoever sent it does not know the secret, or another request was asked.
    #[error("its Response Authenticator is wrong; is the secret the same on both sides?")]
    ResponseAuthenticator,
    /// Its attributes have no structure.
    #[error("its attributes are broken")]
    Attributes,
    /// There is none where one is required.
    #[error("it has no Message-Authenticator")]
    NoMessageAuthenticator,
    /// It is wrong, or there are two.
    #[error("its Message-Authenticator is wrong")]
    MessageAuthenticator,
}

/// A request, and what its answers must prove.
pub struct Request {
    bytes: Vec<u8>,
    secret: SecretString,
    /// Whether an answer without a Message-Authenticator counts for nothing.
    proof_required: bool,
}

impl Request {
    /// The request that asks `question`, from the local address `from`: with an identifier and
    /// an authenticator that nobody can foresee, and its Message-Authenticator before everything
    /// that somebody else may have chosen.
    pub(super) fn new(
        question: &Question<'_>,
        from: IpAddr,
        secret: &SecretString,
        proof_required: bool,
    ) -> Result<Self, Unfit> {
        if question.user.len() > MAX_VALUE {
            return Err(Unfit::User);
        }
        let mut packet = Packet::new(Code::AccessRequest, secret.expose_secret().as_bytes());
        rfc2869::add_message_authenticator(&mut packet, &[0; 16]);
        rfc2865::add_user_name(&mut packet, question.user);
        let password = question.password.expose_secret().as_bytes();
        // The answer to a challenge is always hidden, never digested (RFC 2865, section 4.4).
        if question.method == Method::Chap && question.state.is_none() {
            add_chap(&mut packet, password);
        } else {
            rfc2865::add_user_password(&mut packet, password).map_err(|_| Unfit::Password)?;
        }
        if let Some(state) = question.state {
            rfc2865::add_state(&mut packet, state);
        }
        add_nas(&mut packet, question.nas, from);
        Self::proven(&packet, secret, proof_required)
    }

    /// The question whether a server is there (RFC 5997), which concerns nobody.
    pub(super) fn status(nas: &str, from: IpAddr, secret: &SecretString) -> Result<Self, Unfit> {
        let mut packet = Packet::new(Code::StatusServer, secret.expose_secret().as_bytes());
        rfc2869::add_message_authenticator(&mut packet, &[0; 16]);
        add_nas(&mut packet, nas, from);
        Self::proven(&packet, secret, false)
    }

    /// `packet`, whose first attribute is an empty Message-Authenticator, with the right one.
    fn proven(packet: &Packet, secret: &SecretString, required: bool) -> Result<Self, Unfit> {
        let encoded = packet.encode();
        let mut bytes = encoded.map_err(|error| Unfit::Encoding(error.to_string()))?;
        let proof = mac(secret, [bytes.as_slice()]).map(|mac| mac.finalize().into_bytes());
        match (proof, bytes.get_mut(OWN_PROOF)) {
            (Some(proof), Some(place)) => place.copy_from_slice(&proof),
            _ => {
                return Err(Unfit::Encoding(
                    "there is no place for its proof".to_owned(),
                ));
            }
        }
        Ok(Self::sent(bytes, secret.clone(), required))
    }

    /// A request as it was sent, to try answers on.
    pub fn sent(bytes: Vec<u8>, secret: SecretString, proof_required: bool) -> Self {
        Self {
            bytes,
            secret,
            proof_required,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn authenticator(&self) -> &[u8] {
        self.bytes.get(4..HEADER).unwrap_or_default()
    }

    /// What `datagram` answers, if it is proven to. What stands behind the length of its header
    /// is padding (RFC 2865, section 3).
    ///
    /// # Errors
    /// Why it counts for nothing.
    pub fn read(&self, datagram: &[u8]) -> Result<Answer, Discarded> {
        let Some(&[code, identifier, high, low]) = datagram.first_chunk() else {
            return Err(Discarded::Length);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let whole = datagram.get(..length).filter(|_| length <= MAX_PACKET);
        let (header, theirs, attributes) = whole.and_then(parts).ok_or(Discarded::Length)?;
        if Some(&identifier) != self.bytes.get(1) {
            return Err(Discarded::Identifier);
        }
        let known = ANSWERS.iter().find(|(known, _)| *known as u8 == code);
        let (_, answer) = known.ok_or(Discarded::Code)?;
        let proof = Md5::new()
            .chain_update(header)
            .chain_update(self.authenticator())
            .chain_update(attributes)
            .chain_update(self.secret.expose_secret())
            .finalize();
        if !bool::from(proof.as_slice().ct_eq(theirs)) {
            return Err(Discarded::ResponseAuthenticator);
        }
        self.check_proof(header, attributes)?;
        // The secret is not needed any more, and is not left lying about.
        let packet = Packet::decode(datagram, &[]).map_err(|_| Discarded::Attributes)?;
        Ok(answer(packet))
    }

    /// The Message-Authenticator: over the header with the authenticator of the request and the
    /// attributes, with itself as zeros.
    fn check_proof(&self, header: &[u8], attributes: &[u8]) -> Result<(), Discarded> {
        let Some(theirs) = message_authenticator(attributes)? else {
            let fine = !self.proof_required;
            return fine.then_some(()).ok_or(Discarded::NoMessageAuthenticator);
        };
        let (before, rest) = attributes.split_at(theirs);
        let (theirs, after) = rest.split_at_checked(16).ok_or(Discarded::Attributes)?;
        let covered = [header, self.authenticator(), before, &[0; 16], after];
        match mac(&self.secret, covered).map(|mac| mac.verify_slice(theirs)) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(Discarded::MessageAuthenticator),
        }
    }
}

/// Code, identifier and length; the authenticator; the attributes.
fn parts(packet: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (header, attributes) = packet.split_at_checked(HEADER)?;
    let (header, authenticator) = header.split_at_checked(4)?;
    Some((header, authenticator, attributes))
}

/// Where the value of the only Message-Authenticator starts, if there is any.
fn message_authenticator(attributes: &[u8]) -> Result<Option<usize>, Discarded> {
    let (mut found, mut at) = (None, 0);
    while let Some(&[kind, length]) = attributes.get(at..).and_then(|rest| rest.first_chunk()) {
        if kind == rfc2869::MESSAGE_AUTHENTICATOR_TYPE {
            if found.is_some() || length != 18 {
                return Err(Discarded::MessageAuthenticator);
            }
            found = Some(at + 2);
        }
        if length < 2 {
            return Err(Discarded::Attributes);
        }
        at += usize::from(length);
    }
    let whole = at == attributes.len();
    whole.then_some(found).ok_or(Discarded::Attributes)
}

fn mac<'a>(
    secret: &SecretString,
    covered: impl IntoIterator<Item = &'a [u8]>,
) -> Option<Hmac<Md5>> {
    let mut mac = Hmac::<Md5>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    for part in covered {
        mac.update(part);
    }
    Some(mac)
}

/// Who asks, as far as servers tell by it which rules count (RFC 2865, section 5.4 and 5.32).
fn add_nas(packet: &mut Packet, nas: &str, from: IpAddr) {
    let nas: String = nas.chars().take(MAX_NAS).collect();
    rfc2865::add_nas_identifier(packet, &nas);
    match from {
        IpAddr::V4(from) => rfc2865::add_nas_ip_address(packet, &from),
        IpAddr::V6(from) => rfc3162::add_nas_ipv6_address(packet, &from),
    }
}

/// CHAP-Password and CHAP-Challenge (RFC 2865, sections 2.2, 5.3 and 5.40).
fn add_chap(packet: &mut Packet, password: &[u8]) {
    let (identifier, challenge): (u8, [u8; 16]) = (rand::random(), rand::random());
    let digest = Md5::new()
        .chain_update([identifier])
        .chain_update(password)
        .chain_update(challenge)
        .finalize();
    let mut value = vec![identifier];
    value.extend_from_slice(&digest);
    rfc2865::add_chap_password(packet, &value);
    rfc2865::add_chap_challenge(packet, &challenge);
}

#[cfg(test)]
pub(super) mod tests;
