//! Whether a message has the shape of an answer to what was asked (RFC 4511 sections 4.1.1 and
//! 4.1.9): the library panics at others, so none of them may reach it.
//! It must not judge what an answer says.

use super::frame::{Element, element};

const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
const TEXT: u8 = 0x04;
const ENUMERATED: u8 = 0x0a;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

const BIND_REQUEST: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const SEARCH_REQUEST: u8 = 0x63;
const SEARCH_ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const SEARCH_REFERENCE: u8 = 0x73;
const EXTENDED_RESPONSE: u8 = 0x78;
const INTERMEDIATE: u8 = 0x79;

const CONTROLS: u8 = 0xa0;
const REFERRAL: u8 = 0xa3;
const SASL: u8 = 0x87;
const NAME: u8 = 0x8a;
const VALUE: u8 = 0x8b;

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    id: u32,
    operation: u8,
}

impl Asked {
    /// What this request asks; `None` for what is no message.
    pub(super) fn by(request: &[u8]) -> Option<Self> {
        let (id, operation, _) = parts(request)?;
        Some(Self {
            id,
            operation: operation.tag,
        })
    }

    /// As one number, for those who share it.
    pub(super) fn packed(self) -> u64 {
        u64::from(self.id) << 8 | u64::from(self.operation)
    }

    pub(super) fn unpacked(packed: u64) -> Self {
        Self {
            id: u32::try_from(packed >> 8).unwrap_or_default(),
            operation: packed.to_le_bytes()[0],
        }
    }

    /// Whether `message` has the shape of an answer to this, or of one that nobody asks for.
    pub(super) fn is_answered_by(self, message: &[u8]) -> bool {
        self.answer(message).is_some()
    }

    fn answer(self, message: &[u8]) -> Option<()> {
        let (id, operation, rest) = parts(message)?;
        let expected = match (self.operation, operation.tag) {
            // A notice of disconnection comes by itself (section 4.4).
            (_, EXTENDED_RESPONSE) => id == 0,
            (BIND_REQUEST, BIND_RESPONSE)
            | (SEARCH_REQUEST, SEARCH_ENTRY | SEARCH_DONE | SEARCH_REFERENCE | INTERMEDIATE) => {
                id == self.id
            }
            _ => false,
        };
        let content = operation.content;
        match operation.tag {
            _ if !expected => None,
            SEARCH_ENTRY => entry(content),
            SEARCH_REFERENCE => texts(content),
            INTERMEDIATE => Some(()),
            _ => result(content),
        }?;
        match element(rest) {
            None => rest.is_empty().then_some(()),
            // Active Directory puts the name of its notice there.
            Some(name) if name.tag == NAME && operation.tag == EXTENDED_RESPONSE => nothing(name),
            Some(found) if found.tag == CONTROLS => {
                nothing(found)?;
                each(found.content, SEQUENCE, control)
            }
            Some(_) => None,
        }
    }
}

/// Number, operation and what comes after it.
fn parts(message: &[u8]) -> Option<(u32, Element<'_>, &[u8])> {
    let whole = tagged(message, SEQUENCE)?;
    let id = tagged(whole.content, INTEGER)?;
    let operation = element(id.rest)?;
    Some((number(id.content)?, operation, operation.rest))
}

fn number(bytes: &[u8]) -> Option<u32> {
    let short = matches!(bytes.len(), 1..=4);
    short.then(|| {
        let bytes = bytes.iter();
        bytes.fold(0, |number, byte| number << 8 | u32::from(*byte))
    })
}

/// `LDAPResult`, with what a bind and an extended operation have more.
fn result(content: &[u8]) -> Option<()> {
    let code = tagged(content, ENUMERATED)?;
    number(code.content)?;
    let matched = text(code.rest)?;
    let mut more = text(matched.rest)?.rest;
    while !more.is_empty() {
        let part = element(more)?;
        match part.tag {
            REFERRAL => texts(part.content)?,
            NAME => utf8(part.content)?,
            SASL | VALUE => {}
            // The library goes by the number alone.
            other if matches!(other & 0x1f, 3 | 7 | 10 | 11) => return None,
            _ => {}
        }
        more = part.rest;
    }
    Some(())
}

/// `SearchResultEntry`: a name, and attributes with their values.
fn entry(content: &[u8]) -> Option<()> {
    let name = text(content)?;
    let attributes = tagged(name.rest, SEQUENCE)?;
    each(attributes.content, SEQUENCE, |attribute| {
        let values = tagged(text(attribute)?.rest, SET)?;
        each(values.content, TEXT, |_| Some(()))
    })
}

/// `Control`: its type, whether it is critical, its value.
fn control(content: &[u8]) -> Option<()> {
    let mut rest = text(content)?.rest;
    if let Some(critical) = tagged(rest, BOOLEAN) {
        (critical.content.len() == 1).then_some(())?;
        rest = critical.rest;
    }
    match rest {
        [] => Some(()),
        value => nothing(tagged(value, TEXT)?),
    }
}

fn texts(content: &[u8]) -> Option<()> {
    each(content, TEXT, utf8)
}

