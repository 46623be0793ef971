//! The settings of an LDAP directory that is asked about passwords and groups.
//! It must not ask it, nor fetch a secret.

use std::{fmt, net::IpAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::Secret;
use crate::model::{
    period::Period,
    problem::{Place, Problem},
    template::Template,
};

/// The placeholders of templates and filters.
const PLACEHOLDERS: &[&str] = &["user", "dn"];

/// An LDAP directory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ldap {
    /// Its servers, asked in this order.
    pub urls: Vec<LdapUrl>,
    /// Whether `ldap://` turns to TLS before anything is said.
    pub start_tls: bool,
    /// Whether passwords may go over a network in the clear.
    pub insecure: bool,
    /// The authorities that vouch for the servers, as PEM; absent: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The account that searches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_dn: Option<String>,
    /// Its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_password: Option<Secret>,
    /// Below which entry people are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_base: Option<String>,
    /// How people are found there; absent: `(uid={user})`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_filter: Option<LdapFilter>,
    /// Instead of a search: the name of an entry, made of the name that is typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_template: Option<DnTemplate>,
    /// Below which entry groups are; absent: what `memberOf` of a person says is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_base: Option<String>,
    /// How the groups of somebody are found there; absent:
    /// `(|(member={dn})(memberUid={user}))`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_filter: Option<LdapFilter>,
    /// Whether groups in groups count.
    pub nested: Nested,
    /// How long one server may take for a log-in.
    pub timeout: Period,
}

impl Default for Ldap {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            start_tls: true,
            insecure: false,
            ca_file: None,
            bind_dn: None,
            bind_password: None,
            user_base: None,
            user_filter: None,
            bind_template: None,
            group_base: None,
            group_filter: None,
            nested: Nested::Off,
            timeout: Period::from_secs(5),
        }
    }
}

/// Whether somebody is also in the groups that their groups are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nested {
    /// No.
    Off,
    /// Yes, found level by level.
    Expand,
    /// Yes, found by the server: Active Directory and Samba.
    Chain,
}

/// `ldap://HOST[:PORT]` or `ldaps://HOST[:PORT]`; IPv6 addresses stand in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct LdapUrl {
    text: String,
    tls: bool,
    host: String,
    port: u16,
}

impl LdapUrl {
    /// Whether there is TLS from the first byte.
    pub const fn tls(&self) -> bool {
        self.tls
    }

    /// The name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 389 or 636 where none is written.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is this machine, as far as the text tells.
    pub fn is_loopback(&self) -> bool {
        let address: Option<IpAddr> = self.host.parse().ok();
        let address = address.map(|address| address.to_canonical().is_loopback());
        address.unwrap_or(self.host.eq_ignore_ascii_case("localhost"))
    }
}

impl TryFrom<String> for LdapUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const NOT: &str = "this is no \"ldaps://HOST\" or \"ldap://HOST\", with or without a port";
        let (scheme, rest) = text.split_once("://").ok_or(NOT)?;
        let (tls, usual) = match scheme {
            "ldap" => (false, 389),
            "ldaps" => (true, 636),
            _ => return Err(NOT),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(NOT)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| NOT)?;
                (host, port)
            }
            None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(NOT)?,
            None if port.is_empty() => usual,
            None => return Err(NOT),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || !host.chars().all(fits) {
            return Err(NOT);
        }
        let host = host.to_owned();
        Ok(Self {
            text,
            tls,
            host,
            port,
        })
    }
}

impl From<LdapUrl> for String {
    fn from(url: LdapUrl) -> Self {
        url.text
    }
}

impl fmt::Display for LdapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// A filter of a search (RFC 4515) in which `{user}` and `{dn}` may stand.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct LdapFilter {
    text: String,
    template: Template,
}

impl LdapFilter {
    /// The filter with its placeholders.
    pub const fn template(&self) -> &Template {
        &self.template
    }
}

impl TryFrom<String> for LdapFilter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let template = Template::parse(&text, PLACEHOLDERS)?;
        match ldap3::parse_filter(template.fill(|_| "x".to_owned())) {
            Ok(_) => Ok(Self { text, template }),
            Err(_) => Err("this is no filter of a search, like \"(uid={user})\"".to_owned()),
        }
    }
}

impl From<LdapFilter> for String {
    fn from(filter: LdapFilter) -> Self {
        filter.text
    }
}

