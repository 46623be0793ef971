//! The health of a group, from what is told of its hosts to what follows for each.

use serde_json::{Value, json};

use super::{
    Advice, Mode, Outcome,
    group::Group,
    memory::Remembered,
    news::{Flip, News, Signal},
    report::Health,
};
use crate::model::{name::Name, topology};

mod doubt;
mod property;
mod restart;

fn wanted(hosts: usize, more: Value) -> topology::Group {
    let host =
        |index| json!({"name": format!("w{index}"), "address": format!("10.0.0.{index}:80")});
    let mut group = json!({"name": "blue", "host": (1..=hosts).map(host).collect::<Vec<_>>()});
    if let (Some(group), Some(more)) = (group.as_object_mut(), more.as_object()) {
        group.extend(more.clone());
    }
    serde_json::from_value(group).unwrap()
}

fn probed() -> Value {
    json!({"kind": "tcp", "interval": "2s", "fast_interval": "500ms", "timeout": "1s", "fall": 3,
        "rise": 2})
}

fn group(wanted: &topology::Group) -> Group {
    let mut group = Group::default();
    group.become_like(wanted, &Remembered::default());
    group.tick(0);
    group
}

fn name(index: usize) -> Name {
    format!("w{index}").parse().unwrap()
}

fn outcome(passed: bool) -> Outcome {
    if passed {
        Outcome::passed("it answers")
    } else {
        Outcome::failed("connection refused")
    }
}

/// `results` of probes of a host, all at `now`, and a tick after them.
fn probe(group: &mut Group, index: usize, now: u64, results: &str) {
    for result in results.bytes() {
        group.observe(&name(index), now, outcome(result == b'+'));
    }
    group.tick(now);
}

fn usable(group: &Group, hosts: usize) -> Vec<usize> {
    let hosts = 1..=hosts;
    hosts
        .filter(|index| group.is_usable(&name(*index)))
        .collect()
}

/// What happened to hosts, as `w1 down by probe`.
fn flips(group: &mut Group) -> Vec<String> {
    let told = |news| match news {
        News::Host { host, what, by, .. } => {
            let what = match what {
                Flip::Up => "up",
                Flip::Down => "down",
                Flip::Ejected => "ejected",
                Flip::Readmitted => "readmitted",
            };
            let by = match by {
                Signal::Probe => "probe",
                Signal::Outlier => "outlier",
            };
            format!("{host} {what} by {by}")
        }
        News::Panic(fallen) => format!("panic: {} of {}", fallen.down, fallen.hosts),
        News::PanicEnded(_) => "panic ended".to_owned(),
    };
    group.take_news().into_iter().map(told).collect()
}

#[test]
fn a_host_that_nobody_watches_is_unknown_and_used() {
    let mut group = group(&wanted(1, json!({})));
    assert_eq!(group.observe(&name(1), 0, outcome(false)), None);
    group.count(&name(1), 0, 1000);
    group.tick(0);
    assert_eq!(usable(&group, 1), [1]);
    let report = group.report(&name(1), 0);
    assert_eq!((report.health, report.since), (Health::Unknown, None));
    assert_eq!(report.reason, "it is not probed");
    assert_eq!(flips(&mut group), [""; 0]);
}

#[test]
fn a_host_falls_and_rises_by_its_probes_and_says_why() {
    let mut group = group(&wanted(2, json!({"probe": probed()})));
    probe(&mut group, 1, 1000, "+");
    assert_eq!(usable(&group, 2), [1, 2]);
    probe(&mut group, 1, 2000, "--");
    assert_eq!(usable(&group, 2), [1, 2]);
    probe(&mut group, 1, 3000, "-");
    assert_eq!(usable(&group, 2), [2]);
    let report = group.report(&name(1), 4000);
    assert_eq!(report.health, Health::Down);
    assert_eq!(report.reason, "connection refused");
    assert_eq!(report.since, Some(3000));
    assert_eq!(report.results.len(), 4);
    let outlook = "2 passed probes in a row bring it up; 0 so far";
    assert_eq!(report.outlook, [outlook]);
    probe(&mut group, 1, 5000, "++");
    assert_eq!(usable(&group, 2), [1, 2]);
    let expected = ["w1 up by probe", "w1 down by probe", "w1 up by probe"];
    assert_eq!(flips(&mut group), expected);
}

#[test]
fn a_host_comes_back_slowly_but_not_when_it_is_first_seen() {
    let more = json!({"probe": probed(), "slow_start": "30s", "outlier": {}});
    let mut group = group(&wanted(3, more));
    probe(&mut group, 1, 1000, "+");
    assert_eq!(group.back_since(&name(1)), None);
    probe(&mut group, 1, 2000, "---");
    probe(&mut group, 1, 3000, "++");
    assert_eq!(group.back_since(&name(1)), Some(3000));
    group.count(&name(2), 4000, 5);
    assert_eq!(usable(&group, 3), [1, 3]);
    probe(&mut group, 2, 34_000, "+");
    assert_eq!(group.back_since(&name(2)), Some(34_000));
}

