//! Logins that a directory vouched for: asked again, taken back, and let in without one.
//! It must not need a real directory, nor sleep.

use super::*;
use crate::{
    auth::{
        Accepted,
        backends::BREAK_GLASS,
        tests::{Scripted, accept, away, backends, reject},
    },
    model::dn::Dn,
};

const LATER: Duration = Duration::from_secs(36);

pub(super) fn admins() -> Outcome {
    in_group("cn=admins,dc=org")
}

pub(super) fn team() -> Outcome {
    in_group("CN=team,DC=org")
}

fn in_group(group: &str) -> Outcome {
    Outcome::Accepted(Accepted {
        groups: vec![group.to_owned()],
        ..Accepted::named("ada")
    })
}

pub(super) fn valued() -> Outcome {
    Outcome::Accepted(Accepted {
        values: vec!["lb-viewer".to_owned()],
        ..Accepted::named("ada")
    })
}

pub(super) fn asks() -> Outcome {
    Outcome::Challenge(Challenge {
        message: "the code?".to_owned(),
        state: "theirs".into(),
    })
}

pub(super) fn ruled() -> Options {
    let rule = |matcher, role, services: &[&str]| Rule {
        matcher,
        rights: Rights {
            role,
            services: Scope::new(services.iter().map(ToString::to_string).collect()),
        },
    };
    let group = |name| Matcher::Group(Dn::parse(name).unwrap());
    let viewer = Matcher::Radius("lb-viewer".to_owned());
    Options {
        rules: vec![
            rule(group("cn=admins,dc=org"), Role::Admin, &["*"]),
            rule(group("cn=team,dc=org"), Role::Operator, &["web-*"]),
            rule(viewer, Role::Viewer, &["*"]),
        ],
        fallback: Fallback::LocalBreakGlass,
        ..options()
    }
}

pub(super) struct Stage {
    pub(super) logins: Logins,
    pub(super) hand: Hand,
    pub(super) directory: Arc<Scripted>,
    local: Arc<Scripted>,
}

pub(super) fn stage(kind: &'static str, says: fn() -> Outcome) -> Stage {
    let hand = Hand::new();
    let (directory, local) = (Scripted::new(kind, says), Scripted::new("local", admins));
    let asked = backends(&[&directory, &local], Fallback::LocalBreakGlass);
    Stage {
        logins: Logins::asking(asked, ruled(), hand.clock()),
        hand,
        directory,
        local,
    }
}

pub(super) fn at_socket() -> Attempt {
    Attempt {
        door: Door::Socket,
        source: Source::Uid(0),
        ..attempt("ada", "secret")
    }
}

impl Stage {
    pub(super) async fn enter(&self, attempt: &Attempt) -> (Login, Principal) {
        match self.logins.log_in(attempt).await.0.unwrap() {
            Entered::LoggedIn { login, token } => {
                let principal = self.logins.principal(&token, attempt.door, "x");
                (login, principal.unwrap())
            }
            Entered::Challenged(challenge) => panic!("{challenge:?}"),
        }
    }

    /// Has new settings taken in, with the same backends.
    pub(super) fn reconfigured(&self, options: Options) -> Effects {
        let backends = Arc::clone(&self.logins.inner().backends);
        self.logins.take_in(NewSettings { options, backends })
    }

    async fn recheck(&self, principal: &Principal) -> Result<Principal, Code> {
        let (answer, _) = self.logins.recheck(principal).await;
        answer.map_err(|error| error.code)
    }
}

#[tokio::test]
async fn who_is_asked_about_lately_is_not_asked_about_again() {
    let stage = stage("ldap", admins);
    let (login, ada) = stage.enter(&attempt("ada", "secret")).await;
    assert_eq!((login.by.as_str(), login.role), ("ldap", Role::Admin));
    for (wait, asked) in [(29, 1), (0, 1), (2, 2), (29, 2), (2, 3)] {
        stage.hand.forward(Duration::from_secs(wait));
        assert_eq!(stage.recheck(&ada).await, Ok(ada.clone()));
        assert_eq!(stage.directory.asked(), asked);
    }
}