/// The name of an entry (RFC 4514) in which `{user}` stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnTemplate {
    text: String,
    template: Template,
}

impl DnTemplate {
    /// The name with its placeholder.
    pub const fn template(&self) -> &Template {
        &self.template
    }
}

impl TryFrom<String> for DnTemplate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let template = Template::parse(&text, &["user"])?;
        let mut before = template.before("user");
        let value = before.next().is_some_and(|before| before.ends_with('='));
        if !value || before.next().is_some() {
            let message = "{user} stands here once, as a whole value, as in \
                           \"uid={user},ou=people,dc=example,dc=org\"";
            return Err(message.to_owned());
        }
        drop(before);
        Ok(Self { text, template })
    }
}

impl From<DnTemplate> for String {
    fn from(template: DnTemplate) -> Self {
        template.text
    }
}

/// Everything that is wrong between the keys of `ldap`, which is at `place`.
pub(super) fn check(ldap: &Ldap, place: &Place, problems: &mut Vec<Problem>) {
    let mut report = |key: &str, message: String| {
        problems.push(Problem::new(place.key(key), message));
    };
    if ldap.urls.is_empty() {
        report("urls", "there is no server to ask".to_owned());
    }
    for url in &ldap.urls {
        if !url.tls && !ldap.start_tls && !ldap.insecure && !url.is_loopback() {
            let message = format!(
                "passwords would go to {url} in the clear; take ldaps://, `start_tls`, or, where \
                 nobody can listen, `insecure = true`"
            );
            report("urls", message);
        }
    }
    let span = ldap.timeout.duration();
    if span.is_zero() || span.as_secs() > 60 {
        report("timeout", "this is not between 1ms and 1m".to_owned());
    }
    for (key, message) in lookup(ldap).into_iter().chain(groups(ldap)) {
        report(key, message.to_owned());
    }
}

