//! What stays over a restart, and what goes when there is too much.
//! It must not ask for more than `Keep` promises.

use std::os::unix::fs::PermissionsExt;

use super::*;

const SMALL: Keep = Keep {
    events: 30,
    revisions: 20,
};

fn count(journal: &Journal, table: &str) -> u64 {
    let sql = format!("SELECT count(*) FROM {table}");
    let count = |live: &mut Live| {
        Ok(live
            .connection
            .query_row(&sql, [], |row| row.get::<_, i64>(0))?)
    };
    journal.read(count).unwrap() as u64
}

#[test]
fn a_journal_opened_again_is_the_same() {
    let dir = Dir::new();
    let mut journal = dir.open();
    for n in 1..=20 {
        journal.record(&[entry(n, 50)]).unwrap();
    }
    let mut waiting = entry(21, 50);
    waiting.jobs = Some(pending(20));
    journal.record(&[waiting]).unwrap();
    journal.keep("login/1", Some(&json!("x"))).unwrap();
    let seen = |journal: &Journal| {
        let topologies: Vec<_> = (1..=22).map(|n| journal.topology(n)).collect();
        let events = (journal.events(0, 100), journal.last_sequence());
        let rest = (journal.epoch(), journal.last(), journal.history(100));
        (
            topologies,
            events,
            rest,
            journal.kept(""),
            journal.answered(&answered(7).id),
        )
    };
    let before = seen(&journal);
    drop(journal);
    let mut journal = dir.open();
    assert_eq!(seen(&journal), before);
    let next = journal.record(&[entry(22, 50)]).unwrap();
    assert_eq!((next[0].sequence, next[0].category_sequence), (43, 22));
    assert_ne!(Dir::new().open().epoch(), journal.epoch());
}

#[test]
fn only_the_owner_can_read_the_files() {
    let dir = Dir::new();
    let mode = |name: &str| {
        let metadata = std::fs::metadata(dir.join(name)).unwrap();
        metadata.permissions().mode() & 0o7777
    };
    let mut journal = dir.open();
    journal.record(&[entry(1, 9)]).unwrap();
    assert_eq!((mode("journal.db"), mode("journal.db-wal")), (0o600, 0o600));
    drop(journal);
    std::fs::set_permissions(dir.file(), PermissionsExt::from_mode(0o644)).unwrap();
    let _journal = dir.open();
    assert_eq!((mode("journal.db"), mode("journal.db-wal")), (0o600, 0o600));
}

#[test]
fn surplus_goes_and_what_is_wanted_stays_over_restarts() {
    let dir = Dir::new();
    for round in 0..4 {
        let mut journal = Journal::open(&dir, SMALL).unwrap();
        for n in round * 50 + 1..=round * 50 + 50 {
            let recorded = journal.record(&[entry(n, 30)]).unwrap();
            assert_eq!(recorded[1].sequence, 2 * n);
            let kept = journal.events(0, 1000).unwrap();
            assert_eq!(kept.len() as u64, SMALL.events.min(2 * n));
            assert!(
                kept.windows(2)
                    .all(|pair| pair[1].sequence == pair[0].sequence + 1)
            );
            for back in 0..SMALL.revisions.min(n) {
                let old = n - back;
                assert_eq!(
                    journal.topology(old),
                    Ok(Some(topology(old, 30))),
                    "{old} at {n}"
                );
            }
            // One chain more than wanted, at most.
            assert!(count(&journal, "revision") <= SMALL.revisions + 16);
        }
        assert_eq!(
            journal.topology(1),
            if round == 0 {
                journal.topology(1)
            } else {
                Ok(None)
            }
        );
    }
}

#[test]
fn what_a_pending_change_would_restore_is_kept() {
    let dir = Dir::new();
    let mut journal = Journal::open(&dir, SMALL).unwrap();
    let mut waiting = entry(6, 30);
    waiting.jobs = Some(pending(5));
    for n in 1..=5 {
        journal.record(&[entry(n, 30)]).unwrap();
    }
    journal.record(&[waiting]).unwrap();
    for n in 7..=100 {
        journal.record(&[entry(n, 30)]).unwrap();
    }
    assert_eq!(journal.topology(5), Ok(Some(topology(5, 30))));
    let mut confirmed = entry(101, 30);
    confirmed.jobs = Some(Jobs::default());
    journal.record(&[confirmed]).unwrap();
    journal.record(&[entry(102, 30)]).unwrap();
    assert_eq!(journal.topology(5), Ok(None));
}

