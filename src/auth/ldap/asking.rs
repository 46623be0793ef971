//! One question to one server, from the connection to the groups, told step by step.
//! It must not go on after the first answer that is not a clear yes.

use std::sync::Arc;

use ldap3::{Scope, dn_escape, ldap_escape};
use secrecy::SecretString;

use super::{
    super::Accepted,
    Inner, Lookup, Outcome, Service, Steps,
    answer::Bound,
    connection::{Connection, Found, Search, Trouble},
    entry::{Next, Person, reject},
    groups,
};
use crate::model::{dn::Dn, template::Template};

/// The entry that is not there, of which a password is tried when no other was found.
const NOBODY: &str = "cn=pointsman-nobody";

/// What is asked.
#[derive(Clone)]
pub(super) enum Question {
    /// Whether this name and password go together.
    LogIn(String, SecretString),
    /// What is known now of somebody of this name, whose entry had this name (if any is given)
    /// when they logged in.
    Still(String, String),
}

impl Inner {
    /// Puts `question` to the server of this number.
    pub(super) async fn converse(
        self: Arc<Self>,
        server: usize,
        question: &Question,
        steps: &Steps,
    ) -> Result<Outcome, Trouble> {
        let done = match (question, &self.options.lookup, &self.options.service) {
            (Question::LogIn(user, password), Lookup::Template(template), service) => {
                self.log_in_at(server, (template, user, password), service.as_ref(), steps)
                    .await?
            }
            (Question::Still(..), Lookup::Template(_), None) => {
                let what = "without a service account (`bind_dn`), it cannot be asked again \
                            about somebody; log in anew";
                Err(Outcome::Unavailable(what.to_owned()))
            }
            (_, Lookup::Search { .. }, None) => {
                let what = "there is no service account to search with".to_owned();
                Err(Outcome::Unavailable(what))
            }
            (question, lookup, Some(service)) => {
                let mut searcher = self.searcher(server, service, steps).await?;
                let done = self
                    .judge(&mut searcher, server, question, lookup, steps)
                    .await?;
                self.pool.put(server, searcher);
                done
            }
        };
        Ok(done.map_or_else(|outcome| outcome, Outcome::Accepted))
    }

    /// With a service account: find, let them prove it, and look at the entry as it is then.
    async fn judge(
        &self,
        searcher: &mut Connection,
        server: usize,
        question: &Question,
        lookup: &Lookup,
        steps: &Steps,
    ) -> Next<Accepted> {
        let (Question::LogIn(user, _) | Question::Still(user, _)) = question;
        let found = match lookup {
            Lookup::Search { base, filter } => {
                self.find(searcher, base, filter, user, steps).await?
            }
            Lookup::Template(template) => Ok(by_template(template, user)),
        };
        let person = match found {
            Ok(person) => person,
            Err(outcome) => {
                if let (Question::LogIn(_, password), Lookup::Search { base, .. }) =
                    (question, lookup)
                {
                    self.prove_nothing(server, base, password).await?;
                }
                return Ok(Err(outcome));
            }
        };
        match question {
            Question::LogIn(_, password) => {
                if let Err(outcome) = self.prove(server, &person.dn, password, steps).await? {
                    return Ok(Err(outcome));
                }
            }
            Question::Still(_, before) if before.is_empty() => {}
            Question::Still(_, before) => {
                if Dn::common(before) != Dn::common(&person.dn) {
                    return reject("another entry has this name now");
                }
            }
        }
        let just_let_in = matches!(question, Question::LogIn(..));
        self.inspect(searcher, &person, just_let_in, steps).await
    }

    /// By template: the bind comes first, and who logs in looks at their own entry, unless there
    /// is a service account for that.
    async fn log_in_at(
        &self,
        server: usize,
        (template, user, password): (&Template, &str, &SecretString),
        service: Option<&Service>,
        steps: &Steps,
    ) -> Next<Accepted> {
        let person = by_template(template, user);
        let mut own = match self.prove(server, &person.dn, password, steps).await? {
            Ok(own) => own,
            Err(outcome) => return Ok(Err(outcome)),
        };
        let Some(service) = service else {
            return self.inspect(&mut own, &person, true, steps).await;
        };
        let mut searcher = self.searcher(server, service, steps).await?;
        let done = self.inspect(&mut searcher, &person, true, steps).await?;
        self.pool.put(server, searcher);
        Ok(done)
    }

