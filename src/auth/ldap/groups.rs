//! The groups that somebody is in: as their entry says, as a search says, and those within which
//! these groups are.
//! It must not answer with some of them when there are more.

use std::{collections::HashSet, time::Duration};

use ldap3::{Scope, SearchEntry, ldap_escape};

use super::{
    GroupSearch, Nested, Steps, account,
    connection::{Connection, Found, Search, Trouble},
};

use crate::model::dn::Dn;

/// The attribute of a person that names their groups.
pub(super) const MEMBER_OF: &str = "memberOf";
/// The names of entries are enough (RFC 4511 section 4.5.1.8).
pub(super) const NO_ATTRIBUTE: &str = "1.1";
/// How many groups somebody may be in. A rule that comes later might be a greater right than one
/// that matches a group we do not see: with more groups, nobody gets in.
const MOST_GROUPS: usize = 1000;
/// How deep groups may lie in each other.
const MOST_LEVELS: usize = 10;
/// How many groups one search asks about.
const AT_ONCE: usize = 20;
/// LDAP_MATCHING_RULE_IN_CHAIN ([MS-ADTS] 3.1.1.3.4.4.3).
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";
/// LDAP_CAP_ACTIVE_DIRECTORY_OID ([MS-ADTS] 3.1.1.3.4.3.1): what has it, has that rule.
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";

/// The groups that an entry names, if it names all of them.
pub(super) fn of_entry(entry: &SearchEntry) -> Result<Vec<String>, Trouble> {
    // Active Directory gives long lists in parts: `memberOf;range=0-1499`.
    let in_parts = |name: &String| name.to_ascii_lowercase().starts_with("memberof;");
    if entry.attrs.keys().any(in_parts) {
        return Err(too_many());
    }
    let groups: Vec<_> = account::values(&entry.attrs, MEMBER_OF)
        .map(str::to_owned)
        .collect();
    Ok(groups)
}

/// There are more groups than anybody may be in.
fn too_many() -> Trouble {
    Trouble::Answer(format!(
        "somebody in more than {MOST_GROUPS} groups cannot be judged"
    ))
}

/// Whose groups are asked for, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) search: Option<&'a GroupSearch>,
    pub(super) dn: &'a str,
    pub(super) user: &'a str,
    pub(super) time: Duration,
}

/// Groups, each once.
#[derive(Default)]
struct Set {
    known: HashSet<String>,
    groups: Vec<String>,
}

impl Set {
    /// Takes these in, and gives back those that were not known.
    fn add(&mut self, groups: impl IntoIterator<Item = String>) -> Result<Vec<String>, Trouble> {
        let mut new = Vec::new();
        for group in groups {
            if self.known.insert(Dn::common(&group)) {
                new.push(group);
            }
        }
        self.groups.extend(new.iter().cloned());
        if self.groups.len() > MOST_GROUPS {
            return Err(too_many());
        }
        Ok(new)
    }
}

impl Asked<'_> {
    /// All groups: `direct` ones that the entry names, and those that are found.
    pub(super) async fn all(
        &self,
        connection: &mut Connection,
        direct: &[String],
        steps: &Steps,
    ) -> Result<Vec<String>, Trouble> {
        let mut set = Set::default();
        let mut level = set.add(direct.iter().cloned())?;
        let Some(search) = self.search else {
            return Ok(set.groups);
        };
        let filter = self.filter(search, self.dn);
        let found = self.find(connection, search, &filter, steps).await?;
        level.extend(set.add(found)?);
        match search.nested {
            Nested::Off => {}
            Nested::Expand => {
                self.expand(connection, search, level, &mut set, steps)
                    .await?
            }
            Nested::Chain => {
                advertised(connection, self.time).await?;
                let dn = ldap_escape(self.dn);
                let filter = format!("(member:{IN_CHAIN}:={dn})");
                set.add(self.find(connection, search, &filter, steps).await?)?;
            }
        }
        Ok(set.groups)
    }

    fn filter(&self, search: &GroupSearch, dn: &str) -> String {
        search.filter.fill(|name| match name {
            "dn" => ldap_escape(dn).into_owned(),
            _ => ldap_escape(self.user).into_owned(),
        })
    }

    async fn expand(
        &self,
        connection: &mut Connection,
        search: &GroupSearch,
        mut level: Vec<String>,
        set: &mut Set,
        steps: &Steps,
    ) -> Result<(), Trouble> {
        for _ in 0..MOST_LEVELS {
            let mut next = Vec::new();
            for some in level.chunks(AT_ONCE) {
                let filters: String = some.iter().map(|dn| self.filter(search, dn)).collect();
                let filter = format!("(|{filters})");
                let found = self.find(connection, search, &filter, steps).await?;
                next.extend(set.add(found)?);
            }
            if next.is_empty() {
                return Ok(());
            }
            level = next;
        }
        let what = format!("groups within groups within groups: more than {MOST_LEVELS} levels");
        Err(Trouble::Answer(what))
    }

    async fn find(
        &self,
        connection: &mut Connection,
        search: &GroupSearch,
        filter: &str,
        steps: &Steps,
    ) -> Result<Vec<String>, Trouble> {
        let base = search.base.as_str();
        let asked = Search {
            base,
            scope: Scope::Subtree,
            filter,
            attributes: &[NO_ATTRIBUTE.to_owned()],
            most: MOST_GROUPS,
            time: self.time,
        };
        let Found {
            entries,
            more,
            no_base,
            ..
        } = connection.search(asked).await?;
        steps.tell(|| {
            format!(
                "searched {base:?} for {filter}: groups found: {}",
                entries.len()
            )
        });
        if no_base {
            return Err(Trouble::Answer(format!(
                "there is no entry {base:?} to search in"
            )));
        }
        if more {
            return Err(too_many());
        }
        Ok(entries.into_iter().map(|entry| entry.dn).collect())
    }
}

/// Whether the server knows the rule. Others find nobody with it and say nothing.
async fn advertised(connection: &mut Connection, time: Duration) -> Result<(), Trouble> {
    let capabilities = connection.root("supportedCapabilities", time).await?;
    if capabilities
        .iter()
        .any(|capability| capability == ACTIVE_DIRECTORY)
    {
        return Ok(());
    }
    let what = "the server does not know how to follow chains of groups; use nested = \"expand\"";
    Err(Trouble::Answer(what.to_owned()))
}
