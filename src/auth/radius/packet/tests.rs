//! Requests that servers accept, and answers of which every bit counts.
//! It must not send anything.

use proptest::prelude::*;
use radius::core::avp::AVP;

use super::{super::answer::RoleAttribute, *};

const SECRET: &str = "xyzzy5461";

fn secret() -> SecretString {
    SecretString::from(SECRET)
}

pub(in super::super) fn request(required: bool) -> Request {
    let question = Question {
        user: "ada",
        password: &"analytical".into(),
        method: Method::Pap,
        state: None,
        nas: "lb1",
    };
    let from = "127.0.0.1".parse().unwrap();
    Request::new(&question, from, &secret(), required).unwrap()
}

/// What a server that knows the secret answers to `request`.
pub(in super::super) fn answer(
    request: &Request,
    code: Code,
    attributes: &[AVP],
    proven: bool,
) -> Vec<u8> {
    let asked = Packet::decode(request.bytes(), SECRET.as_bytes()).unwrap();
    let mut packet = asked.make_response_packet(code);
    packet.extend(attributes.to_vec());
    if !proven {
        return packet.encode().unwrap();
    }
    rfc2869::add_message_authenticator(&mut packet, &[0; 16]);
    let bytes = packet.encode().unwrap();
    let (header, _, attributes) = parts(&bytes).unwrap();
    let covered = [header, request.authenticator(), attributes];
    let proof = mac(&secret(), covered).unwrap().finalize().into_bytes();
    rfc2869::delete_message_authenticator(&mut packet);
    rfc2869::add_message_authenticator(&mut packet, &proof);
    packet.encode().unwrap()
}

pub(in super::super) fn text(kind: u8, value: &str) -> AVP {
    AVP::from_string(kind, value)
}

fn hexadecimal(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.split_whitespace().collect();
    let byte = |digits: &&str| u8::from_str_radix(digits, 16).unwrap();
    digits.iter().map(byte).collect()
}

#[test]
fn the_answer_of_the_specification_is_read_and_lacks_what_came_later() {
    // RFC 2865, section 7.1.
    let asked = "01 00 00 38 0f 40 3f 94 73 97 80 57 bd 83 d5 cb 98 f4 22 7a 01 06 6e 65 6d 6f 02 \
                 12 0d be 70 8d 93 d4 13 ce 31 96 e4 3f 78 2a 0a ee 04 06 c0 a8 01 10 05 06 00 00 \
                 00 03";
    let answered = "02 00 00 26 86 fe 22 0e 76 24 ba 2a 10 05 f6 bf 9b 55 e0 b2 06 06 00 00 00 01 \
                    0f 06 00 00 00 00 0e 06 c0 a8 01 03";
    let answered = hexadecimal(answered);
    let sent = |required| Request::sent(hexadecimal(asked), secret(), required);
    assert!(matches!(sent(false).read(&answered), Ok(Answer::Accept(_))));
    let lacking = sent(true).read(&answered).unwrap_err();
    assert_eq!(lacking, Discarded::NoMessageAuthenticator);
}

#[test]
fn a_request_starts_with_its_proof_and_is_never_the_same_twice() {
    let (one, other) = (request(true), request(true));
    for request in [&one, &other] {
        let bytes = request.bytes();
        assert_eq!(bytes[0], 1);
        assert_eq!(
            usize::from(bytes[2]) * 256 + usize::from(bytes[3]),
            bytes.len()
        );
        assert_eq!(
            bytes[20..22],
            [80, 18],
            "the Message-Authenticator is first"
        );
        let mut blank = bytes.to_vec();
        blank[22..38].fill(0);
        let proof = mac(&secret(), [blank.as_slice()]).unwrap();
        proof.verify_slice(&bytes[22..38]).unwrap();
        assert!(!bytes.windows(10).any(|window| window == b"analytical"));
    }
    assert_ne!(one.authenticator(), other.authenticator());
    assert_ne!(one.bytes()[22..38], other.bytes()[22..38]);
}

