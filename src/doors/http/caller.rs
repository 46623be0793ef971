//! Callers: from a token, or from what the kernel says of the peer, to a principal.
//! It must not take a token from anywhere but the header `authorization`.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use secrecy::SecretString;

use super::{Api, guard::only, reply::Refusal, slots::Slot, turned_away::Nobody};
use crate::model::principal::{Door, Principal, Role, Scope};

/// The longest token that is looked at.
const MAX_TOKEN: usize = 512;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// The way they came in.
    pub(super) door: Door,
    /// Where from: an address, a user id.
    pub(super) from: Arc<str>,
    /// What they are without a login.
    pub(super) standing: Standing,
    /// The place of their connection.
    pub(super) slot: Arc<Slot>,
}

/// What somebody is without a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The user that this process runs as, or root; with their name.
    Owner(String),
    /// A member of `admin.socket_group`.
    Member(String),
    /// Nobody whom we know.
    Nobody,
}

/// Who is asking.
#[derive(Debug)]
pub(super) struct Caller {
    /// Their rights.
    pub(super) principal: Principal,
    /// What proves them, where they logged in.
    pub(super) token: Option<SecretString>,
}

impl Caller {
    /// Who sent a request with these headers. Who is nobody is counted.
    pub(super) async fn of(api: &Api, peer: &Peer, headers: &HeaderMap) -> Result<Self, Refusal> {
        let found = async {
            let token = bearer(headers)?;
            let principal = principal(api, peer, token.as_ref()).await;
            let why = match token {
                Some(_) => Nobody::UnknownLogin,
                None => Nobody::NoLogin,
            };
            let principal = principal.ok_or(why)?;
            Ok(Self { principal, token })
        };
        found.await.map_err(|why| {
            api.turned_away.count(peer, why);
            Refusal::nobody()
        })
    }

    /// Whether they could log in to be more than they are.
    pub(super) fn could_log_in(&self, api: &Api) -> bool {
        self.token.is_none() && api.authority.required()
    }
}

/// Whose `token` it is; without one, what the peer is by itself.
pub(super) async fn principal(
    api: &Api,
    peer: &Peer,
    token: Option<&SecretString>,
) -> Option<Principal> {
    match token {
        Some(token) => {
            let found = api.authority.principal(token, peer.door, &peer.from);
            found.await
        }
        None => without_login(peer, api.authority.required()),
    }
}

fn without_login(peer: &Peer, logins: bool) -> Option<Principal> {
    let (user, role) = match (&peer.standing, logins) {
        (Standing::Owner(user), false) => (user, Role::Admin),
        (Standing::Owner(user) | Standing::Member(user), true) => (user, Role::Viewer),
        (Standing::Member(_), false) | (Standing::Nobody, _) => return None,
    };
    Some(Principal {
        user: user.clone(),
        role,
        services: Scope::all(),
        by: "socket".to_owned(),
        door: peer.door,
        from: peer.from.to_string(),
        login: None,
    })
}

/// The token, where there is one. Anything else in that header is nobody's.
fn bearer(headers: &HeaderMap) -> Result<Option<SecretString>, Nobody> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return Ok(None);
    }
    let (scheme, token) = only(headers, header::AUTHORIZATION.as_str())
        .and_then(|value| value.split_once(' '))
        .ok_or(Nobody::UnknownLogin)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > MAX_TOKEN {
        return Err(Nobody::UnknownLogin);
    }
    Ok(Some(token.into()))
}