#[test]
fn a_host_whose_sessions_fail_is_readmitted_after_its_time_and_by_a_probe_where_there_is_one() {
    let mut group = group(&wanted(2, json!({"probe": probed(), "outlier": {}})));
    probe(&mut group, 1, 0, "+");
    group.count(&name(1), 1000, 4);
    assert_eq!(usable(&group, 2), [1, 2]);
    group.count(&name(1), 2000, 1);
    group.tick(2000);
    assert_eq!(usable(&group, 2), [2]);
    let report = group.report(&name(1), 2000);
    assert_eq!(report.health, Health::Ejected);
    assert_eq!(report.reason, "5 sessions failed within 10s");
    probe(&mut group, 1, 31_999, "+++");
    assert_eq!(usable(&group, 2), [2]);
    group.tick(40_000);
    assert_eq!(usable(&group, 2), [2], "not by hope");
    assert_eq!(group.observe(&name(1), 40_000, outcome(false)), Some(500));
    assert_eq!(usable(&group, 2), [2], "nor by a probe that fails");
    probe(&mut group, 1, 41_000, "+");
    assert_eq!(usable(&group, 2), [1, 2]);
    let expected = [
        "w1 up by probe",
        "w1 ejected by outlier",
        "w1 readmitted by probe",
    ];
    assert_eq!(flips(&mut group), expected);
}

#[test]
fn where_the_share_is_ejected_the_next_one_that_fails_stays() {
    let outlier = json!({"max_ejected": "50%"});
    let mut group = group(&wanted(4, json!({"outlier": outlier})));
    for index in 1..=3 {
        group.count(&name(index), 1000, 5);
    }
    assert_eq!(usable(&group, 4), [3, 4]);
    group.tick(1000);
    let expected = ["w1 ejected by outlier", "w2 ejected by outlier"];
    assert_eq!(flips(&mut group), expected, "nobody makes room for another");
}

#[test]
fn without_a_probe_time_readmits() {
    let mut group = group(&wanted(2, json!({"outlier": {}})));
    group.count(&name(1), 0, 5);
    group.tick(29_999);
    assert_eq!(usable(&group, 2), [2]);
    group.tick(30_000);
    assert_eq!(usable(&group, 2), [1, 2]);
    let expected = ["w1 ejected by outlier", "w1 readmitted by outlier"];
    assert_eq!(flips(&mut group), expected);
}

#[test]
fn a_group_that_was_empty_waits_for_half_of_its_hosts() {
    let mut group = group(&wanted(4, json!({"probe": probed()})));
    for index in 1..=4 {
        probe(&mut group, index, 1000, "---");
    }
    assert_eq!(usable(&group, 4), [0; 0]);
    probe(&mut group, 1, 2000, "++");
    assert!(!group.is_released());
    probe(&mut group, 2, 2100, "++");
    assert!(group.is_released());
}

#[test]
fn what_a_host_says_of_itself_is_heeded_until_it_says_otherwise() {
    let mut group = group(&wanted(1, json!({"probe": {"kind": "agent"}})));
    let mut say = |advice| {
        let outcome = Outcome {
            advice,
            ..Outcome::passed("it says so")
        };
        group.observe(&name(1), 0, outcome);
        group.tick(0);
        (group.wishes(&name(1)), group.is_usable(&name(1)))
    };
    let (wishes, usable) = say(Advice {
        weight: Some(75),
        max_sessions: Some(30),
        mode: None,
    });
    assert_eq!(
        (wishes.percent, wishes.max_sessions, usable),
        (75, Some(30), true)
    );
    let drain = Advice {
        mode: Some(Mode::Drain),
        ..Advice::default()
    };
    let (wishes, usable) = say(drain);
    assert_eq!((wishes.percent, usable), (75, false));
    assert!(!say(Advice::default()).1);
    let ready = Advice {
        mode: Some(Mode::Ready),
        ..Advice::default()
    };
    assert!(say(ready).1);
}

#[test]
fn what_could_not_be_asked_says_nothing_about_the_host() {
    let mut group = group(&wanted(1, json!({"probe": probed()})));
    probe(&mut group, 1, 0, "+--");
    for _ in 0..10 {
        let pause = group.observe(&name(1), 0, Outcome::not_asked("no descriptors left"));
        assert_eq!(pause, Some(500));
    }
    assert_eq!(usable(&group, 1), [1]);
    let report = group.report(&name(1), 0);
    assert!(report.outlook[0].contains("no descriptors left"));
    probe(&mut group, 1, 0, "-");
    assert_eq!(group.report(&name(1), 0).health, Health::Down);
}

#[test]
fn health_outlives_a_change_that_does_not_touch_the_host() {
    let mut group = group(&wanted(2, json!({"probe": probed(), "outlier": {}})));
    probe(&mut group, 1, 0, "---");
    group.count(&name(2), 0, 0);
    let mut faster = probed();
    faster["interval"] = json!("1s");
    let mut next = wanted(
        3,
        json!({"probe": faster, "outlier": {}, "slow_start": "5s"}),
    );
    group.become_like(&next, &Remembered::default());
    assert_eq!(group.report(&name(1), 0).health, Health::Down);
    assert_eq!(group.report(&name(3), 0).health, Health::Unknown);
    next.hosts[0].address = "10.9.9.9:80".parse().unwrap();
    group.become_like(&next, &Remembered::default());
    assert_eq!(group.report(&name(1), 0).health, Health::Unknown);
}

#[test]
fn another_question_makes_what_was_answered_worthless() {
    let mut group = group(&wanted(1, json!({"probe": probed()})));
    probe(&mut group, 1, 0, "---");
    let next = wanted(1, json!({"probe": {"kind": "http", "path": "/ready"}}));
    group.become_like(&next, &Remembered::default());
    assert_eq!(group.report(&name(1), 0).health, Health::Unknown);
}

#[test]
fn a_disabled_host_is_forgotten() {
    let mut group = group(&wanted(2, json!({"probe": probed()})));
    probe(&mut group, 1, 0, "---");
    let mut next = wanted(2, json!({"probe": probed()}));
    next.hosts[0].admin = topology::Admin::Disabled;
    group.become_like(&next, &Remembered::default());
    assert_eq!(group.report(&name(1), 0).health, Health::Unknown);
    assert_eq!(group.in_use(), 1);
}