#[test]
fn chap_shows_a_digest_and_the_answer_to_a_challenge_is_hidden() {
    let from = "::1".parse().unwrap();
    let password = SecretString::from("analytical");
    let mut question = Question {
        user: "ada",
        password: &password,
        method: Method::Chap,
        state: None,
        nas: "lb1",
    };
    let decode = |question: &Question<'_>| {
        let request = Request::new(question, from, &secret(), true).unwrap();
        Packet::decode(request.bytes(), SECRET.as_bytes()).unwrap()
    };
    let packet = decode(&question);
    let digest = rfc2865::lookup_chap_password(&packet).unwrap();
    let challenge = rfc2865::lookup_chap_challenge(&packet).unwrap();
    let expected = Md5::new()
        .chain_update([digest[0]])
        .chain_update(b"analytical")
        .chain_update(&challenge)
        .finalize();
    assert_eq!(digest[1..], expected[..]);
    assert!(challenge.len() == 16 && rfc2865::lookup_user_password(&packet).is_none());
    assert_eq!(
        rfc3162::lookup_nas_ipv6_address(&packet).unwrap().unwrap(),
        from_v6()
    );

    question.state = Some(b"theirs");
    let packet = decode(&question);
    assert_eq!(
        rfc2865::lookup_user_password(&packet).unwrap().unwrap(),
        b"analytical"
    );
    assert_eq!(rfc2865::lookup_state(&packet).unwrap(), b"theirs");
    assert!(rfc2865::lookup_chap_password(&packet).is_none());
}

fn from_v6() -> std::net::Ipv6Addr {
    std::net::Ipv6Addr::LOCALHOST
}

#[test]
fn what_fits_into_no_request_is_not_cut_but_refused() {
    let from = "127.0.0.1".parse().unwrap();
    let put = |user: &str, password: &str, method| {
        let question = Question {
            user,
            password: &password.into(),
            method,
            state: None,
            nas: &"n".repeat(300),
        };
        Request::new(&question, from, &secret(), true)
    };
    let (long, longest) = ("x".repeat(254), "x".repeat(253));
    assert!(matches!(
        put(&long, "secret", Method::Pap),
        Err(Unfit::User)
    ));
    assert!(put(&longest, &"x".repeat(128), Method::Pap).is_ok());
    let long = "x".repeat(129);
    assert!(matches!(
        put("ada", &long, Method::Pap),
        Err(Unfit::Password)
    ));
    assert!(put("ada", &long, Method::Chap).is_ok());
}

#[test]
fn only_answers_to_this_request_by_who_knows_the_secret_count() {
    let asked = request(true);
    let fine = answer(&asked, Code::AccessAccept, &[text(11, "lb-admin")], true);
    assert!(matches!(asked.read(&fine), Ok(Answer::Accept(_))));
    let refused = |request: &Request, datagram: &[u8]| request.read(datagram).unwrap_err();

    // Of another request: replayed.
    let other = request(true);
    let mut replayed = fine.clone();
    replayed[1] = other.bytes()[1];
    let wrong = [Discarded::ResponseAuthenticator, Discarded::Identifier];
    assert!(wrong.contains(&refused(&other, &fine)));
    assert_eq!(refused(&other, &replayed), Discarded::ResponseAuthenticator);

    let guessed = Request::sent(asked.bytes().to_vec(), "guessed".into(), true);
    assert_eq!(refused(&guessed, &fine), Discarded::ResponseAuthenticator);

    let unproven = answer(&asked, Code::AccessAccept, &[], false);
    assert_eq!(
        refused(&asked, &unproven),
        Discarded::NoMessageAuthenticator
    );
    let lax = Request::sent(asked.bytes().to_vec(), secret(), false);
    assert!(lax.read(&unproven).is_ok() && lax.read(&fine).is_ok());

    for code in [Code::AccessRequest, Code::AccountingResponse, Code::CoAACK] {
        let datagram = answer(&asked, code, &[], false);
        assert_eq!(refused(&asked, &datagram), Discarded::Code);
    }
    // A wrong proof is not as good as none, and two are not better than one.
    for wrong in [vec![0; 16], vec![0; 15], vec![]] {
        let proof = AVP::from_bytes(80, &wrong);
        let datagram = answer(
            &asked,
            Code::AccessAccept,
            std::slice::from_ref(&proof),
            false,
        );
        assert_eq!(refused(&lax, &datagram), Discarded::MessageAuthenticator);
        let datagram = answer(&asked, Code::AccessAccept, &[proof], true);
        assert_eq!(refused(&asked, &datagram), Discarded::MessageAuthenticator);
    }
}