#[tokio::test]
async fn rights_are_taken_anew_and_the_login_keeps_them() {
    let stage = stage("ldap", admins);
    let (_, ada) = stage.enter(&attempt("ada", "secret")).await;
    stage.directory.now_says(team);
    stage.hand.forward(LATER);
    let (now, effects) = stage.logins.recheck(&ada).await;
    let now = now.unwrap();
    assert_eq!(now.role, Role::Operator);
    assert_eq!(now.services.globs(), ["web-*"]);
    assert_eq!(kinds(&effects.events), ["admin.rights-changed"]);
    assert_eq!(effects.records.len(), 1);
    assert_eq!(stage.logins.standing(&ada), Ok(now.clone()));
    assert_eq!(stage.logins.list(&now)[0].role, Role::Operator);
}

#[tokio::test]
async fn who_lost_every_group_or_is_rejected_is_denied_and_out() {
    for says in [accept, reject, asks] {
        let stage = stage("ldap", admins);
        let (_, ada) = stage.enter(&attempt("ada", "secret")).await;
        stage.directory.now_says(says);
        stage.hand.forward(LATER);
        let (answer, effects) = stage.logins.recheck(&ada).await;
        assert_eq!(answer.unwrap_err().code, Code::Denied);
        assert_eq!(kinds(&effects.events), ["admin.logout"]);
        assert_eq!(effects.events[0].data["reason"], "lost");
        assert!(effects.events[0].data["because"].is_string());
        assert!(stage.logins.records().is_empty());
        stage.directory.now_says(admins);
        assert_eq!(stage.recheck(&ada).await, Err(Code::Denied));
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_directory_is_away_changes_are_unavailable_and_the_login_stays() {
    let stage = stage("ldap", admins);
    let (login, ada) = stage.enter(&attempt("ada", "secret")).await;
    stage.hand.forward(LATER);
    stage.directory.is_there(false);
    for _ in 0..3 {
        assert_eq!(stage.recheck(&ada).await, Err(Code::Unavailable));
        let old = stage.logins.standing(&ada).unwrap_err();
        assert_eq!(old.code, Code::Unavailable);
    }
    assert_eq!(stage.directory.asked(), 2, "it is not asked all the time");
    assert_eq!(stage.logins.list(&ada), [login]);
    stage.directory.is_there(true);
    assert!(stage.logins.look_after().await.events.is_empty());
    assert_eq!(stage.recheck(&ada).await, Ok(ada.clone()));
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_hangs_holds_a_change_up_no_longer_than_a_log_in() {
    let stage = stage("ldap", admins);
    let (_, ada) = stage.enter(&attempt("ada", "secret")).await;
    stage.hand.forward(LATER);
    stage.directory.hang();
    let start = tokio::time::Instant::now();
    let together = [stage.recheck(&ada), stage.recheck(&ada)];
    for answer in together {
        assert_eq!(answer.await, Err(Code::Unavailable));
    }
    assert!(start.elapsed() <= Duration::from_secs(16));
}

#[tokio::test]
async fn an_answer_may_grow_old_in_the_queue_but_not_much() {
    let stage = stage("ldap", admins);
    let (_, ada) = stage.enter(&attempt("ada", "secret")).await;
    stage.hand.forward(Duration::from_secs(29));
    assert!(stage.recheck(&ada).await.is_ok());
    stage.hand.forward(Duration::from_secs(3));
    assert!(stage.logins.standing(&ada).is_ok());
    stage.hand.forward(Duration::from_secs(3));
    let error = stage.logins.standing(&ada).unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
}

#[tokio::test]
async fn what_radius_said_counts_for_a_time_and_then_takes_a_new_log_in() {
    let stage = stage("radius", valued);
    let (login, ada) = stage.enter(&attempt("ada", "secret")).await;
    assert_eq!(login.role, Role::Viewer);
    stage.hand.forward(Duration::from_secs(299));
    assert_eq!(stage.recheck(&ada).await, Ok(ada.clone()));
    stage.hand.forward(Duration::from_secs(2));
    let (answer, effects) = stage.logins.recheck(&ada).await;
    let error = answer.unwrap_err();
    assert_eq!(error.code, Code::Denied);
    assert!(error.message.contains("log in again"), "{error}");
    assert!(effects.events.is_empty());
    assert_eq!(stage.logins.list(&ada).len(), 1, "they may still look");
    assert_eq!(stage.directory.asked(), 1);
}

#[tokio::test]
async fn with_another_directory_to_ask_radius_counts_no_longer_than_that_one_says() {
    let ldap = Scripted::new("ldap", team);
    let radius = Scripted::new("radius", valued);
    let asked =
        backends(&[&radius], Fallback::None).asking_again(Some(Arc::clone(&ldap) as Arc<_>));
    let hand = Hand::new();
    let stage = Stage {
        logins: Logins::asking(asked, ruled(), hand.clock()),
        hand,
        local: Arc::clone(&radius),
        directory: Arc::clone(&ldap),
    };
    let (login, ada) = stage.enter(&attempt("ada", "secret")).await;
    assert_eq!(
        login.role,
        Role::Operator,
        "its groups count from the first"
    );
    stage.hand.forward(Duration::from_secs(600));
    assert_eq!(stage.recheck(&ada).await, Ok(ada.clone()));
    ldap.now_says(accept);
    stage.hand.forward(LATER);
    let viewer = stage.recheck(&ada).await.unwrap();
    assert_eq!(viewer.role, Role::Viewer, "what RADIUS said still counts");
    ldap.now_says(reject);
    stage.hand.forward(LATER);
    assert_eq!(stage.recheck(&ada).await, Err(Code::Denied));
    assert_eq!(radius.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_let_in_without_a_directory_is_out_as_soon_as_it_answers() {
    let stage = stage("ldap", admins);
    stage.directory.is_there(false);
    let refused = stage.logins.log_in(&attempt("ada", "secret")).await.0;
    assert_eq!(refused.unwrap_err().error.code, Code::Unavailable);
    let (login, ada) = stage.enter(&at_socket()).await;
    assert_eq!((login.by.as_str(), stage.local.asked()), (BREAK_GLASS, 1));
    assert_eq!(stage.recheck(&ada).await, Ok(ada.clone()));
    assert!(stage.logins.look_after().await.events.is_empty());
    stage.directory.is_there(true);
    let effects = stage.logins.look_after().await;
    assert_eq!(effects.events[0].data["reason"], "directory-back");
    assert_eq!(stage.recheck(&ada).await, Err(Code::Denied));

    stage.directory.is_there(false);
    stage.logins.look_after().await.events.clear();
    let (_, ada) = stage.enter(&at_socket()).await;
    stage.directory.is_there(true);
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(
        stage.recheck(&ada).await,
        Err(Code::Denied),
        "at a change too"
    );
}

#[tokio::test]
async fn who_was_let_in_before_new_settings_is_asked_about_anew() {
    let stage = stage("ldap", admins);
    let (_, ada) = stage.enter(&attempt("ada", "secret")).await;
    assert_eq!(stage.directory.asked(), 1);
    stage.directory.now_says(away);
    let _ = stage.reconfigured(ruled());
    assert_eq!(stage.recheck(&ada).await, Err(Code::Unavailable));
    assert_eq!(stage.directory.asked(), 2);
}

#[tokio::test]
async fn what_radius_said_counts_by_the_rules_of_new_settings() {
    let stage = stage("radius", valued);
    let (_, ada) = stage.enter(&attempt("ada", "secret")).await;
    let mut settings = ruled();
    settings.rules[2].rights.role = Role::Operator;
    let _ = stage.reconfigured(settings.clone());
    let now = stage.recheck(&ada).await.unwrap();
    assert_eq!(now.role, Role::Operator);
    settings.rules.truncate(2);
    let _ = stage.reconfigured(settings);
    assert_eq!(stage.recheck(&ada).await, Err(Code::Denied));
    assert_eq!(stage.directory.asked(), 1);
}
