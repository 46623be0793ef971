//! What every `Record` has to do: asked of the one in memory and of the journal.
//! It must not know which of them it asks.

use super::*;
use crate::control::record::InMemory;

/// Asks a record in memory, and a journal.
fn each(ask: impl Fn(&mut dyn Record)) {
    ask(&mut InMemory::default());
    ask(&mut Dir::new().open());
}

fn numbers(events: &[Recorded]) -> Vec<(u64, u64)> {
    let numbers = |event: &Recorded| (event.sequence, event.category_sequence);
    events.iter().map(numbers).collect()
}

#[test]
fn a_new_record_is_empty() {
    each(|record| {
        assert_eq!(record.last(), Ok(None));
        assert_eq!(record.last_sequence(), Ok(0));
        assert_eq!(record.events(0, 10), Ok(vec![]));
        assert_eq!(record.history(10), Ok(vec![]));
        assert_eq!(record.topology(1), Ok(None));
        assert_eq!(record.answered(&answered(1).id), Ok(None));
        assert_eq!(record.kept(""), Ok(vec![]));
        assert_eq!(record.record(&[]), Ok(vec![]));
        assert!(!record.epoch().is_empty());
    });
}

#[test]
fn what_was_recorded_is_read_again() {
    each(|record| {
        for n in 1..=40 {
            let recorded = record.record(&[entry(n, 50)]).unwrap();
            let last = record.last().unwrap().unwrap();
            assert_eq!(last.state.revision, n);
            assert_eq!(last.state.topology, topology(n, 50));
            assert_eq!(last.file_digest, Some(vec![n as u8; 32]));
            assert_eq!(numbers(&recorded), [(2 * n - 1, n), (2 * n, n)]);
            assert_eq!(record.events(2 * n - 2, 10), Ok(recorded));
        }
        let revision = |n| entry(n, 50).revision.unwrap().0;
        for n in 1..=40 {
            assert_eq!(record.topology(n), Ok(Some(topology(n, 50))), "{n}");
            assert_eq!(record.answered(&answered(n).id), Ok(Some(answered(n))));
        }
        let newest: Vec<_> = (38..=40).rev().map(revision).collect();
        assert_eq!(record.history(3), Ok(newest));
        assert_eq!(record.history(usize::MAX).unwrap().len(), 40);
        assert_eq!(record.topology(41), Ok(None));
        assert_eq!(record.last_sequence(), Ok(80));
    });
}

#[test]
fn the_entries_of_one_call_count_in_their_order() {
    each(|record| {
        let recorded = record.record(&[entry(1, 9), entry(2, 9), entry(3, 9)]);
        let wanted = [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3)];
        assert_eq!(numbers(&recorded.unwrap()), wanted);
        assert_eq!(record.last().unwrap().unwrap().state.revision, 3);
        assert_eq!(record.topology(2), Ok(Some(topology(2, 9))));
    });
}

#[test]
fn jobs_and_the_digest_stay_until_others_come() {
    each(|record| {
        let mut first = entry(1, 9);
        first.jobs = Some(pending(0));
        record.record(&[first]).unwrap();
        let mut second = entry(2, 9);
        second.file_digest = None;
        record.record(&[second]).unwrap();
        let last = record.last().unwrap().unwrap();
        assert_eq!(last.state.jobs, pending(0));
        assert_eq!(last.file_digest, Some(vec![1; 32]));

        let confirmed = Entry {
            jobs: Some(Jobs::default()),
            ..events("config.confirmed", 1)
        };
        record.record(&[confirmed]).unwrap();
        let last = record.last().unwrap().unwrap();
        assert_eq!((last.state.revision, last.state.jobs), (2, Jobs::default()));
    });
}

#[test]
fn events_are_numbered_within_their_category_too() {
    each(|record| {
        let mut numbered = Vec::new();
        for kind in [
            "host.up",
            "admin.login",
            "host.down",
            "node.started",
            "admin.logout",
        ] {
            numbered.extend(record.record(&[events(kind, 1)]).unwrap());
        }
        assert_eq!(numbers(&numbered), [(1, 1), (2, 1), (3, 2), (4, 1), (5, 2)]);
        assert_eq!(numbers(&record.events(1, 2).unwrap()), [(2, 1), (3, 2)]);
        assert_eq!(record.events(5, 2), Ok(vec![]));
        assert_eq!(record.events(u64::MAX, 2), Ok(vec![]));
    });
}

