//! Logins listed, ended, kept over a restart, displaced, and judged by new settings.
//! It must not sleep.

use super::*;
use crate::auth::table;

type Change = fn(&mut Options);

#[tokio::test]
async fn one_ends_ones_own_logins_and_an_admin_everybodys() {
    let (logins, _hand) = logins();
    let (_, ada_token, _) = enter(&logins, "ada").await;
    let (bob_login, bob_token, _) = enter(&logins, "bob").await;
    let (second, ..) = enter(&logins, "bob").await;
    let ada = principal(&logins, &ada_token).unwrap();
    let bob = principal(&logins, &bob_token).unwrap();
    assert_eq!((logins.list(&ada).len(), logins.list(&bob).len()), (3, 2));
    let foreign = ada.login.clone().unwrap();
    assert_eq!(logins.end(&bob, &foreign).unwrap_err().code, Code::Denied);
    assert_eq!(logins.end(&bob, "none").unwrap_err().code, Code::Denied);
    assert_eq!(logins.end(&ada, "none").unwrap_err().code, Code::NotFound);
    let effects = logins.end(&bob, &second.id).unwrap();
    assert_eq!(effects.records, [(second.id, None)]);
    let effects = logins.end(&ada, &bob_login.id).unwrap();
    assert_eq!(kinds(&effects.events), ["admin.logout"]);
    assert_eq!(effects.events[0].data["ended_by"], "ada");
    assert_eq!(principal(&logins, &bob_token), None);
    assert_eq!(logins.recheck(&bob).await.0.unwrap_err().code, Code::Denied);
    assert_eq!(
        kinds(&logins.logout(&ada).unwrap().events),
        ["admin.logout"]
    );
    assert_eq!(logins.logout(&ada).unwrap_err().code, Code::NotFound);
    assert_eq!(principal(&logins, &ada_token), None);
}

#[tokio::test]
async fn new_settings_end_the_logins_that_they_would_not_give() {
    let changes: [(Change, bool); 6] = [
        (|_| {}, true),
        (|new| new.users[1] = user("bob", "other", Role::Admin), true),
        (
            |new| new.users[0] = user("ada", "adas-password", Role::Admin),
            false,
        ),
        (
            |new| new.users[0].rights.as_mut().unwrap().role = Role::Operator,
            false,
        ),
        (
            |new| {
                new.users[0].rights.as_mut().unwrap().services = Scope::new(vec!["web".to_owned()])
            },
            false,
        ),
        (|new| new.users.truncate(0), false),
    ];
    for (index, (change, stays)) in changes.into_iter().enumerate() {
        let mut new = options();
        let logins = Logins::new(new.clone(), Hand::new().clock()).unwrap();
        let (login, token, _) = enter(&logins, "ada").await;
        let ada = principal(&logins, &token).unwrap();
        change(&mut new);
        let effects = logins.take_in(Logins::prepare(new).unwrap());
        assert_eq!(principal(&logins, &token).is_some(), stays, "{index}");
        assert_eq!(logins.recheck(&ada).await.0.is_ok(), stays, "{index}");
        assert_eq!(effects.records.len(), usize::from(!stays));
        assert!(stays || effects.records[0] == (login.id, None));
    }
}

#[tokio::test]
async fn settings_that_are_wrong_change_nothing() {
    let (logins, _hand) = logins();
    let (_, token, _) = enter(&logins, "ada").await;
    let mut wrong = options();
    wrong.users[0].password_hash = "adas-password".into();
    let error = Logins::prepare(wrong).unwrap_err();
    assert_eq!(error.code, Code::Invalid);
    assert!(!error.message.contains("adas-password"));
    assert!(principal(&logins, &token).is_some());
}

