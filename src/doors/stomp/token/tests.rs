//! Tests of tokens: what is taken, and all that is not.

use proptest::prelude::*;

use super::*;

fn key() -> Key {
    Key::new(std::array::from_fn(|at| at as u8))
}

fn encode(text: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// A token with this header and payload, signed rightly whatever they say.
fn forged(header: &str, payload: impl AsRef<[u8]>) -> String {
    let signed = format!("{}.{}", encode(header), encode(payload));
    let key = hmac::Key::new(hmac::HMAC_SHA256, key().bytes());
    format!("{signed}.{}", encode(hmac::sign(&key, signed.as_bytes())))
}

fn read(token: &str) -> Result<Map<String, Value>, TokenError> {
    let compact = Compact::parse(token.as_bytes())?;
    compact.check_header(COMMAND)?;
    compact.kid()?;
    compact.claims(&key())
}

const HEADER: &str = r#"{"alg":"HS256","kid":"0123"}"#;

/// Made with PyJWT 2.6.0: `jwt.encode(claims, bytes(range(32)), headers={"kid": "0123"})`.
const OF_PYJWT: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxMjMiLCJ0eXAiOiJKV1QifQ.eyJhdWQiOiJsYjEiLCJpYXQiOjEwMDAsImV4cCI6MTAzMCwianRpIjoiMGI2ZmY2ZTQtN2EzYS00ZDE1LTlkNmMtNWEzYzZmMGY5YTEwIiwiY21kIjp7ImNvbW1hbmQiOiJzdGF0dXMifX0.RTjvSxHW-Yl_sjKbOSBjCiywVvhpLgVUY2LklWvr-SQ";

#[test]
fn a_token_of_another_library_is_understood() {
    let claims = read(OF_PYJWT).unwrap();
    assert_eq!(claims["cmd"], json!({"command": "status"}));
    let compact = Compact::parse(OF_PYJWT.as_bytes()).unwrap();
    assert_eq!(compact.kid(), Ok("0123"));
}

#[test]
fn what_we_sign_we_understand() {
    let claims = json!({"sub": "x", "res": {"ok": true, "data": ["ä", 1.5]}});
    let token = sign(COMMAND, "0123", &claims, &key());
    assert_eq!(Value::Object(read(&token).unwrap()), claims);
    let answer = sign(ANSWER, "0123", &claims, &key());
    assert_eq!(
        read(&answer),
        Err(TokenError::Malformed("it is of another type"))
    );
}

#[test]
fn every_other_way_of_signing_is_refused_before_the_signature_is_looked_at() {
    for alg in [
        r#""none""#,
        r#""None""#,
        r#""HS512""#,
        r#""hs256""#,
        r#""RS256""#,
        "null",
        r#"["HS256"]"#,
    ] {
        let token = forged(&format!(r#"{{"alg":{alg},"kid":"0123"}}"#), "{}");
        assert_eq!(read(&token), Err(TokenError::Algorithm), "{alg}");
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert_eq!(read(&unsigned), Err(TokenError::Algorithm), "{alg}");
    }
    let without = forged(r#"{"kid":"0123"}"#, "{}");
    assert_eq!(read(&without), Err(TokenError::Algorithm));
    let both = forged(r#"{"alg":"HS256","alg":"none","kid":"0123"}"#, "{}");
    assert!(matches!(read(&both), Err(TokenError::Malformed(_))));
}

#[test]
fn a_signature_that_is_cut_changed_or_of_another_key_is_wrong() {
    let good = forged(HEADER, "{}");
    assert!(read(&good).is_ok());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    for wrong in [&bytes[..0], &bytes[..16], &bytes[..31], &[0; 32][..]] {
        let token = format!("{signed}.{}", encode(wrong));
        assert_eq!(read(&token), Err(TokenError::Signature), "{wrong:?}");
    }
    let other = Key::new([9; 32]);
    let compact = Compact::parse(good.as_bytes()).unwrap();
    assert_eq!(compact.claims(&other), Err(TokenError::Signature));
    let payload = format!("{}.{}.{signature}", encode(HEADER), encode(r#"{"a":1}"#));
    assert_eq!(read(&payload), Err(TokenError::Signature));
}

#[test]
fn what_is_signed_and_no_claims_is_told_apart_from_a_wrong_signature() {
    for payload in [
        &b"[]"[..],
        b"\"x\"",
        b"",
        b"{",
        b"{\"a\":\"\xff\"}",
        b"{\"aud\":\"lb1\",\"aud\":\"lb2\"}",
        "{\"a\":".repeat(9000).as_bytes(),
    ] {
        let refusal = read(&forged(HEADER, payload));
        assert!(matches!(refusal, Err(TokenError::Claims(_))), "{refusal:?}");
    }
}

#[test]
fn what_has_no_three_parts_in_plain_base64url_is_no_token() {
    let good = forged(HEADER, "{}");
    let parts: Vec<&str> = good.split('.').collect();
    for text in [
        String::new(),
        "..".to_owned(),
        "a.b".to_owned(),
        parts[..2].join("."),
        format!("{good}.{}", parts[2]),
        format!("{good}="),
        format!("{good}\n"),
        format!(" {good}"),
        good.replace('.', ".."),
        format!("{}.{}.{}", encode("[]"), parts[1], parts[2]),
        format!("{}.{}.{}", encode("\u{feff}{}"), parts[1], parts[2]),
    ] {
        assert!(
            matches!(read(&text), Err(TokenError::Malformed(_))),
            "{text}"
        );
    }
    assert!(Compact::parse(b"\xff.\xff.\xff").is_err());
    for header in [
        r#"{"alg":"HS256"}"#.to_owned(),
        r#"{"alg":"HS256","kid":7}"#.to_owned(),
        r#"{"alg":"HS256","kid":""}"#.to_owned(),
        format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "0".repeat(65)),
        r#"{"alg":"HS256","kid":"0123","crit":["b64"],"b64":false}"#.to_owned(),
        r#"{"alg":"HS256","kid":"0123","typ":"pm-res+jwt"}"#.to_owned(),
        r#"{"alg":"HS256","kid":"0123","typ":1}"#.to_owned(),
    ] {
        let refusal = read(&forged(&header, "{}"));
        assert!(matches!(refusal, Err(TokenError::Malformed(_))), "{header}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_apart_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(compact) = Compact::parse(&bytes) {
            prop_assert!(compact.claims(&key()).is_err());
        }
    }

    #[test]
    fn one_bit_changed_anywhere_is_noticed(at in 0_usize..1000, bit in 0_u8..8) {
        let mut bytes = OF_PYJWT.as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let taken = Compact::parse(&bytes).map(|compact| {
            compact.check_header(COMMAND).is_ok() && compact.claims(&key()).is_ok()
        });
        prop_assert_ne!(taken, Ok(true));
    }

    #[test]
    fn a_token_cut_anywhere_is_refused(length in 0_usize..OF_PYJWT.len()) {
        prop_assert!(read(&OF_PYJWT[..length]).is_err());
    }
}