#[test]
fn what_stands_behind_the_length_is_padding_and_what_is_missing_is_missed() {
    let asked = request(true);
    let mut datagram = answer(&asked, Code::AccessReject, &[text(18, "no")], true);
    for cut in 0..datagram.len() {
        assert_eq!(asked.read(&datagram[..cut]).unwrap_err(), Discarded::Length);
    }
    datagram.extend([0xff; 50]);
    assert!(matches!(asked.read(&datagram), Ok(Answer::Reject(_))));
    let mut endless = vec![0; 5000];
    endless[..4].copy_from_slice(&[2, asked.bytes()[1], 0x13, 0x88]);
    assert_eq!(asked.read(&endless).unwrap_err(), Discarded::Length);
}

proptest! {
    #[test]
    fn any_flipped_bit_makes_an_answer_count_for_nothing(
        value in "[a-z]{0,40}",
        code in prop::sample::select(vec![
            Code::AccessAccept,
            Code::AccessReject,
            Code::AccessChallenge,
        ]),
        required in any::<bool>(),
        proven in any::<bool>(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let asked = request(required);
        let attributes = [text(11, &value), text(18, &value)];
        let mut datagram = answer(&asked, code, &attributes, proven);
        prop_assert_eq!(asked.read(&datagram).is_ok(), proven || !required);
        let at = at.index(datagram.len());
        datagram[at] ^= 1 << bit;
        prop_assert!(asked.read(&datagram).is_err());
    }

    #[test]
    fn who_does_not_know_the_secret_gets_nothing_through(
        mut datagram in prop::collection::vec(any::<u8>(), 0..300),
        code in prop::sample::select(vec![2_u8, 3, 11]),
        required in any::<bool>(),
    ) {
        let asked = request(required);
        prop_assert!(asked.read(&datagram).is_err());
        // Now with a header that fits.
        if datagram.len() >= 20 {
            let length = u16::try_from(datagram.len()).unwrap().to_be_bytes();
            datagram[..4].copy_from_slice(&[code, asked.bytes()[1], length[0], length[1]]);
            prop_assert_eq!(
                asked.read(&datagram).unwrap_err(),
                Discarded::ResponseAuthenticator
            );
        }
    }

    #[test]
    fn attributes_without_structure_are_no_answer_even_of_who_knows_the_secret(
        attributes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let asked = request(false);
        let length = u16::try_from(20 + attributes.len()).unwrap().to_be_bytes();
        let header = [2, asked.bytes()[1], length[0], length[1]];
        let authenticator = Md5::new()
            .chain_update(header)
            .chain_update(asked.authenticator())
            .chain_update(&attributes)
            .chain_update(SECRET)
            .finalize();
        let datagram = [&header[..], &authenticator[..], &attributes[..]].concat();
        let whole = whole(&attributes);
        let read = asked.read(&datagram);
        prop_assert!(whole || read.is_err());
        if let Ok(Answer::Accept(granted)) = read {
            for attribute in [
                RoleAttribute::FilterId,
                RoleAttribute::Class,
                RoleAttribute::CiscoAvpair,
            ] {
                let values = granted.values(attribute);
                prop_assert!(values.iter().all(|value| !value.chars().any(char::is_control)));
            }
        }
    }
}

/// Whether `attributes` are types with lengths and values, to the end.
fn whole(attributes: &[u8]) -> bool {
    match attributes {
        [] => true,
        [_, length, ..] => {
            let length = usize::from(*length);
            length >= 2 && length <= attributes.len() && whole(&attributes[length..])
        }
        [_] => false,
    }
}