/// Whether `content` is nothing but elements of this tag, each of which passes.
fn each(mut content: &[u8], tag: u8, passes: impl Fn(&[u8]) -> Option<()>) -> Option<()> {
    while !content.is_empty() {
        let one = tagged(content, tag)?;
        passes(one.content)?;
        content = one.rest;
    }
    Some(())
}

fn tagged(bytes: &[u8], tag: u8) -> Option<Element<'_>> {
    element(bytes).filter(|element| element.tag == tag)
}

fn text(bytes: &[u8]) -> Option<Element<'_>> {
    let text = tagged(bytes, TEXT)?;
    utf8(text.content)?;
    Some(text)
}

fn utf8(bytes: &[u8]) -> Option<()> {
    std::str::from_utf8(bytes).ok().map(drop)
}

fn nothing(after: Element<'_>) -> Option<()> {
    after.rest.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUND: &[u8] = b"\x30\x0c\x02\x01\x07\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
    const DONE: &[u8] = b"\x30\x0c\x02\x01\x07\x65\x07\x0a\x01\x00\x04\x00\x04\x00";
    const ENTRY: &[u8] = b"\x30\x18\x02\x01\x07\x64\x13\x04\x04cn=x\x30\x0b\x30\x09\x04\x02cn\
                           \x31\x03\x04\x01\xfe";
    const NOTICE: &[u8] = b"\x30\x0c\x02\x01\x00\x78\x07\x0a\x01\x34\x04\x00\x04\x00";

    fn asked(operation: u8) -> Asked {
        let request = [0x30, 5, 2, 1, 7, operation, 0];
        let asked = Asked::by(&request).unwrap();
        assert_eq!(Asked::unpacked(asked.packed()), asked);
        asked
    }

    fn bind() -> Asked {
        asked(BIND_REQUEST)
    }

    fn search() -> Asked {
        asked(SEARCH_REQUEST)
    }

    /// `message` with these bytes at its end, within the message or within its last part.
    fn with(message: &[u8], more: &[u8], within_operation: bool) -> Vec<u8> {
        let mut longer = [message, more].concat();
        longer[1] += more.len() as u8;
        if within_operation {
            longer[6] += more.len() as u8;
        }
        longer
    }

    #[test]
    fn answers_to_what_was_asked_are_let_through() {
        assert!(bind().is_answered_by(BOUND));
        for answer in [ENTRY, DONE] {
            assert!(search().is_answered_by(answer), "{answer:x?}");
        }
        let policy = b"\xa0\x0a\x30\x08\x04\x011\x04\x030\x81\x01";
        let critical = b"\xa0\x0a\x30\x08\x04\x011\x01\x01\xff\x04\x00";
        for controls in [&policy[..], critical, b"\xa0\x05\x30\x03\x04\x011"] {
            assert!(bind().is_answered_by(&with(BOUND, controls, false)));
        }
        for part in [
            &b"\xa3\x03\x04\x01x"[..],
            b"\x87\x01\xff",
            b"\x8a\x01x",
            b"\x89\x00",
        ] {
            assert!(bind().is_answered_by(&with(BOUND, part, true)), "{part:x?}");
        }
        for asked in [bind(), search()] {
            assert!(asked.is_answered_by(NOTICE));
            assert!(asked.is_answered_by(&with(NOTICE, b"\x8a\x011", false)));
        }
    }

    #[test]
    fn what_is_no_answer_or_none_to_that_is_held_back() {
        for (asked, answer) in [
            (bind(), ENTRY),
            (bind(), DONE),
            (search(), BOUND),
            (Asked::default(), BOUND),
        ] {
            assert!(!asked.is_answered_by(answer), "{asked:?} {answer:x?}");
        }
        let mut other = BOUND.to_vec();
        other[4] = 8;
        assert!(!bind().is_answered_by(&other), "the number of another");
        for (place, value) in [(0, 0x31), (2, 4), (7, 2), (10, 0x24), (12, 2)] {
            let mut other = BOUND.to_vec();
            other[place] = value;
            assert!(!bind().is_answered_by(&other), "{place}");
        }
        for (more, within) in [
            (&b"\x04\x00"[..], false),
            (b"\x8a\x011", false),
            (b"\x80\x00", false),
            (b"\xa0\x02\x30\x00", false),
            (b"\xa0\x02\x04\x00", false),
            (b"\xa0\x05\x30\x03\x04\x01\xfe", false),
            (b"\xa0\x07\x30\x05\x04\x011\x01\x00", false),
            (b"\xa0\x07\x30\x05\x04\x011\x02\x00", false),
            (b"\xa3\x02\x02\x00", true),
            (b"\x83\x00", true),
            (b"\xaa\x00", true),
            (b"\x8a\x01\xfe", true),
        ] {
            assert!(
                !bind().is_answered_by(&with(BOUND, more, within)),
                "{more:x?}"
            );
        }
        for cut in 0..ENTRY.len() {
            let mut shorter = ENTRY[..cut].to_vec();
            if let Some(length) = shorter.get_mut(1) {
                *length = (cut - 2) as u8;
            }
            assert!(!search().is_answered_by(&shorter), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(bytes: Vec<u8>) {
            let _ = search().is_answered_by(&bytes);
            let _ = Asked::by(&bytes);
        }
    }
}
