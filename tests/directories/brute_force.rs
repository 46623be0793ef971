//! The whole program under somebody who guesses at its HTTP door.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    doors::{config, secret},
    node::Node,
    site::token,
    slapd::Slapd,
};

/// Of the audit trail: how many failed log-ins it has, in how many events.
fn told(node: &Node, token: &str) -> (u64, usize) {
    let asked = json!({"command": "events", "since": 0, "limit": 10_000});
    let (_, answer) = node.post("/v1/commands", Some(token), &asked);
    let events = answer["data"]["events"].as_array().unwrap().iter();
    let failed = events.filter(|event| event["type"] == "pointsman.admin.login-failed");
    let counts: Vec<_> = failed
        .map(|event| event["data"]["count"].as_u64().unwrap())
        .collect();
    (counts.iter().sum(), counts.len())
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
    // Whose name was guessed at comes in too: on the socket at once.
    let ada = token(&node.post("/v1/login", None, &secret("ada")));
    let due = 1000 + tries - 1;
    for _ in 0..3 {
        if told(&node, &ada).0 < due {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }
    let (sum, events) = told(&node, &ada);
    assert_eq!(sum, due, "in {events} events");
    assert!(events < 30, "{events}");
}