#[test]
fn a_journal_that_keeps_nothing_keeps_the_current_revision() {
    let dir = Dir::new();
    let nothing = Keep {
        events: 0,
        revisions: 0,
    };
    for n in 1..=40 {
        let mut journal = Journal::open(&dir, nothing).unwrap();
        let recorded = journal.record(&[entry(n, 30)]).unwrap();
        assert_eq!(recorded[1].sequence, 2 * n);
        assert_eq!(journal.events(0, 10), Ok(vec![]));
        assert_eq!(
            journal.last().unwrap().unwrap().state.topology,
            topology(n, 30)
        );
    }
}

#[test]
fn a_large_surplus_goes_little_by_little() {
    let dir = Dir::new();
    let mut journal = dir.open();
    for n in 0..10 {
        let entries: Vec<_> = (1..=50).map(|i| entry(n * 50 + i, 30)).collect();
        journal.record(&entries).unwrap();
        journal.record(&[events("host.up", 500)]).unwrap();
    }
    drop(journal);
    let mut journal = Journal::open(&dir, SMALL).unwrap();
    let mut before = count(&journal, "event");
    for n in 501..=520 {
        journal.record(&[entry(n, 30)]).unwrap();
        let after = count(&journal, "event");
        assert!(before - after.min(before) <= 520, "{before} to {after}");
        before = after;
    }
    assert_eq!(before, SMALL.events);
    assert!(count(&journal, "revision") <= SMALL.revisions + 16);
}

#[test]
fn answers_are_kept_for_a_day_and_up_to_a_number() {
    let dir = Dir::new();
    let mut journal = dir.open();
    let day = 24 * 60 * 60 * 1000;
    let at = |n, time| Entry {
        time,
        answered: Some(answered(n)),
        ..Entry::default()
    };
    journal.record(&[at(1, 1000), at(2, 2000)]).unwrap();
    journal.record(&[at(3, day + 1000)]).unwrap();
    assert_eq!(journal.answered(&answered(1).id), Ok(Some(answered(1))));
    assert_eq!(journal.forgotten(), Ok(0));
    journal.record(&[at(4, day + 1001)]).unwrap();
    assert_eq!(journal.forgotten(), Ok(1000));
    assert_eq!(journal.answered(&answered(1).id), Ok(None));
    assert_eq!(journal.answered(&answered(2).id), Ok(Some(answered(2))));

    let sql = format!(
        "UPDATE command SET number = number + {}",
        prune::ANSWERS - 1
    );
    journal
        .read(|live| Ok(live.connection.execute(&sql, [])?))
        .unwrap();
    let sql = "INSERT INTO command (number, sender, id, digest, answer, time)
        VALUES (1, 's', 'old', x'', '', 1000000000)";
    journal
        .read(|live| Ok(live.connection.execute(sql, [])?))
        .unwrap();
    journal.record(&[at(5, day + 1002)]).unwrap();
    assert_eq!(count(&journal, "command"), 4);
    assert_eq!(
        journal.answered(&("s".to_owned(), "old".to_owned())),
        Ok(None)
    );
    assert_eq!(journal.forgotten(), Ok(1_000_000_000));
    journal.record(&[at(6, 2 * day + 3000)]).unwrap();
    drop(journal);
    assert_eq!(dir.open().forgotten(), Ok(1_000_000_000));
}

#[test]
fn one_change_in_a_thousand_hosts_takes_little_room() {
    let dir = Dir::new();
    let mut journal = dir.open();
    for n in 1..=160 {
        journal.record(&[entry(n, 1000)]).unwrap();
    }
    let sql = "SELECT sum(length(middle)), count(*) FILTER (WHERE snapshot) FROM revision";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let read = |live: &mut Live| Ok(live.connection.query_row(sql, [], row)?);
    let (bytes, snapshots) = journal.read(read).unwrap();
    let whole = serde_json::to_string(&topology(1, 1000)).unwrap().len() as i64;
    assert_eq!(snapshots, 10);
    assert!(bytes < 11 * whole, "{bytes} bytes, {whole} for one");
}
