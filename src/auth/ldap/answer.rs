//! What a server's answer to a bind means: in, not in and why, or that it cannot tell.
//! It must not ask the server anything.

use ldap3::LdapResult;

use super::{connection::Trouble, frame::element};

/// The control for password policies (draft-behera-ldap-password-policy-10 section 6).
pub(super) const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// What came of a bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// The password is right; there may be something to say about it.
    In(Option<String>),
    /// It does not let them in, for this reason.
    Refused(String),
}

/// What the result of a bind means (RFC 4511 section 4.1.9, RFC 4513 section 5.1).
pub(super) fn bound(result: &LdapResult) -> Result<Bound, Trouble> {
    let policy = policy(result);
    match result.rc {
        0 => Ok(match policy {
            Some(Policy::Error(error)) => Bound::Refused(error),
            Some(Policy::Warning(warning)) => Bound::In(Some(warning)),
            None => Bound::In(None),
        }),
        // constraintViolation, noSuchObject, invalidDNSyntax, inappropriateAuthentication,
        // invalidCredentials, insufficientAccessRights, unwillingToPerform
        19 | 32 | 34 | 48 | 49 | 50 | 53 => {
            let because = match policy {
                Some(Policy::Error(error)) => Some(error),
                Some(Policy::Warning(_)) | None => active_directory(&result.text),
            };
            Ok(Bound::Refused(because.unwrap_or_else(|| said(result))))
        }
        _ => Err(trouble("the log-in failed: ", result)),
    }
}

/// What helps nobody, and whether another server may do better.
pub(super) fn trouble(what: &str, result: &LdapResult) -> Trouble {
    let sentence = format!("{what}{}", said(result));
    match result.rc {
        // busy, unavailable
        51 | 52 => Trouble::Connection(sentence),
        10 => Trouble::Answer(format!("{sentence}; referrals are not followed")),
        _ => Trouble::Answer(sentence),
    }
}

/// The result in words: its code and what the server adds to it, shortened.
fn said(result: &LdapResult) -> String {
    const LONGEST: usize = 200;
    let known = match result.rc {
        3 => "time limit exceeded",
        8 => "stronger authentication required",
        10 => "it is elsewhere",
        11 => "administrative limit exceeded",
        13 => "it takes passwords over TLS only",
        32 => "there is no such entry",
        48 => "there is no password",
        49 => "the name or the password is wrong",
        50 => "it is not allowed",
        51 => "the server is busy",
        52 => "the server is unavailable",
        53 => "the server is not willing to",
        _ => "",
    };
    let code = match known {
        "" => format!("result code {}", result.rc),
        known => format!("{known} (result code {})", result.rc),
    };
    let text: String = result.text.trim().chars().take(LONGEST).collect();
    match text.as_str() {
        "" => code,
        text => format!("{code}: {}", text.escape_debug()),
    }
}

/// What the control for password policies says.
enum Policy {
    Error(String),
    Warning(String),
}

/// `PasswordPolicyResponseValue ::= SEQUENCE { warning [0] CHOICE {…} OPTIONAL,
/// error [1] ENUMERATED OPTIONAL }`
fn policy(result: &LdapResult) -> Option<Policy> {
    let controls = result.ctrls.iter().map(|control| &control.1);
    let mut ours = controls.filter(|control| control.ctype == PASSWORD_POLICY);
    let value = element(ours.next()?.val.as_deref()?)?;
    let (mut parts, mut found) = (value.content, None);
    while let Some(part) = element(parts) {
        parts = part.rest;
        match (part.tag, part.content) {
            (0x81, [error]) => return Some(Policy::Error(policy_error(*error))),
            (0xa0, warning) => found = policy_warning(warning).map(Policy::Warning),
            _ => {}
        }
    }
    found
}

fn policy_error(error: u8) -> String {
    match error {
        0 => "the password has expired".to_owned(),
        1 => "the account is locked".to_owned(),
        2 => "the password must be changed first".to_owned(),
        other => format!("the password policy says {other}"),
    }
}

