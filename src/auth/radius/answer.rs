//! What a proven answer says: what was granted, asked in return, or refused.
//! It must not take anything but a message from an answer that grants nothing.

use std::fmt;

use radius::core::{
    avp::AVPType,
    packet::Packet,
    rfc2865::{
        CLASS_TYPE, FILTER_ID_TYPE, REPLY_MESSAGE_TYPE, STATE_TYPE, USER_NAME_TYPE,
        VENDOR_SPECIFIC_TYPE,
    },
};

/// Cisco, and the first of its attributes: `protocol:attribute=value`.
const CISCO: [u8; 4] = [0, 0, 0, 9];
const CISCO_AVPAIR: u8 = 1;
/// In front of roles in a Cisco-AVPair: the first must be understood, the second may be.
const SHELL_ROLES: [&str; 2] = ["shell:roles=", "shell:roles*"];
/// The longest message that is shown, in characters.
const MAX_MESSAGE: usize = 400;

/// Which attribute of an Access-Accept the rules are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoleAttribute {
    /// Filter-Id.
    #[default]
    FilterId,
    /// Class.
    Class,
    /// Cisco-AVPair: each as it stands, and of `shell:roles="a b"` also `a` and `b`.
    CiscoAvpair,
}

impl fmt::Display for RoleAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FilterId => "Filter-Id",
            Self::Class => "Class",
            Self::CiscoAvpair => "Cisco-AVPair",
        })
    }
}

/// What a server said.
#[derive(Debug)]
pub enum Answer {
    /// Access-Accept.
    Accept(Granted),
    /// Access-Reject.
    Reject(Refusal),
    /// Access-Challenge.
    Challenge(Challenged),
}

/// An Access-Accept.
pub struct Granted(Packet);

impl Granted {
    pub(super) fn of(packet: Packet) -> Self {
        Self(packet)
    }

    /// The values of `attribute` that are text, in their order, each once.
    pub fn values(&self, attribute: RoleAttribute) -> Vec<String> {
        let mut values = Vec::new();
        match attribute {
            RoleAttribute::FilterId => add_texts(&self.0, FILTER_ID_TYPE, &mut values),
            RoleAttribute::Class => add_texts(&self.0, CLASS_TYPE, &mut values),
            RoleAttribute::CiscoAvpair => {
                for pair in cisco_pairs(&self.0) {
                    let roles = SHELL_ROLES
                        .iter()
                        .find_map(|start| pair.strip_prefix(start));
                    let roles = roles.unwrap_or_default().trim_matches('"');
                    let roles: Vec<_> = roles.split_whitespace().map(str::to_owned).collect();
                    values.push(pair);
                    values.extend(roles);
                }
            }
        }
        let mut seen = std::collections::HashSet::new();
        values.retain(|value| seen.insert(value.clone()));
        values
    }

    /// The user as the server spells them, where it does.
    pub(super) fn user(&self) -> Option<String> {
        let mut names = Vec::new();
        add_texts(&self.0, USER_NAME_TYPE, &mut names);
        names.into_iter().find(|name| !name.trim().is_empty())
    }
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Granted(…)")
    }
}

/// An Access-Challenge.
pub struct Challenged {
    /// What the server wants to see again; it may not want anything.
    pub(super) state: Option<Vec<u8>>,
    pub(super) message: String,
}

impl Challenged {
    pub(super) fn of(packet: &Packet) -> Self {
        let state = packet.lookup(STATE_TYPE).map(|state| state.encode_bytes());
        let message = message(packet);
        Self { state, message }
    }
}

impl fmt::Debug for Challenged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenged")
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

/// An Access-Reject.
#[derive(Debug)]
pub struct Refusal {
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn of(packet: &Packet) -> Self {
        let message = message(packet);
        Self { message }
    }
}

/// All Reply-Messages as one line of bounded length, with nothing in it that a terminal obeys.
fn message(packet: &Packet) -> String {
    let mut whole = String::new();
    for part in packet.lookup_all(REPLY_MESSAGE_TYPE) {
        whole.push_str(&String::from_utf8_lossy(&part.encode_bytes()));
        whole.push(' ');
    }
    let shown = whole.chars().map(|c| if obeyed(c) { ' ' } else { c });
    let shown: String = shown.collect();
    let words: Vec<_> = shown.split_whitespace().collect();
    words.join(" ").chars().take(MAX_MESSAGE).collect()
}

/// Control characters, and what turns the direction of writing or cannot be seen.
fn obeyed(c: char) -> bool {
    let unseen = [
        '\u{200b}'..='\u{200f}',
        '\u{202a}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
    ];
    c.is_control() || c == '\u{feff}' || unseen.iter().any(|range| range.contains(&c))
}

/// Adds the values of this attribute that are text without control characters.
fn add_texts(packet: &Packet, attribute: AVPType, values: &mut Vec<String>) {
    let found = packet.lookup_all(attribute).into_iter();
    values.extend(found.filter_map(|value| text(&value.encode_bytes())));
}

fn text(value: &[u8]) -> Option<String> {
    let text = str::from_utf8(value).ok()?;
    let fits = !text.is_empty() && !text.chars().any(obeyed);
    fits.then(|| text.to_owned())
}

/// The Cisco-AVPairs of all Vendor-Specifics: a vendor, then its attributes like those of a packet.
fn cisco_pairs(packet: &Packet) -> Vec<String> {
    let mut pairs = Vec::new();
    for specific in packet.lookup_all(VENDOR_SPECIFIC_TYPE) {
        let value = specific.encode_bytes();
        let mut rest = value.strip_prefix(&CISCO).unwrap_or_default();
        while let Some((&[kind, length], _)) = rest.split_first_chunk() {
            let Some((whole, after)) = rest.split_at_checked(length.into()) else {
                break;
            };
            let Some(value) = whole.get(2..) else {
                break;
            };
            if kind == CISCO_AVPAIR {
                pairs.extend(text(value));
            }
            rest = after;
        }
    }
    pairs
}

#[cfg(test)]
mod tests;
