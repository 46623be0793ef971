//! What must hold between the settings of one file.
//! It must not judge single values, and must not look at the world (whether a file is there).

use std::{collections::HashSet, time::Duration};

use super::{Auth, Backend, Fallback, RecheckWith, Settings, ldap, radius};
use crate::model::{
    principal::Scope,
    problem::{Place, Problem},
};

/// Everything that is wrong between `settings`.
pub(in crate::config) fn check(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_http(settings, &mut problems);
    check_auth(settings, &mut problems);
    check_bus(settings, &mut problems);
    check_programs(settings, &mut problems);
    problems
}

fn check_http(settings: &Settings, problems: &mut Vec<Problem>) {
    let Some(http) = &settings.admin.http else {
        return;
    };
    let place = Place::root().key("admin").key("http");
    match &http.certificate {
        Some(name)
            if settings
                .certificates
                .get(name)
                .is_some_and(|files| files.key_file.is_none()) =>
        {
            let message = format!("[certificates.{name}] has no `key_file`, so it cannot be shown");
            problems.push(Problem::new(place.key("certificate"), message));
        }
        Some(name) if !settings.certificates.contains_key(name) => {
            let message = format!("there is no [certificates.{name}]");
            problems.push(Problem::new(place.key("certificate"), message));
        }
        None if !http.listen.socket().ip().is_loopback() => {
            let message = format!(
                "{} can be reached from other machines, so it needs a `certificate`",
                http.listen
            );
            problems.push(Problem::new(place.key("listen"), message));
        }
        Some(_) | None => {}
    }
}

fn check_auth(settings: &Settings, problems: &mut Vec<Problem>) {
    let Some(auth) = &settings.auth else {
        return;
    };
    let place = Place::root().key("auth");
    let backends = place.key("backends");
    if auth.backends.is_empty() {
        let message = "somebody must be asked about passwords, at least \"local\"";
        problems.push(Problem::new(backends.clone(), message));
    }
    if auth.fallback == Fallback::LocalBreakGlass {
        let local = |backend: &Backend| *backend == Backend::Local;
        if auth.backends.iter().all(local) {
            let message = "there is no directory that could be away";
            problems.push(Problem::new(place.key("fallback"), message));
        }
        if auth.users.is_empty() {
            let message = "there is no [[auth.user]] to be let in then";
            problems.push(Problem::new(place.key("fallback"), message));
        }
    }
    check_sections(auth, &place, problems);
    let mut asked = HashSet::new();
    for (index, backend) in auth.backends.iter().enumerate() {
        if !asked.insert(backend) {
            problems.push(Problem::new(backends.item(index), "this stands here twice"));
        }
    }
    if let Some(directory) = &auth.ldap {
        ldap::check(directory, &place.key("ldap"), problems);
    }
    if let Some(servers) = &auth.radius {
        radius::check(servers, &place.key("radius"), problems);
    }
    let mut names = HashSet::new();
    for (index, user) in auth.users.iter().enumerate() {
        let place = place.key("user").item(index);
        if !names.insert(&user.name) {
            let message = format!("there are two users called {}", user.name);
            problems.push(Problem::new(place.key("name"), message));
        }
        check_scope(&user.services, &place, problems);
    }
    for (index, rule) in auth.rules.iter().enumerate() {
        let place = place.key("rule").item(index);
        let whom = [
            rule.user.is_some(),
            rule.group.is_some(),
            rule.radius.is_some(),
        ];
        if whom.iter().filter(|given| **given).count() != 1 {
            let message = "a rule is about one of `user`, `group` and `radius`";
            problems.push(Problem::new(place.clone(), message));
        }
        check_scope(&rule.services, &place, problems);
    }
}

/// Whoever is to be asked must be described.
fn check_sections(auth: &Auth, place: &Place, problems: &mut Vec<Problem>) {
    for (index, backend) in auth.backends.iter().enumerate() {
        let missing = match backend {
            Backend::Ldap => auth.ldap.is_none().then_some("ldap"),
            Backend::Radius => auth.radius.is_none().then_some("radius"),
            Backend::Local => None,
        };
        if let Some(name) = missing {
            let place = place.key("backends").item(index);
            problems.push(Problem::new(place, format!("there is no [auth.{name}]")));
        }
    }
    let radius = auth.radius.as_ref();
    let again = radius.is_some_and(|radius| radius.recheck_with == RecheckWith::Ldap);
    if again && auth.ldap.is_none() {
        let place = place.key("radius").key("recheck_with");
        problems.push(Problem::new(place, "there is no [auth.ldap]"));
    }
}

fn check_bus(settings: &Settings, problems: &mut Vec<Problem>) {
    let Some(bus) = &settings.bus else {
        return;
    };
    let place = Place::root().key("bus");
    let mut wrong = |key: &str, message: &str| {
        problems.push(Problem::new(place.key(key), message));
    };
    if bus.brokers.is_empty() {
        wrong("brokers", "there must be one at least");
    }
    match (&bus.cert_file, &bus.key_file) {
        (Some(_), None) => wrong("cert_file", "a certificate needs its `key_file`"),
        (None, Some(_)) => wrong("key_file", "a key is for a certificate, `cert_file`"),
        (Some(_), Some(_)) | (None, None) => {}
    }
    if bus.passcode.is_some() && bus.login.is_none() {
        wrong("passcode", "a password is for a user, `login`");
    }
    let beat = bus.heart_beat.duration();
    if !beat.is_zero() && !(SHORTEST_BEAT..=LONGEST_BEAT).contains(&beat) {
        wrong("heart_beat", "this is not between 100ms and 1h");
    }
    if bus.allow_plain_login && bus.brokers.iter().any(|broker| !broker.tls) {
        let message = "log-ins that are not sealed need TLS to every broker: stomp+ssl://";
        wrong("allow_plain_login", message);
    }
    if bus.allowed_senders.as_ref().is_some_and(Vec::is_empty) {
        let message = "nobody at all; leave it out for everybody that the broker lets in";
        wrong("allowed_senders", message);
    }
}

/// The shortest heart-beat that does not keep both sides busy, and the longest that is one.
const SHORTEST_BEAT: Duration = Duration::from_millis(100);
const LONGEST_BEAT: Duration = Duration::from_secs(3600);

fn check_programs(settings: &Settings, problems: &mut Vec<Problem>) {
    let root = Place::root().key("programs");
    for (name, program) in &settings.programs {
        if program.timeout.limit().is_none() {
            let place = root.key(name.as_str()).key("timeout");
            problems.push(Problem::new(place, "a program needs some time"));
        }
    }
}

fn check_scope(scope: &Scope, place: &Place, problems: &mut Vec<Problem>) {
    if scope.globs().is_empty() {
        let message = "no service at all; leave it out for every service";
        problems.push(Problem::new(place.key("services"), message));
    }
}
