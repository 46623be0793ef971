//! Distinguished names, brought into one form so that two spellings of one are found equal.
//! It must not ask a directory; what only its schema could tell, stays different.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A distinguished name (RFC 4514), with the case of names and values, spaces around `,`, `+` and
/// `=`, runs of spaces within values, and the spelling of escapes taken out.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Dn {
    text: String,
    /// For each name in it, from the entry up: the attributes of one level, in order.
    levels: Vec<Vec<(String, String)>>,
}

impl Dn {
    /// The name that `text` spells.
    ///
    /// # Errors
    /// What it is not.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut levels = Vec::new();
        for level in split(text, &[',', ';']) {
            let mut attributes = Vec::new();
            for attribute in split(level, &['+']) {
                attributes.push(self::attribute(attribute)?);
            }
            attributes.sort_unstable();
            levels.push(attributes);
        }
        let text = text.to_owned();
        Ok(Self { text, levels })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What all spellings of the name that `text` spells have in common, and no other name has.
    pub fn common(text: &str) -> String {
        let parsed = Self::parse(text);
        parsed.map_or_else(|_| text.to_lowercase(), |dn| format!("{:?}", dn.levels))
    }

    /// Whether `other` spells the same name.
    pub fn is(&self, other: &str) -> bool {
        Self::parse(other).is_ok_and(|other| other.levels == self.levels)
    }
}

impl TryFrom<String> for Dn {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Dn> for String {
    fn from(dn: Dn) -> Self {
        dn.text
    }
}

impl fmt::Debug for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// `text` cut at each of `at` that no backslash and no quotation mark protects.
fn split<'a>(text: &'a str, at: &[char]) -> Vec<&'a str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut escaped, mut quoted) = (false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            c if !quoted && at.contains(&c) => {
                parts.push(text.get(start..index).unwrap_or_default());
                start = index + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

const NOT: &str = "this is no distinguished name, like cn=admins,ou=groups,dc=example,dc=org";

fn attribute(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or(NOT)?;
    let name = name.trim().to_lowercase();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if name.is_empty() || !name.chars().all(fits) {
        return Err(NOT);
    }
    let value = unescaped(trimmed(value)).ok_or(NOT)?;
    if value.is_empty() {
        return Err(NOT);
    }
    let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
    Ok((name, words.join(" ").to_lowercase()))
}

/// Without the spaces around it; one that a backslash protects stays.
fn trimmed(value: &str) -> &str {
    let value = value.trim_start_matches(' ');
    let cut = value.trim_end_matches(' ');
    let slashes = cut.len() - cut.trim_end_matches('\\').len();
    match slashes % 2 {
        0 => cut,
        _ => value.get(..=cut.len()).unwrap_or(cut),
    }
}

/// The value itself; `None` when an escape is none, or it is not UTF-8.
fn unescaped(value: &str) -> Option<String> {
    let quoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    let mut bytes = quoted.unwrap_or(value).bytes();
    let mut plain = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        let first = bytes.next()?;
        match (first as char).to_digit(16) {
            Some(high) => {
                let low = (bytes.next()? as char).to_digit(16)?;
                plain.push(u8::try_from(high * 16 + low).ok()?);
            }
            None => plain.push(first),
        }
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ADMINS: &str = "cn=lb-admins,ou=groups,dc=example,dc=org";

    #[test]
    fn spellings_of_one_name_are_equal() {
        for (one, other) in [
            (ADMINS, "CN=LB-Admins,OU=Groups,DC=Example,DC=ORG"),
            (
                ADMINS,
                " cn = lb-admins , ou = groups,  dc=example; dc=org ",
            ),
            ("cn=web  team,dc=org", "cn=web team,dc=org"),
            (
                r"cn=eve\, (star*),dc=org",
                r"cn=eve\2c \28star\2a\29,dc=org",
            ),
            (r#"cn="eve, star",dc=org"#, r"cn=eve\, star,dc=org"),
            ("cn=a+uid=b,dc=org", "UID=b + CN=a,dc=org"),
            ("cn=Zoë,dc=org", r"cn=ZO\c3\8b,dc=org"),
        ] {
            assert!(Dn::parse(one).unwrap().is(other), "{one} {other}");
            assert_eq!(Dn::common(one), Dn::common(other));
        }
    }

    #[test]
    fn other_names_are_not_equal() {
        for other in [
            "",
            "lb-admins",
            "cn=lb-admins",
            "cn=lb-admins,ou=groups,dc=example,dc=org,dc=evil",
            "dc=evil,cn=lb-admins,ou=groups,dc=example,dc=org",
            r"cn=lb-admins\,ou=groups,dc=example,dc=org",
            "cn=lb-admins+cn=x,ou=groups,dc=example,dc=org",
            "cn=lbadmins,ou=groups,dc=example,dc=org",
        ] {
            assert!(!Dn::parse(ADMINS).unwrap().is(other), "{other}");
        }
        assert!(!Dn::parse(r"cn=a\ ,dc=org").unwrap().is(r"cn=a\\,dc=org"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for wrong in [
            "",
            "admins",
            "=x",
            "cn=",
            "cn=a,",
            "cn=a,,dc=b",
            r"cn=a\",
            r"cn=\zq\1",
        ] {
            assert!(Dn::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_none_and_a_name_is_equal_to_itself(text in ".{0,60}") {
            if let Ok(dn) = Dn::parse(&text) {
                prop_assert!(dn.is(&text));
            }
        }

        #[test]
        fn case_makes_no_difference(text in "[a-z]{1,5}=[a-zA-Z ,+\\\\]{0,3}[a-z]{1,9}") {
            if let Ok(dn) = Dn::parse(&text) {
                prop_assert!(dn.is(&text.to_uppercase()) || text.contains('\\'));
            }
        }
    }
}