/// What is wrong with how people are found.
fn lookup(ldap: &Ldap) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    match (&ldap.bind_dn, &ldap.bind_password) {
        (Some(_), None) => found.push(("bind_dn", "`bind_password` is missing")),
        (None, Some(_)) => found.push(("bind_password", "`bind_dn` is missing")),
        (Some(dn), Some(_)) if dn.is_empty() => {
            found.push(("bind_dn", "an empty name would be nobody"));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    if ldap.bind_template.is_some() {
        if ldap.user_base.is_some() || ldap.user_filter.is_some() {
            let message = "people are found by this or by `user_base` and `user_filter`, not both";
            found.push(("bind_template", message));
        }
        return found;
    }
    if ldap.bind_dn.is_none() && ldap.bind_password.is_none() {
        let message = "somebody must search: set `bind_dn`, or have a `bind_template`";
        found.push(("bind_dn", message));
    }
    if ldap.user_base.is_none() {
        found.push(("user_base", "people are searched below an entry: name it"));
    }
    if let Some(filter) = &ldap.user_filter {
        if !filter.template.has("user") {
            found.push((
                "user_filter",
                "{user} must stand in it, or it finds anybody",
            ));
        }
        if filter.template.has("dn") {
            found.push(("user_filter", "{dn} is not known before somebody is found"));
        }
    }
    found
}

/// What is wrong with how groups are found.
fn groups(ldap: &Ldap) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    if ldap.group_base.is_none() && ldap.group_filter.is_some() {
        found.push(("group_filter", "`group_base` is missing"));
    }
    if ldap.group_base.is_none() && ldap.nested != Nested::Off {
        found.push((
            "nested",
            "groups are searched below an entry: set `group_base`",
        ));
    }
    if let Some(filter) = &ldap.group_filter {
        let by_dn = filter.template.has("dn");
        if !by_dn && !filter.template.has("user") {
            found.push((
                "group_filter",
                "{dn} or {user} must stand in it, or everybody is in every group",
            ));
        }
        if !by_dn && ldap.nested == Nested::Expand {
            found.push((
                "group_filter",
                "groups in groups are found by {dn}, which is missing",
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        urls = ["ldaps://ldap1", "ldap://[::1]:1389/"]
        bind_dn = "cn=svc,dc=x"
        bind_password = { env = "X" }
        user_base = "dc=x"
        user_filter = "(&(objectClass=person)(|(uid={user})(mail={user})))"
        group_base = "dc=x"
        group_filter = "(member={dn})"
        nested = "expand"
    "#;

    fn problems(toml: &str) -> Vec<String> {
        let ldap: Ldap = match toml::from_str(toml) {
            Ok(ldap) => ldap,
            Err(error) => return vec![error.to_string()],
        };
        let mut problems = Vec::new();
        check(&ldap, &Place::root().key("auth").key("ldap"), &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_makes_sense_passes() {
        assert_eq!(problems(GOOD), [""; 0]);
        let template = "urls = [\"ldap://a\"]\nbind_template = \"uid={user},dc=x\"";
        assert_eq!(problems(template), [""; 0]);
        let clear = "urls = [\"ldap://127.0.0.1:3389\", \"ldap://localhost\", \"ldap://[::1]\"]\n\
                     start_tls = false\nbind_template = \"uid={user},dc=x\"";
        assert_eq!(problems(clear), [""; 0]);
    }

    #[test]
    fn what_is_missing_or_contradicts_is_found_all_at_once() {
        let found = problems(
            "urls = [\"ldap://dc1.example\"]\nstart_tls = false\nbind_dn = \"cn=x\"\n\
             group_filter = \"(cn=x)\"\nnested = \"expand\"\ntimeout = \"0s\"\n\
             user_filter = \"(member={dn})\"",
        );
        for key in [
            "urls: passwords would go to ldap://dc1.example in the clear",
            "timeout",
            "`bind_password` is missing",
            "user_base",
            "user_filter: {user} must",
            "user_filter: {dn} is not known",
            "`group_base` is missing",
            "nested: groups are searched",
            "group_filter: {dn} or {user} must",
            "group_filter: groups in groups",
        ] {
            let hits = found.iter().filter(|problem| problem.contains(key)).count();
            assert_eq!(hits, 1, "{key}: {found:#?}");
        }
        assert_eq!(found.len(), 10, "{found:#?}");
        let nothing = problems("");
        assert!(
            nothing.iter().any(|problem| problem.contains("no server")),
            "{nothing:?}"
        );
        assert!(
            nothing
                .iter()
                .any(|problem| problem.contains("somebody must search"))
        );
    }

    #[test]
    fn filters_and_names_with_anything_else_in_braces_are_refused() {
        for (line, message) in [
            ("user_filter = \"(uid={usr})\"", "{usr} is unknown"),
            ("user_filter = \"(uid={user}\"", "no filter"),
            ("user_filter = \"uid={user}))\"", "no filter"),
            ("group_filter = \"(member={dn})(x={user})\"", "no filter"),
            ("bind_template = \"uid={dn},dc=x\"", "{dn} is unknown"),
            ("bind_template = \"uid=ada,dc=x\"", "as a whole value"),
            ("bind_template = \"uid=x{user},dc=x\"", "as a whole value"),
            ("bind_template = \"{user}@example.org\"", "as a whole value"),
            (
                "bind_template = \"uid={user},ou={user}\"",
                "as a whole value",
            ),
        ] {
            let found = problems(line);
            assert!(
                found.len() == 1 && found[0].contains(message),
                "{line}: {found:?}"
            );
        }
    }

    #[test]
    fn a_url_is_a_scheme_a_host_and_a_port() {
        let url = |text: &str| LdapUrl::try_from(text.to_owned());
        let parts = |text| {
            let url = url(text).unwrap();
            (
                url.tls(),
                url.host().to_owned(),
                url.port(),
                url.is_loopback(),
            )
        };
        assert_eq!(
            parts("ldaps://a.example"),
            (true, "a.example".to_owned(), 636, false)
        );
        assert_eq!(
            parts("ldap://127.0.0.2:1389"),
            (false, "127.0.0.2".to_owned(), 1389, true)
        );
        assert_eq!(parts("ldaps://[::1]/"), (true, "::1".to_owned(), 636, true));
        for wrong in [
            "",
            "ldap1",
            "http://a",
            "ldap://",
            "ldap://a:0",
            "ldap://a:x",
            "ldap://a:70000",
            "ldap://u@a",
            "ldap://a/dc=x",
            "ldap://[a]",
            "ldap://[::1]x",
            "ldap://::1",
            "ldapi:///run/x",
            "ldap://a b",
        ] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }
}