fn policy_warning(warning: &[u8]) -> Option<String> {
    let warning = element(warning)?;
    let count = warning.content.iter();
    let count = count.fold(0_u64, |count, byte| count << 8 | u64::from(*byte));
    match warning.tag {
        0x80 => Some(format!("the password expires in {count} seconds")),
        0x81 => Some(format!("the password has expired; log-ins left: {count}")),
        _ => None,
    }
}

/// What Active Directory hides in the text of a refusal: `…, comment: AcceptSecurityContext
/// error, data 52e, v4563`. The numbers are those of Windows' system errors.
fn active_directory(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(", data ")?;
    let number: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    let because = match number.to_ascii_lowercase().as_str() {
        "525" => "there is no such user",
        "52e" => "the name or the password is wrong",
        "530" => "not at this time of day",
        "531" => "not from this machine",
        "532" => "the password has expired",
        "533" => "the account is disabled",
        "701" => "the account has expired",
        "773" => "the password must be changed first",
        "775" => "the account is locked",
        _ => return None,
    };
    Some(because.to_owned())
}

#[cfg(test)]
mod tests {
    use ldap3::controls::{Control, RawControl};

    use super::*;

    fn result(rc: u32, text: &str, policy: Option<&[u8]>) -> LdapResult {
        let control = |value: &[u8]| {
            let raw = RawControl {
                ctype: PASSWORD_POLICY.to_owned(),
                crit: false,
                val: Some(value.to_vec()),
            };
            Control(None, raw)
        };
        LdapResult {
            rc,
            matched: String::new(),
            text: text.to_owned(),
            refs: Vec::new(),
            ctrls: policy.map(control).into_iter().collect(),
        }
    }

    fn refused(rc: u32, text: &str, policy: Option<&[u8]>) -> String {
        match bound(&result(rc, text, policy)) {
            Ok(Bound::Refused(because)) => because,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_password_policy_tells_refusals_apart() {
        let locked = refused(49, "", Some(&[0x30, 3, 0x81, 1, 1]));
        assert_eq!(locked, "the account is locked");
        let expired = refused(49, "Password expired", Some(&[0x30, 3, 0x81, 1, 0]));
        assert_eq!(expired, "the password has expired");
        let must_change = refused(0, "", Some(&[0x30, 3, 0x81, 1, 2]));
        assert_eq!(must_change, "the password must be changed first");
        let both = refused(0, "", Some(&[0x30, 8, 0xa0, 3, 0x81, 1, 2, 0x81, 1, 2]));
        assert_eq!(both, "the password must be changed first");
        let grace = bound(&result(0, "", Some(&[0x30, 5, 0xa0, 3, 0x81, 1, 2])));
        let warning = "the password has expired; log-ins left: 2".to_owned();
        assert_eq!(grace, Ok(Bound::In(Some(warning))));
        for odd in [
            &[][..],
            &[0x30],
            &[0x30, 0],
            &[0x30, 5, 0x81, 1],
            &[4, 1, 7],
        ] {
            assert_eq!(bound(&result(0, "", Some(odd))), Ok(Bound::In(None)));
        }
    }

    #[test]
    fn active_directory_tells_refusals_apart() {
        let text = "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, \
                    data 775, v4563\0";
        assert_eq!(refused(49, text, None), "the account is locked");
        let text = text.replace("775", "52E");
        assert_eq!(
            refused(49, &text, None),
            "the name or the password is wrong"
        );
        let unknown = refused(49, &text.replace("52E", "999"), None);
        assert!(unknown.contains("data 999"), "{unknown}");
        assert!(!unknown.contains('\0'), "{unknown}");
    }

    #[test]
    fn what_no_person_can_help_is_no_refusal() {
        for rc in [1, 2, 3, 8, 10, 11, 13, 14, 80, 118] {
            let trouble = bound(&result(rc, "no", None)).unwrap_err();
            assert!(matches!(trouble, Trouble::Answer(_)), "{rc}");
        }
        for rc in [51, 52] {
            let trouble = bound(&result(rc, "no", None)).unwrap_err();
            assert!(matches!(trouble, Trouble::Connection(_)), "{rc}");
        }
    }
}