#[tokio::test]
async fn logins_survive_a_restart_unless_they_would_not_be_given_any_more() {
    let settings = options();
    let hand = Hand::new();
    let logins = Logins::new(settings.clone(), hand.clock()).unwrap();
    let (_, ada, effects) = enter(&logins, "ada").await;
    let (bob_login, bob, _) = enter(&logins, "bob").await;
    let kept = serde_json::to_string(&logins.records()).unwrap();
    assert!(effects.records[0].1.is_some());
    assert!(!kept.contains(ada.expose_secret()));
    let mut fewer = settings;
    fewer.users.remove(1);
    let again = Logins::new(fewer, hand.clock()).unwrap();
    let effects = again.restore(serde_json::from_str(&kept).unwrap());
    assert_eq!(effects.records, [(bob_login.id, None)]);
    assert!(principal(&again, &ada).is_some() && principal(&again, &bob).is_none());
    hand.forward(Duration::from_secs(15 * 60));
    assert_eq!(principal(&again, &ada), None);
    let late = Logins::new(options(), hand.clock()).unwrap();
    let effects = late.restore(serde_json::from_str(&kept).unwrap());
    assert_eq!((effects.records.len(), late.records().len()), (2, 0));
    let reasons = effects.events.iter().map(|event| &event.data["reason"]);
    assert!(reasons.eq(["expired", "expired"]));
    assert!(late.due().events.is_empty());
}

#[tokio::test]
async fn a_user_fills_only_their_share_and_a_full_table_refuses_a_newcomer() {
    let (logins, hand) = logins();
    let (first, token, _) = enter(&logins, "ada").await;
    for number in 1..=table::OWN_BOUND {
        let (.., effects) = enter(&logins, "ada").await;
        let displaced = number == table::OWN_BOUND;
        assert_eq!(
            effects.records.contains(&(first.id.clone(), None)),
            displaced
        );
    }
    assert_eq!(principal(&logins, &token), None);
    assert_eq!(logins.records().len(), table::OWN_BOUND);
    let records: Vec<Record> = logins.records();
    let mut others = Vec::new();
    for number in 0..table::BOUND - table::OWN_BOUND {
        let mut other = serde_json::to_value(&records[0]).unwrap();
        other["login"]["id"] = json!(format!("other{number}"));
        other["login"]["user"] = json!(format!("user{}", number / 50));
        others.push(serde_json::from_value::<Record>(other).unwrap());
    }
    fill(&logins, others);
    assert_eq!(logins.records().len(), table::BOUND);
    let (entered, effects) = logins.log_in(&attempt("bob", "bobs-password")).await;
    assert_eq!(entered.unwrap_err().error.code, Code::Unavailable);
    assert!(effects.records.is_empty());
    let _ = enter(&logins, "ada").await;
    assert_eq!(logins.records().len(), table::BOUND);
    hand.forward(Duration::from_secs(15 * 60));
    let (.., effects) = enter(&logins, "bob").await;
    assert_eq!(effects.records.len(), table::AT_ONCE + 1);
    for _ in 1..table::BOUND / table::AT_ONCE {
        assert_eq!(logins.due().events.len(), table::AT_ONCE);
    }
    assert!(logins.due().events.is_empty());
    assert_eq!(logins.records().len(), 1);
}

#[tokio::test]
async fn a_login_that_expires_by_itself_is_told_once_and_forgotten() {
    let (logins, hand) = logins();
    let (login, ..) = enter(&logins, "ada").await;
    hand.forward(Duration::from_secs(10 * 60));
    let _ = enter(&logins, "bob").await;
    assert!(logins.due().events.is_empty());
    hand.forward(Duration::from_secs(5 * 60));
    let due = logins.due();
    assert_eq!(kinds(&due.events), ["admin.logout"]);
    let data = &due.events[0].data;
    assert_eq!(
        (&data["reason"], &data["login"]),
        (&json!("expired"), &json!(login.id))
    );
    assert_eq!(
        (due.events[0].subject.as_str(), due.records),
        ("ada", vec![(login.id, None)])
    );
    let again = logins.due();
    assert!(again.events.is_empty() && again.records.is_empty());
    assert_eq!(logins.records().len(), 1);
}

/// Takes the records in without asking whether their users exist.
fn fill(logins: &Logins, records: Vec<Record>) {
    let now = logins.clock.now();
    for record in records {
        let held = record.held_for_test(now);
        logins.inner().table.insert(held, now).unwrap();
    }
}
