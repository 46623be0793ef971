//! What is read of answers: one attribute's values, one line of message.
//! It must not judge whether an answer is proven.

use radius::core::{avp::AVP, code::Code};

use super::{
    super::packet::tests::{answer, request, text},
    *,
};

#[test]
fn roles_are_the_values_of_one_attribute_that_are_text() {
    let pair = |vendor: u8, kind: u8, value: &str| {
        let mut bytes = vec![
            0,
            0,
            0,
            vendor,
            kind,
            u8::try_from(value.len() + 2).unwrap(),
        ];
        bytes.extend(value.as_bytes());
        AVP::from_bytes(26, &bytes)
    };
    let attributes = [
        text(11, "lb-admin"),
        text(11, "lb-viewer"),
        text(11, "lb-admin"),
        text(11, "two\nlines"),
        AVP::from_bytes(11, &[0xff, 0xfe]),
        text(25, "web-team"),
        pair(9, 1, "shell:roles=\"lb-admin lb-operator\""),
        pair(9, 1, "shell:priv-lvl=15"),
        pair(9, 2, "not-a-pair"),
        pair(8, 1, "not-cisco"),
        AVP::from_bytes(26, &[0, 0, 0, 9, 1, 200, 65]),
        AVP::from_bytes(26, &[0, 0, 0, 9, 1, 0]),
        AVP::from_bytes(26, &[0, 0]),
    ];
    let asked = request(true);
    let datagram = answer(&asked, Code::AccessAccept, &attributes, true);
    let Ok(Answer::Accept(granted)) = asked.read(&datagram) else {
        panic!("not accepted");
    };
    let values = |attribute| granted.values(attribute);
    assert_eq!(values(RoleAttribute::FilterId), ["lb-admin", "lb-viewer"]);
    assert_eq!(values(RoleAttribute::Class), ["web-team"]);
    let pairs = [
        "shell:roles=\"lb-admin lb-operator\"",
        "lb-admin",
        "lb-operator",
        "shell:priv-lvl=15",
    ];
    assert_eq!(values(RoleAttribute::CiscoAvpair), pairs);
}

#[test]
fn a_message_is_one_line_that_no_terminal_obeys() {
    let asked = request(true);
    let nasty = "Enter\u{1b}[2J\r\nyour \u{202e}code\0";
    let attributes = [text(18, nasty), text(18, "now"), text(24, "state")];
    let datagram = answer(&asked, Code::AccessChallenge, &attributes, true);
    let Ok(Answer::Challenge(challenged)) = asked.read(&datagram) else {
        panic!("no challenge");
    };
    assert_eq!(challenged.message, "Enter [2J your code now");
    assert_eq!(challenged.state.as_deref(), Some(b"state".as_slice()));
    let endless = vec![text(18, &"x".repeat(253)); 15];
    let datagram = answer(&asked, Code::AccessReject, &endless, true);
    let Ok(Answer::Reject(refusal)) = asked.read(&datagram) else {
        panic!("no rejection");
    };
    assert!(refusal.message.len() <= 400);
}
