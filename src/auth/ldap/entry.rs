//! The entry of a person: whether its account is good, how it spells the name, and its groups.
//! It must not be believed before the person has proved who they are, or had done so earlier.

use std::time::{SystemTime, UNIX_EPOCH};

use ldap3::{Scope, SearchEntry};

use super::{
    super::Accepted,
    Inner, Lookup, Outcome, Steps,
    account::{self, Lasts},
    connection::{Connection, Search, Trouble},
    groups,
};

/// An entry, found or taken for granted.
pub(super) struct Person {
    pub(super) dn: String,
    /// Their name as they typed it.
    pub(super) typed: String,
}

/// Either there is an answer already, or here is what to go on with.
pub(super) type Next<T> = Result<Result<T, Outcome>, Trouble>;

pub(super) fn reject<T>(because: impl Into<String>) -> Next<T> {
    Ok(Err(Outcome::Rejected(because.into())))
}

impl Inner {
    /// What the entry says now: whether the account is good, and which groups it is in. Whether
    /// the server has `just_let_in` the person settles what the entry may leave open.
    pub(super) async fn inspect(
        &self,
        connection: &mut Connection,
        person: &Person,
        just_let_in: bool,
        steps: &Steps,
    ) -> Next<Accepted> {
        let names = self.names();
        let fixed = account::ATTRIBUTES.iter().chain([&groups::MEMBER_OF]);
        let mut attributes: Vec<String> = fixed.map(ToString::to_string).collect();
        attributes.extend_from_slice(&names);
        let Some(entry) = self.read(connection, &person.dn, &attributes).await? else {
            let by_template = matches!(self.options.lookup, Lookup::Template(_));
            // Not everybody may read their own entry; that they exist, the bind has shown.
            if by_template && self.options.service.is_none() {
                steps.tell(|| "the entry cannot be read: only a search tells groups".to_owned());
                let known = self.known(connection, person, &person.typed, &[], steps);
                return known.await.map(Ok);
            }
            return reject("the entry is gone");
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
        let lasts = match just_let_in {
            true => Lasts::Over,
            false => self.lock_lasts(connection, &entry).await?,
        };
        if let Some(wrong) = account::wrong(&entry, now, lasts) {
            steps.tell(|| format!("the entry says: {wrong}"));
            return reject(wrong);
        }
        let user = spelling(&entry, &names, &person.typed);
        let direct = groups::of_entry(&entry)?;
        let known = self.known(connection, person, &user, &direct, steps);
        known.await.map(Ok)
    }

    /// What is known of somebody whom nothing keeps out.
    async fn known(
        &self,
        connection: &mut Connection,
        person: &Person,
        user: &str,
        direct: &[String],
        steps: &Steps,
    ) -> Result<Accepted, Trouble> {
        let asked = groups::Asked {
            search: self.options.groups.as_ref(),
            dn: &person.dn,
            user,
            time: self.options.timeout,
        };
        let groups = asked.all(connection, direct, steps).await?;
        steps.tell(|| match groups.is_empty() {
            true => format!("{user} is in no group"),
            false => format!("{user} is in the groups {}", groups.join("; ")),
        });
        Ok(Accepted {
            groups,
            voucher: person.dn.clone(),
            ..Accepted::named(user)
        })
    }

    /// How long a lock of this account lasts, where its policy may be read.
    async fn lock_lasts(
        &self,
        connection: &mut Connection,
        entry: &SearchEntry,
    ) -> Result<Lasts, Trouble> {
        let Some(policy) = account::policy_of_lock(entry) else {
            return Ok(Lasts::Unknown);
        };
        let duration = [account::LOCKOUT_DURATION.to_owned()];
        let policy = self.read(connection, policy, &duration).await?;
        Ok(policy.map_or(Lasts::Unknown, |policy| {
            account::lasts(account::value(&policy.attrs, account::LOCKOUT_DURATION))
        }))
    }

    async fn read(
        &self,
        connection: &mut Connection,
        dn: &str,
        attributes: &[String],
    ) -> Result<Option<SearchEntry>, Trouble> {
        let search = Search {
            base: dn,
            scope: Scope::Base,
            filter: "(objectClass=*)",
            attributes,
            most: 1,
            time: self.options.timeout,
        };
        let found = connection.search(search).await?;
        Ok(found.entries.into_iter().next())
    }

    /// The attributes that `{user}` is compared with, in their order: `uid` and `mail` of
    /// `(|(uid={user})(mail={user}))`.
    fn names(&self) -> Vec<String> {
        let (Lookup::Search {
            filter: template, ..
        }
        | Lookup::Template(template)) = &self.options.lookup;
        let name = |before: &str| {
            let name = before
                .strip_suffix('=')?
                .rsplit(['(', ',', '+'])
                .next()?
                .trim();
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
            (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
        };
        template.before("user").filter_map(name).collect()
    }
}

/// How the entry spells the name: directories take `ADA ` for `ada`, while rules, delays and
/// logins must know both as the same.
fn spelling(entry: &SearchEntry, names: &[String], typed: &str) -> String {
    let values = |name: &String| account::values(&entry.attrs, name).collect::<Vec<_>>();
    let known = names.iter().map(values).find(|values| !values.is_empty());
    let known = known.unwrap_or_default();
    let meant = |value: &&&str| value.to_lowercase() == typed.trim().to_lowercase();
    let spelt = known.iter().find(meant).or_else(|| known.first());
    spelt.map_or_else(|| typed.to_owned(), ToString::to_string)
}
