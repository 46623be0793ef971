//! A directory as backend: people log in by a search and a bind, or a bind alone (RFC 4511).
//! It must not take a server that cannot tell for one that says no, nor the other way round.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustls::ClientConfig;
use secrecy::SecretString;
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{Answering, Authenticator, Credentials, Outcome, Presence, Proof, Steps, Vouched};
use crate::model::template::Template;

mod account;
mod answer;
mod asking;
mod cage;
mod connection;
mod entry;
mod frame;
mod groups;
mod pool;
mod server;
mod shape;

use asking::Question;
use connection::{Connection, Trouble};
use pool::Pool;
pub use server::{Protection, Server};

/// Questions at once; more wait, within the time for a log-in.
const AT_ONCE: usize = 16;
/// How long a server that could not be reached is asked last.
const SHUNNED: Duration = Duration::from_secs(30);
/// How long it is looked whether a server is there.
const LOOK: Duration = Duration::from_secs(1);

/// What the settings say about a directory.
#[derive(Clone)]
pub struct Options {
    /// Its servers, asked in this order.
    pub servers: Vec<Server>,
    /// How their certificates are checked.
    pub tls: Arc<ClientConfig>,
    /// Who searches.
    pub service: Option<Service>,
    /// How people are found.
    pub lookup: Lookup,
    /// Where groups are searched, beside the `memberOf` of the person.
    pub groups: Option<GroupSearch>,
    /// How long one server may take for a log-in.
    pub timeout: Duration,
}

/// The account that searches.
#[derive(Clone)]
pub struct Service {
    /// Its name.
    pub dn: String,
    /// Its password.
    pub password: SecretString,
}

/// How people are found.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// By a search.
    Search {
        /// Below this entry.
        base: String,
        /// With this filter, in which `{user}` stands.
        filter: Template,
    },
    /// Their name, `{user}` filled in, is the name of their entry.
    Template(Template),
}

/// Where groups are searched.
#[derive(Clone, Debug)]
pub struct GroupSearch {
    /// Below this entry.
    pub base: String,
    /// With this filter, in which `{dn}` or `{user}` of the person stand.
    pub filter: Template,
    /// Whether groups in groups count.
    pub nested: Nested,
}

/// Whether somebody is also in the groups that their groups are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nested {
    /// No.
    Off,
    /// Yes, found by one search per level.
    Expand,
    /// Yes, found by the server, with a matching rule of Active Directory.
    Chain,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("servers", &self.servers)
            .field("service", &self.service.as_ref().map(|service| &service.dn))
            .field("lookup", &self.lookup)
            .field("groups", &self.groups)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A directory.
#[derive(Clone)]
pub struct Ldap(Arc<Inner>);

struct Inner {
    options: Options,
    pool: Pool,
    turns: Semaphore,
    /// When each server could not be reached last.
    failed: Mutex<Vec<Option<Instant>>>,
}

impl fmt::Debug for Ldap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ldap").field(&self.0.options).finish()
    }
}

impl Ldap {
    /// The directory that `options` describe. Nothing is asked yet.
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Inner {
            pool: Pool::default(),
            turns: Semaphore::new(AT_ONCE),
            failed: Mutex::new(vec![None; options.servers.len()]),
            options,
        }))
    }
}

impl Inner {
    /// Whether any server is there; all are asked at once, each for at most a second.
    async fn answers(&self) -> Result<(), String> {
        let mut looks = JoinSet::new();
        for server in self.options.servers.clone() {
            let tls = Arc::clone(&self.options.tls);
            looks.spawn(async move {
                let looked = timeout(LOOK, look(&server, &tls)).await;
                let looked = looked.map_err(|_| Trouble::Connection("no answer".to_owned()));
                looked
                    .flatten()
                    .map_err(|trouble| format!("{server}: {trouble}"))
            });
        }
        let mut troubles = Vec::new();
        while let Some(looked) = looks.join_next().await {
            match looked {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(trouble)) => troubles.push(trouble),
                Err(_) => troubles.push("a server sent something malformed".to_owned()),
            }
        }
        Err(troubles.join("; "))
    }
}

