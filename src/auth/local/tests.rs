//! Local users, with hashes cheap enough to make many.
//! It must not depend on how fast the machine is.

use std::time::{Duration, Instant};

use super::*;
use crate::model::principal::{Role, Scope};

/// A user whose hash costs little: for tests of everything but the hash.
pub(in crate::auth) fn user(name: &str, password: &str, role: Role) -> User {
    user_at(name, password, role, 64, 1)
}

fn user_at(name: &str, password: &str, role: Role, memory: u32, passes: u32) -> User {
    let cost = Params::new(memory, passes, 1, None).unwrap();
    let hash = hash_at(&password.into(), cost).unwrap();
    User {
        name: name.to_owned(),
        password_hash: hash.into(),
        rights: Some(Rights {
            role,
            services: Scope::all(),
        }),
    }
}

fn credentials(user: &str, password: &str) -> Credentials {
    Credentials {
        user: user.to_owned(),
        proof: Proof::Password(password.into()),
    }
}

#[test]
fn a_hash_is_argon2id_salted_and_verifies() {
    let password = SecretString::from("correct horse");
    let one = hash(&password).unwrap();
    assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
    assert_ne!(one, hash(&password).unwrap());
    assert_eq!(check_hash(&one.clone().into()), Ok(()));
    let parsed = PasswordHash::new(&one).unwrap();
    let verify = |password: &[u8]| Argon2::default().verify_password(password, &parsed);
    assert!(verify(b"correct horse").is_ok() && verify(b"wrong horse").is_err());
}

#[test]
fn no_hash_is_made_of_a_password_that_would_never_be_let_in() {
    for password in ["", "  ", "a\0b", &"x".repeat(257)] {
        assert!(hash(&password.into()).is_err());
    }
}

#[test]
fn the_stand_in_for_nobody_costs_what_a_new_hash_costs() {
    let nobody = parse(&NOBODY.into()).unwrap();
    assert_eq!(
        Params::try_from(&nobody).unwrap().m_cost(),
        Params::default().m_cost()
    );
    assert_eq!(
        Params::try_from(&nobody).unwrap().t_cost(),
        Params::default().t_cost()
    );
}

#[test]
fn other_hashes_are_refused_without_showing_them() {
    let good = user("ada", "secret", Role::Admin).password_hash;
    let good = good.expose_secret();
    let bad = [
        "secret".to_owned(),
        "$2b$12$abcdefghijklmnopqrstuv".to_owned(),
        good.replace("argon2id", "argon2i"),
        good.replace("v=19", "v=16"),
        good.replace("m=64", "m=999999999"),
        good.replace("t=1", "t=4000000"),
        good.rsplit_once('$').unwrap().0.to_owned(),
    ];
    for hash in bad {
        let user = User {
            password_hash: hash.clone().into(),
            ..user("ada", "secret", Role::Admin)
        };
        let problems = Local::new(&[user]).unwrap_err().join("; ");
        assert!(problems.contains("password_hash of ada is"), "{problems}");
        assert!(!problems.contains(&hash), "{problems}");
    }
}

#[test]
fn a_name_that_occurs_twice_is_refused() {
    let twice = [
        user("ada", "one", Role::Admin),
        user("ada", "two", Role::Viewer),
    ];
    let problems = Local::new(&twice).unwrap_err();
    assert_eq!(problems, ["the user ada occurs twice"]);
}

#[tokio::test]
async fn only_the_right_password_of_the_right_user_is_accepted() {
    let users = [
        user("ada", "adas", Role::Admin),
        user("bob", "bobs", Role::Viewer),
    ];
    let local = Local::new(&users).unwrap();
    for (name, password, right) in [
        ("ada", "adas", true),
        ("bob", "bobs", true),
        ("ada", "bobs", false),
        ("ada", "Adas", false),
        ("ADA", "adas", false),
        ("eve", "adas", false),
        ("eve", "bobs", false),
    ] {
        let outcome = local
            .authenticate(&credentials(name, password), &Steps::unheard())
            .await;
        assert_eq!(
            matches!(outcome, Outcome::Accepted(_)),
            right,
            "{name} {password}"
        );
        assert!(right || matches!(outcome, Outcome::Rejected(_)));
    }
}

#[tokio::test]
async fn the_time_of_the_answer_does_not_tell_users_from_others() {
    let users = ["ada", "bob", "cleo"].map(|name| user_at(name, "right", Role::Admin, 512, 2));
    let local = Local::new(&users).unwrap();
    let mut times = [Vec::new(), Vec::new()];
    for number in 0..15 {
        let names = ["ada".to_owned(), format!("nobody{number}")];
        for (name, times) in names.iter().zip(&mut times) {
            let credentials = credentials(name, "wrong");
            let start = Instant::now();
            let outcome = local.authenticate(&credentials, &Steps::unheard()).await;
            times.push(start.elapsed());
            assert!(matches!(outcome, Outcome::Rejected(_)));
        }
    }
    let [user, nobody]: [Duration; 2] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    assert!(
        user < nobody * 3 && nobody < user * 3,
        "{user:?} {nobody:?}"
    );
}

#[tokio::test]
async fn more_log_ins_than_may_wait_are_told_so_and_none_is_taken_for_wrong() {
    let local = Local::new(&[user("ada", "right", Role::Admin)]).unwrap();
    let held = local.turns.acquire_many(2).await.unwrap();
    let right = credentials("ada", "right");
    let steps = Steps::unheard();
    let mut waiting: Vec<_> = (0..WAITING)
        .map(|_| local.authenticate(&right, &steps))
        .collect();
    for one in &mut waiting {
        assert!(tokio::time::timeout(Duration::ZERO, one).await.is_err());
    }
    let outcome = local.authenticate(&right, &steps).await;
    assert!(matches!(outcome, Outcome::Unavailable(_)), "{outcome:?}");
    drop(held);
    for one in waiting {
        assert!(matches!(one.await, Outcome::Accepted(_)));
    }
}