#[test]
fn a_category_counts_on_when_its_events_are_gone() {
    let small = Keep {
        events: 10,
        revisions: 10,
    };
    let dir = Dir::new();
    let journal = Journal::open(&dir, small).unwrap();
    for mut record in [
        Box::new(InMemory::default()) as Box<dyn Record>,
        Box::new(journal),
    ] {
        record.record(&[events("admin.login", 3)]).unwrap();
        for _ in 0..21 {
            record.record(&[events("host.up", 500)]).unwrap();
        }
        let kept = record.events(0, usize::MAX).unwrap();
        assert!(kept.iter().all(|event| event.event.kind == "host.up"));
        let next = record.record(&[events("admin.login", 1)]).unwrap();
        assert_eq!(numbers(&next), [(10_504, 4)]);
    }
}

#[test]
fn the_first_answer_under_an_id_stands() {
    each(|record| {
        record.record(&[entry(1, 9)]).unwrap();
        let mut again = entry(2, 9);
        again.answered = Some(Answered {
            answer: "another".to_owned(),
            ..answered(1)
        });
        record.record(&[again]).unwrap();
        assert_eq!(record.answered(&answered(1).id), Ok(Some(answered(1))));
        let (sender, id) = answered(1).id;
        assert_eq!(record.answered(&(id, sender)), Ok(None));
    });
}

#[test]
fn values_are_kept_replaced_and_forgotten() {
    each(|record| {
        for key in ["login/b", "login/a", "login", "login0", "other/ä"] {
            record.keep(key, Some(&json!({"key": key}))).unwrap();
        }
        record
            .keep("login/a", Some(&json!([1, 2.5, null])))
            .unwrap();
        record.keep("login/c", None).unwrap();
        let logins = [
            ("login/a".to_owned(), json!([1, 2.5, null])),
            ("login/b".to_owned(), json!({"key": "login/b"})),
        ];
        assert_eq!(record.kept("login/"), Ok(logins.to_vec()));
        record.keep("login/a", None).unwrap();
        assert_eq!(record.kept("login/"), Ok(logins[1..].to_vec()));
        assert_eq!(record.kept("").unwrap().len(), 4);
        assert_eq!(record.kept("other/ä").unwrap().len(), 1);
        assert_eq!(record.kept("x"), Ok(vec![]));
    });
}

#[test]
fn an_entry_keeps_values_with_whatever_else_is_in_it() {
    each(|record| {
        record.keep("bus/old", Some(&json!(1))).unwrap();
        let both = Entry {
            keep: vec![
                ("bus/new".to_owned(), Some(json!({"key": "x"}))),
                ("bus/old".to_owned(), None),
            ],
            ..entry(1, 9)
        };
        record.record(&[both]).unwrap();
        let kept = ("bus/new".to_owned(), json!({"key": "x"}));
        assert_eq!(record.kept("bus/"), Ok(vec![kept]));
        assert_eq!(record.answered(&answered(1).id), Ok(Some(answered(1))));
        assert_eq!(record.forgotten(), Ok(0));
    });
}

#[test]
fn texts_of_every_kind_come_back_as_they_were() {
    each(|record| {
        let mut odd = entry(1, 9);
        let text = "é € \u{1f600} \" \\ \n \u{0} '); DROP TABLE event; --";
        let (mut revision, topology) = odd.revision.take().unwrap();
        revision.reason = Some(text.to_owned());
        revision.author = text.to_owned();
        revision.diff = vec![text.to_owned(); 3];
        odd.revision = Some((revision.clone(), topology));
        odd.events = vec![Event::new(
            "host.up",
            text,
            json!({ text: [text, -1.5e300] }),
        )];
        let recorded = record.record(&[odd]).unwrap();
        assert_eq!(record.history(1), Ok(vec![revision]));
        assert_eq!(record.events(0, 1), Ok(recorded));
    });
}