/// Whether this server says anything at all in LDAP.
async fn look(server: &Server, tls: &Arc<ClientConfig>) -> Result<(), Trouble> {
    let mut connection = Connection::open(server, tls).await?;
    match connection.root("supportedLDAPVersion", LOOK).await {
        // It need not tell strangers, but that it says so shows that it is there.
        Ok(_) | Err(Trouble::Answer(_)) => Ok(()),
        Err(trouble @ Trouble::Connection(_)) => Err(trouble),
    }
}

impl Inner {
    /// Asks one server after the other, until one has an answer.
    async fn ask(self: &Arc<Self>, question: &Question, steps: &Steps) -> Outcome {
        let Ok(_turn) = self.turns.acquire().await else {
            return Outcome::Unavailable("the directory is not asked any more".to_owned());
        };
        let mut troubles = Vec::new();
        for index in self.order() {
            let Some(server) = self.options.servers.get(index) else {
                continue;
            };
            let asked = self.ask_one(index, server, question, steps).await;
            match asked {
                Ok(outcome) => return outcome,
                Err(Trouble::Answer(what)) => {
                    return Outcome::Unavailable(format!("{server}: {what}"));
                }
                Err(Trouble::Connection(what)) => {
                    steps.tell(|| format!("{server}: {what}"));
                    self.mark(index, Some(Instant::now()));
                    troubles.push(format!("{server}: {what}"));
                }
            }
        }
        Outcome::Unavailable(troubles.join("; "))
    }

    /// Asks in a task of its own: should the library panic at an answer that the cage has let
    /// through, that must not take anything else along. Whoever stops waiting stops the task.
    async fn ask_one(
        self: &Arc<Self>,
        index: usize,
        server: &Server,
        question: &Question,
        steps: &Steps,
    ) -> Result<Outcome, Trouble> {
        let (inner, question, heard) = (Arc::clone(self), question.clone(), steps.clone());
        let task = tokio::spawn(async move { inner.converse(index, &question, &heard).await });
        let within = self.options.timeout;
        match timeout(within, AbortOnDropHandle::new(task)).await {
            Ok(Ok(answer)) => {
                self.mark(index, None);
                answer
            }
            Ok(Err(_panicked)) => {
                tracing::warn!(%server, "a directory sent something malformed");
                let what = "the server sent something malformed";
                Err(Trouble::Connection(what.to_owned()))
            }
            Err(_late) => {
                let what = format!("no answer within {}", humantime::format_duration(within));
                Err(Trouble::Connection(what))
            }
        }
    }

    /// The servers as configured, but those that failed a moment ago at the end.
    fn order(&self) -> Vec<usize> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let shunned = |index: &usize| {
            let at = failed.get(*index).copied().flatten();
            at.is_some_and(|at| at.elapsed() < SHUNNED)
        };
        let mut order: Vec<usize> = (0..failed.len()).collect();
        order.sort_by_key(shunned);
        order
    }

    fn mark(&self, index: usize, failed: Option<Instant>) {
        let mut all = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = all.get_mut(index) {
            *one = failed;
        }
    }
}

impl Authenticator for Ldap {
    fn kind(&self) -> &'static str {
        "ldap"
    }

    fn authenticate<'a>(&'a self, credentials: &'a Credentials, steps: &'a Steps) -> Answering<'a> {
        boxed(async move {
            let Proof::Password(password) = &credentials.proof else {
                return Outcome::Rejected("nothing was asked".to_owned());
            };
            // Also checked before any backend is asked; a directory would take it for nobody.
            if let Err(what) = credentials.check() {
                return Outcome::Rejected(what.to_owned());
            }
            let question = Question::LogIn(credentials.user.clone(), password.clone());
            self.0.ask(&question, steps).await
        })
    }

    fn recheck<'a>(&'a self, vouched: &'a Vouched, steps: &'a Steps) -> Answering<'a> {
        let question = Question::Still(vouched.user.clone(), vouched.voucher.clone());
        boxed(async move { self.0.ask(&question, steps).await })
    }

    fn look_up<'a>(&'a self, user: &'a str, steps: &'a Steps) -> Answering<'a> {
        let question = Question::Still(user.to_owned(), String::new());
        boxed(async move { self.0.ask(&question, steps).await })
    }

    fn answers(&self) -> Presence<'_> {
        Box::pin(self.0.answers())
    }
}

fn boxed<'a>(answer: impl Future<Output = Outcome> + Send + 'a) -> Answering<'a> {
    Box::pin(answer)
}
