//! The whole program under somebody who guesses at its HTTP door.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    doors::{config, secret},
    node::Node,
    slapd::Slapd,
};

/// Of the audit trail: how many failed log-ins it has, in how many events.
fn told(node: &Node) -> (u64, usize) {
    let failed = node.told("admin.login-failed");
    let sum = failed.iter().map(|data| data["count"].as_u64().unwrap());
    (sum.sum(), failed.len())
}

#[tokio::test]
async fn a_thousand_guesses_at_the_http_door_reach_the_directory_a_few_times_and_hold_up_nobody() {
    let Some(slapd) = Slapd::start() else { return };
    let node = Node::start(&config(&slapd)).await;
    let guess = |number: u64| {
        let wrong = json!({"user": "ada", "password": format!("guess{number}")});
        node.post_http("/v1/login", None, &wrong)
    };
    let since = Instant::now();
    let (asked, tries) = thread::scope(|scope| {
        let guessing = [0, 1, 2, 3].map(|guesser| {
            scope.spawn(move || {
                let answers = (guesser * 250..(guesser + 1) * 250).map(guess);
                let asked = answers.filter(|(status, answer)| {
                    assert!(matches!(status, 401 | 429), "{answer}");
                    *status == 401
                });
                asked.count()
            })
        });
        // Meanwhile somebody else comes in from the same address, by and by.
        let mut tries = 1;
        while node.post_http("/v1/login", None, &secret("bob")).0 != 200 {
            assert!(since.elapsed() < Duration::from_secs(10), "locked out");
            tries += 1;
        }
        let asked = guessing.map(|one| one.join().unwrap());
        (asked.iter().sum::<usize>(), tries)
    });
    let took = since.elapsed();
    println!("{asked} of 1000 guesses reached the directory, in {took:?}; bob took {tries} tries");
    assert!(took < Duration::from_secs(60), "{took:?}");
    // Three at once, then after 0.5, 1, 2, 4 and each further 8 seconds.
    let most = 3 + 4 + took.as_secs() / 8;
    assert!((3..=most).contains(&(asked as u64)), "{asked} in {took:?}");
    let due = 1000 + tries - 1;
    for _ in 0..2 {
        if told(&node).0 < due {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }
    assert_eq!(told(&node).0, due, "{:?}", node.told("admin.login-failed"));
    assert!(told(&node).1 < 30, "{:?}", told(&node));
    // Whose name was guessed at comes in too: on the socket at once.
    assert_eq!(node.post("/v1/login", None, &secret("ada")).0, 200);
}
