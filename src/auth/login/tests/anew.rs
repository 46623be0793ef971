//! What new settings, and a local hash beside a directory that is away, make of people.
//! It must not need a real directory, nor sleep.

use super::{
    directories::{admins, at_socket, ruled, stage, team},
    *,
};
use crate::{
    auth::{
        backends::BREAK_GLASS,
        tests::{Scripted, manner},
    },
    model::dn::Dn,
};

#[tokio::test]
async fn what_a_directory_said_is_read_by_the_rules_of_new_settings_at_once() {
    let stage = stage("ldap", team);
    let (login, _) = stage.enter(&attempt("ada", "secret")).await;
    let role = || {
        let inner = stage.logins.inner();
        inner.table.iter().next().map(|held| held.login.role)
    };
    assert_eq!(role(), Some(Role::Operator));
    let mut settings = ruled();
    settings.rules[1].rights.role = Role::Viewer;
    let effects = stage.reconfigured(settings.clone());
    assert_eq!(role(), Some(Role::Viewer));
    assert_eq!(kinds(&effects.events), ["admin.rights-changed"]);
    let kept = effects.records[0].1.clone().unwrap();
    assert_eq!(kept.login.role, Role::Viewer);
    assert_eq!(stage.directory.asked(), 1, "without asking");

    settings.rules.remove(1);
    let effects = stage.reconfigured(settings);
    assert_eq!(effects.records, [(login.id, None)]);
    assert_eq!(effects.events[0].data["reason"], "settings");
    assert_eq!(role(), None);
}

#[tokio::test]
async fn a_restart_with_other_rules_gives_other_rights() {
    let before = stage("ldap", team);
    before.enter(&attempt("ada", "secret")).await;
    let kept = before.logins.records();
    let mut settings = ruled();
    settings.rules[1].rights.role = Role::Viewer;
    let after = stage("ldap", team);
    let _ = after.reconfigured(settings);
    let effects = after.logins.restore(kept);
    assert_eq!(kinds(&effects.events), ["admin.rights-changed"]);
    assert_eq!(after.logins.records()[0].login.role, Role::Viewer);
}

#[tokio::test]
async fn groups_are_those_of_the_last_answer() {
    let stage = stage("ldap", admins);
    let (_, ada) = stage.enter(&attempt("ada", "secret")).await;
    stage.directory.now_says(team);
    stage.hand.forward(Duration::from_secs(36));
    let (now, _) = stage.logins.recheck(&ada).await;
    assert_eq!(now.unwrap().role, Role::Operator);
    let mut settings = ruled();
    let group = Dn::parse("cn=team,dc=org").unwrap();
    settings.rules = vec![Rule {
        matcher: Matcher::Group(group),
        rights: Rights {
            role: Role::Viewer,
            services: Scope::all(),
        },
    }];
    let _ = stage.reconfigured(settings);
    assert_eq!(stage.logins.records()[0].login.role, Role::Viewer);
}

#[tokio::test]
async fn while_directories_are_away_only_a_local_user_can_be_wrong() {
    let directory = Scripted::new("ldap", admins);
    directory.is_there(false);
    let local = crate::auth::local::Local::new(&options().users).unwrap();
    let asked: Vec<Arc<dyn Authenticator>> = vec![directory, Arc::new(local)];
    let asked = Backends::of(asked, manner(Fallback::LocalBreakGlass));
    let logins = Logins::asking(asked, options(), Hand::new().clock());
    let at = |user, password: &str| Attempt {
        credentials: attempt(user, password).credentials,
        ..at_socket()
    };
    // Nobody but the directory could say whether she is wrong, however often.
    for _ in 0..5 {
        let refused = logins.log_in(&at("grace", "wrong")).await.0.unwrap_err();
        assert_eq!(refused.error.code, Code::Unavailable);
        assert_eq!(refused.retry_after, None);
    }
    for slowed in [false, false, false, true] {
        let refused = logins.log_in(&at("bob", "wrong")).await.0.unwrap_err();
        assert_eq!(refused.error.code, Code::Denied);
        assert_eq!(refused.retry_after.is_some(), slowed);
    }
    let entered = logins.log_in(&at("ada", "adas-password")).await.0.unwrap();
    let Entered::LoggedIn { login, .. } = entered else {
        panic!("{entered:?}");
    };
    assert_eq!(login.by, BREAK_GLASS);
}