    /// Lets a log-in of nobody take what one of somebody takes: a connection, and a password shown
    /// to an entry that is not there. Whatever is answered, nobody is let in by it.
    async fn prove_nothing(
        &self,
        server: usize,
        base: &str,
        password: &SecretString,
    ) -> Result<(), Trouble> {
        let dn = format!("{NOBODY},{base}");
        let steps = Steps::unheard();
        self.prove(server, &dn, password, &steps).await.map(drop)
    }

    async fn open(&self, server: usize, steps: &Steps) -> Result<Connection, Trouble> {
        let Some(server) = self.options.servers.get(server) else {
            return Err(Trouble::Connection("there is no such server".to_owned()));
        };
        let connection = Connection::open(server, &self.options.tls).await?;
        steps.tell(|| format!("connected to {server}, {}", server.protection.sentence()));
        Ok(connection)
    }

    /// A connection that is logged in as the service account.
    async fn searcher(
        &self,
        server: usize,
        service: &Service,
        steps: &Steps,
    ) -> Result<Connection, Trouble> {
        if let Some(connection) = self.pool.take(server) {
            steps.tell(|| format!("still connected as {}", service.dn));
            return Ok(connection);
        }
        let mut connection = self.open(server, steps).await?;
        match connection.bind(&service.dn, &service.password).await? {
            Bound::In(_) => {
                steps.tell(|| format!("logged in as the service account {}", service.dn));
                Ok(connection)
            }
            Bound::Refused(because) => {
                let what = format!("the service account {} is refused: {because}", service.dn);
                Err(Trouble::Answer(what))
            }
        }
    }

    /// The one entry of this name.
    async fn find(
        &self,
        searcher: &mut Connection,
        base: &str,
        filter: &Template,
        user: &str,
        steps: &Steps,
    ) -> Next<Person> {
        let filter = filter.fill(|_| ldap_escape(user).into_owned());
        let search = Search {
            base,
            scope: Scope::Subtree,
            filter: &filter,
            attributes: &[groups::NO_ATTRIBUTE.to_owned()],
            most: 1,
            time: self.options.timeout,
        };
        let Found {
            entries,
            more,
            no_base,
            referrals,
        } = searcher.search(search).await?;
        steps.tell(|| {
            let count = if more {
                "more than one entry".to_owned()
            } else {
                entries_found(entries.len())
            };
            let aside = if referrals > 0 {
                ", and referrals, which are not followed"
            } else {
                ""
            };
            format!("searched {base:?} for {filter}: {count}{aside}")
        });
        if no_base {
            return Err(Trouble::Answer(format!(
                "there is no entry {base:?} to search in"
            )));
        }
        match entries.first() {
            _ if more => reject("more than one entry has this name"),
            None => reject("there is no such user"),
            Some(entry) => {
                steps.tell(|| format!("the entry is {:?}", entry.dn));
                Ok(Ok(Person {
                    dn: entry.dn.clone(),
                    typed: user.to_owned(),
                }))
            }
        }
    }

    /// Binds as that entry on a connection of its own: a bind changes a whole connection.
    async fn prove(
        &self,
        server: usize,
        dn: &str,
        password: &SecretString,
        steps: &Steps,
    ) -> Next<Connection> {
        let mut own = self.open(server, steps).await?;
        match own.bind(dn, password).await? {
            Bound::In(remark) => {
                let remark = remark.map_or_else(String::new, |remark| format!("; {remark}"));
                steps.tell(|| format!("logged in as {dn:?}{remark}"));
                Ok(Ok(own))
            }
            Bound::Refused(because) => {
                steps.tell(|| format!("cannot log in as {dn:?}: {because}"));
                reject(because)
            }
        }
    }
}

fn by_template(template: &Template, user: &str) -> Person {
    Person {
        dn: template.fill(|_| dn_escape(user).into_owned()),
        typed: user.to_owned(),
    }
}

fn entries_found(count: usize) -> String {
    match count {
        0 => "nothing".to_owned(),
        1 => "one entry".to_owned(),
        more => format!("{more} entries"),
    }
}
