//! The guard: what is looked at in every request before anybody answers it, and the headers that
//! every reply has.
//! It must not know who is asking.
//!
//! On TCP it keeps web pages out, which can make a browser send requests here: names that are not
//! ours (DNS rebinding), other origins, and bodies that a form could send.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};

use super::reply::Refusal;
use crate::model::error::Code;

/// The longest id that a caller may give a request.
const MAX_ID: usize = 128;

/// The id of a request.
#[derive(Clone, Debug)]
pub(super) struct Id(pub(super) String);

/// What requests must be like.
#[derive(Debug)]
pub(super) enum Guard {
    /// Any: no browser speaks to a Unix socket.
    Socket,
    /// Such that no web page of somebody else's can have made them.
    Tcp {
        /// The names that are ours, in lower case, with or without a port.
        hosts: Vec<String>,
        /// How the URLs begin here.
        scheme: &'static str,
    },
}

impl Guard {
    /// For TCP: `hosts`, or if there are none, what `listen` and a local browser would say.
    pub(super) fn tcp(hosts: &[String], listen: SocketAddr, tls: bool) -> Self {
        let mut hosts: Vec<String> = hosts.iter().map(|host| host.to_lowercase()).collect();
        if hosts.is_empty() {
            hosts = vec![
                "localhost".to_owned(),
                host_of(&listen.to_string()).to_owned(),
            ];
        }
        let scheme = if tls { "https" } else { "http" };
        Self::Tcp { hosts, scheme }
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        let Self::Tcp { hosts, scheme } = self else {
            return Ok(());
        };
        let headers = request.headers();
        let host = only(headers, header::HOST.as_str()).map(str::to_lowercase);
        let host = host.filter(|host| ours(hosts, host)).ok_or_else(|| {
            let message = "the host of this request is not one of admin.http.hosts";
            Refusal::new(StatusCode::MISDIRECTED_REQUEST, Code::Invalid, message)
        })?;
        // With an absolute URL that is the host (RFC 9112, 3.2.2), and `Host` must not differ.
        if let Some(authority) = request.uri().authority()
            && !authority.as_str().eq_ignore_ascii_case(&host)
        {
            let message = "the URL and the header `host` name different hosts";
            return Err(Refusal::new(
                StatusCode::MISDIRECTED_REQUEST,
                Code::Invalid,
                message,
            ));
        }
        let own = format!("{scheme}://{host}");
        let foreign =
            |origin: &HeaderValue| !origin.as_bytes().eq_ignore_ascii_case(own.as_bytes());
        if headers.get_all(header::ORIGIN).iter().any(foreign) {
            let message = "requests from other origins are not taken";
            return Err(Refusal::new(StatusCode::FORBIDDEN, Code::Denied, message));
        }
        if request.method() == Method::POST && !is_json(headers) {
            let message = "a body must be application/json";
            return Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Code::Invalid,
                message,
            ));
        }
        Ok(())
    }
}

/// Looks at a request, has it answered, and adds what every reply says.
pub(super) async fn watch(
    State(guard): State<Arc<Guard>>,
    mut request: Request,
    next: Next,
) -> Response {
    let (id, checked) = match given_id(request.headers()) {
        Ok(id) => (id, guard.check(&request)),
        Err(refusal) => (random_id(), Err(refusal)),
    };
    let mut response = match checked {
        Ok(()) => {
            request.extensions_mut().insert(id);
            next.run(request).await
        }
        Err(refusal) => refusal.and_close().reply(&id),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn given_id(headers: &HeaderMap) -> Result<Id, Refusal> {
    if !headers.contains_key("x-request-id") {
        return Ok(random_id());
    }
    let fits = |id: &&str| !id.is_empty() && id.len() <= MAX_ID;
    let id = only(headers, "x-request-id").filter(fits);
    id.map(|id| Id(id.to_owned())).ok_or_else(|| {
        Refusal::invalid(format!(
            "x-request-id is one text of 1 to {MAX_ID} printable characters"
        ))
    })
}

fn random_id() -> Id {
    Id(format!("{:032x}", rand::random::<u128>()))
}

/// The value of a header that is there once and is text.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Whether `host` is one of `hosts`; a port counts only where `hosts` names one.
fn ours(hosts: &[String], host: &str) -> bool {
    hosts.iter().any(|our| our == host || our == host_of(host))
}

/// `host` without its port; an IPv6 address stays in its brackets.
fn host_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = only(headers, header::CONTENT_TYPE.as_str());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_counts_only_where_the_setting_names_one() {
        let listen = "[::1]:7000".parse().unwrap();
        let Guard::Tcp { hosts, .. } = Guard::tcp(&[], listen, false) else {
            panic!("not tcp");
        };
        for host in ["localhost", "localhost:1", "[::1]", "[::1]:7000"] {
            assert!(ours(&hosts, host), "{host}");
        }
        for host in [
            "",
            ":1",
            "localhost.evil.org",
            "evil.org:7000",
            "[::2]",
            "::1",
        ] {
            assert!(!ours(&hosts, host), "{host}");
        }
        let hosts = ["lb1.example.org:7000".to_owned()];
        assert!(ours(&hosts, "lb1.example.org:7000"));
        assert!(!ours(&hosts, "lb1.example.org"));
        assert!(!ours(&hosts, "lb1.example.org:7001"));
    }
}
