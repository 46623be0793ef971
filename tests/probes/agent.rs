//! The agent, as it answers on a real connection.

use pointsman::health::{Advice, Mode};

use super::*;

#[test]
fn what_the_agent_says_is_reported() {
    let alone = alone();
    let ask = |manner, keys| alone.ask(keys, &Means::default(), Host::that(manner).address);
    let keys = || json!({"kind": "agent"});
    let outcome = ask(Manner::Says("up 75% maxconn:30\n"), keys());
    came_to(
        &outcome,
        Verdict::Passed,
        "the agent says: up 75% maxconn:30",
    );
    let advice = Advice {
        weight: Some(75),
        mode: None,
        max_sessions: Some(30),
    };
    assert_eq!(outcome.advice, advice);
    let outcome = ask(Manner::Says("drain"), keys());
    assert_eq!(outcome.advice.mode, Some(Mode::Drain));
    let outcome = ask(Manner::Says("down # disk full\r\n"), keys());
    came_to(&outcome, Verdict::Failed, "disk full");
    let outcome = ask(Manner::Dribbles("up\n"), keys());
    came_to(&outcome, Verdict::Passed, "up");
    let outcome = ask(
        Manner::Answers("up\n"),
        json!({"kind": "agent", "send": "w1\r\n\r\n"}),
    );
    came_to(&outcome, Verdict::Passed, "up");
}

#[test]
fn an_agent_that_gives_no_answer_fails_its_host() {
    let alone = alone();
    let ask = |manner| {
        let keys = json!({"kind": "agent"});
        alone.ask(keys, &Means::default(), Host::that(manner).address)
    };
    came_to(
        &ask(Manner::HangsUp),
        Verdict::Failed,
        "the agent answered nothing",
    );
    came_to(&ask(Manner::Resets), Verdict::Failed, "connection reset");
    came_to(
        &ask(Manner::Hangs),
        Verdict::Failed,
        "did not answer a whole line in time",
    );
    came_to(
        &ask(Manner::Floods("up ")),
        Verdict::Failed,
        "answers more than 1024 bytes",
    );
}
