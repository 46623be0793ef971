//! A connection that speaks LDAP, in a cage: binds and bounded searches.
//! It must not decide what an answer means for somebody who logs in.

use std::{io, sync::Arc, time::Duration};

use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Scope, SearchEntry,
    SearchOptions, StdStream, controls::RawControl,
};
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

use super::{
    account,
    answer::{self, Bound},
    cage::{self, Ending},
    server::Server,
};

/// What a log-in may not be decided by, and whether another server might help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// The server cannot be talked to: another one may do.
    #[error("{0}")]
    Connection(String),
    /// The server was talked to, and what it says helps nobody; another one would say the same.
    #[error("{0}")]
    Answer(String),
}

/// A connection to one server.
pub(super) struct Connection {
    ldap: Ldap,
    ending: Ending,
    /// Both end with it.
    _tasks: [AbortOnDropHandle<()>; 2],
}

/// What is searched for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search<'a> {
    pub(super) base: &'a str,
    pub(super) scope: Scope,
    pub(super) filter: &'a str,
    pub(super) attributes: &'a [String],
    /// How many entries there may be.
    pub(super) most: usize,
    /// How long the server may look, in whole seconds.
    pub(super) time: Duration,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<SearchEntry>,
    /// Whether there were more than there may be.
    pub(super) more: bool,
    /// Whether there is nothing at the base itself.
    pub(super) no_base: bool,
    /// How many referrals came along. They are not followed.
    pub(super) referrals: usize,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(server: &Server, tls: &Arc<ClientConfig>) -> Result<Self, Trouble> {
        let carrier = server.connect(tls).await;
        let carrier = carrier.map_err(|error| Trouble::Connection(error.to_string()))?;
        let broken = |error: io::Error| Trouble::Connection(error.to_string());
        let (outside, inside) = UnixStream::pair().map_err(broken)?;
        let inside = inside.into_std().map_err(broken)?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(inside));
        // The library neither connects nor looks the server up: this says no more than that.
        let opened = LdapConnAsync::with_settings(settings, "ldapi:///").await;
        let (driver, ldap) = opened.map_err(|error| Trouble::Connection(error.to_string()))?;
        let ending = Ending::default();
        let relay = tokio::spawn(cage::relay(carrier, outside, ending.clone()));
        let driver = tokio::spawn(async move {
            // Its errors are seen by those who wait for an answer.
            let _ = driver.drive().await;
        });
        Ok(Self {
            ldap,
            ending,
            _tasks: [relay, driver].map(AbortOnDropHandle::new),
        })
    }

    /// Whether it can still be used, as far as one can tell without trying.
    pub(super) fn is_open(&mut self) -> bool {
        !self.ldap.is_closed()
    }

    /// Logs in by name and password. An empty password is never sent: servers take it for a
    /// log-in without a name (RFC 4513 section 5.1.2).
    pub(super) async fn bind(
        &mut self,
        dn: &str,
        password: &SecretString,
    ) -> Result<Bound, Trouble> {
        let password = password.expose_secret();
        if password.is_empty() || dn.is_empty() {
            return Ok(Bound::Refused("an empty name or password".to_owned()));
        }
        let policy = RawControl {
            ctype: answer::PASSWORD_POLICY.to_owned(),
            crit: false,
            val: None,
        };
        let bound = self
            .ldap
            .with_controls(policy)
            .simple_bind(dn, password)
            .await;
        match bound {
            Ok(result) => answer::bound(&result),
            Err(_) => Err(self.ending.trouble()),
        }
    }

    /// Searches, without following aliases or referrals.
    pub(super) async fn search(&mut self, search: Search<'_>) -> Result<Found, Trouble> {
        let limit = |number: u128| i32::try_from(number).unwrap_or(i32::MAX);
        let ending = self.ending.clone();
        let options = SearchOptions::new()
            .sizelimit(limit(search.most as u128 + 1))
            .timelimit(limit(search.time.as_millis().div_ceil(1000)));
        let searching = self.ldap.with_search_options(options);
        let attributes = search.attributes.to_vec();
        let searching =
            searching.streaming_search(search.base, search.scope, search.filter, attributes);
        let mut stream = searching.await.map_err(|error| {
            if matches!(error, LdapError::FilterParsing) {
                return Trouble::Answer(format!("{} is no filter", search.filter));
            }
            ending.trouble()
        })?;
        let mut found = Found::default();
        loop {
            match stream.next().await {
                Ok(Some(entry)) if entry.is_ref() => found.referrals += 1,
                Ok(Some(entry)) if entry.is_intermediate() => {}
                Ok(Some(_)) if found.entries.len() >= search.most => found.more = true,
                Ok(Some(entry)) => found.entries.push(SearchEntry::construct(entry)),
                Ok(None) => break,
                Err(_) => return Err(ending.trouble()),
            }
        }
        let result = stream.finish().await;
        found.judge(&result, search.base)
    }

    /// What the server says of itself under this attribute (RFC 4512 section 5.1).
    pub(super) async fn root(
        &mut self,
        attribute: &str,
        time: Duration,
    ) -> Result<Vec<String>, Trouble> {
        let search = Search {
            base: "",
            scope: Scope::Base,
            filter: "(objectClass=*)",
            attributes: &[attribute.to_owned()],
            most: 1,
            time,
        };
        let found = self.search(search).await?;
        let entries = found.entries.iter();
        let values = entries.flat_map(|root| account::values(&root.attrs, attribute));
        Ok(values.map(str::to_owned).collect())
    }
}

impl Ending {
    fn trouble(&self) -> Trouble {
        Trouble::Connection(self.sentence())
    }
}

impl Found {
    fn judge(mut self, result: &LdapResult, base: &str) -> Result<Self, Trouble> {
        match result.rc {
            0 => {}
            // sizeLimitExceeded
            4 => self.more = true,
            // noSuchObject
            32 => self.no_base = true,
            _ => {
                let what = format!("the search in {base:?} failed: ");
                return Err(answer::trouble(&what, result));
            }
        }
        Ok(self)
    }
}
