//! Too many hosts that go down at once, so that the probes are doubted.

use serde_json::json;

use super::{super::report::Health, flips, group, name, probe, probed, usable, wanted};

#[test]
fn when_too_many_go_down_at_once_they_are_used_until_their_sessions_fail_too() {
    let mut group = group(&wanted(4, json!({"probe": probed(), "panic": "50%"})));
    for index in 1..=4 {
        probe(&mut group, index, 0, "+");
    }
    flips(&mut group);
    probe(&mut group, 1, 1000, "---");
    probe(&mut group, 2, 1100, "---");
    assert_eq!(usable(&group, 4), [3, 4]);
    probe(&mut group, 3, 1200, "---");
    assert_eq!(usable(&group, 4), [1, 2, 3, 4]);
    assert_eq!(flips(&mut group).last().unwrap(), "panic: 3 of 4");
    assert_eq!(group.report(&name(1), 1300).health, Health::Down);
    group.count(&name(1), 1400, 1);
    group.tick(1400);
    assert_eq!(usable(&group, 4), [2, 3, 4]);
    probe(&mut group, 2, 2000, "++");
    assert_eq!(flips(&mut group), ["w2 up by probe", "panic ended"]);
    assert_eq!(
        usable(&group, 4),
        [2, 4],
        "two of four are believed to be down"
    );
}

#[test]
fn an_ejected_host_neither_begins_a_panic_nor_keeps_one_on() {
    let more =
        json!({"probe": probed(), "panic": "50%", "outlier": {"eject": "1h", "max_eject": "1h"}});
    let mut group = group(&wanted(4, more));
    for index in 1..=4 {
        probe(&mut group, index, 0, "+");
    }
    group.count(&name(1), 500, 5);
    flips(&mut group);
    for index in 1..=3 {
        probe(&mut group, index, 1000, "---");
    }
    let panics = flips(&mut group)
        .iter()
        .filter(|flip| flip.starts_with("panic"))
        .count();
    assert_eq!(panics, 0, "its sessions speak against one of the three");
    probe(&mut group, 4, 1100, "---");
    assert_eq!(flips(&mut group).last().unwrap(), "panic: 4 of 4");
    assert_eq!(usable(&group, 4), [2, 3, 4]);
    // It gets no sessions by which it could be told whether the probes are right.
    for index in 2..=4 {
        group.count(&name(index), 1200, 1);
    }
    group.tick(1200);
    assert_eq!(flips(&mut group), ["panic ended"]);
    assert_eq!(usable(&group, 4), [0; 0]);
    for at in 1..100 {
        group.tick(1200 + at * 100);
    }
    assert_eq!(flips(&mut group), [""; 0], "and it does not begin anew");
}

#[test]
fn hosts_that_went_down_long_before_are_not_doubted() {
    let mut group = group(&wanted(4, json!({"probe": probed(), "panic": "50%"})));
    for (index, at) in [(1, 1_000), (2, 60_000), (3, 120_000)] {
        probe(&mut group, index, at, "---");
    }
    assert_eq!(usable(&group, 4), [4]);
    assert!(
        !flips(&mut group)
            .iter()
            .any(|flip| flip.starts_with("panic"))
    );
}
