//! What happens when the disk, the file or another process does not play along.
//! It must not leave a lock or a file behind.

use rusqlite::Connection;

use super::*;

fn refused(dir: &Path) -> String {
    Journal::open(dir, PLENTY).unwrap_err().to_string()
}

fn execute(journal: &Journal, sql: &str) {
    journal
        .read(|live| Ok(live.connection.execute_batch(sql)?))
        .unwrap();
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let dir = Dir::new();
    let mut journal = dir.open();
    let wanted = format!(
        "journal {} is in use by another process",
        dir.file().display()
    );
    assert_eq!(refused(&dir), wanted);
    journal.record(&[entry(1, 9)]).unwrap();
    assert_eq!(refused(&dir), wanted);
    assert!(journal.last().unwrap().is_some());
    drop(journal);
    assert!(dir.open().last().unwrap().is_some());
}

#[test]
fn a_newer_version_is_refused_and_left_alone() {
    let dir = Dir::new();
    let mut journal = dir.open();
    journal.record(&[entry(1, 9)]).unwrap();
    drop(journal);
    let connection = Connection::open(dir.file()).unwrap();
    connection.pragma_update(None, "user_version", 7).unwrap();
    drop(connection);
    let before = std::fs::read(dir.file()).unwrap();
    let told = refused(&dir);
    assert!(told.contains("is of version 7"), "{told}");
    assert!(told.ends_with("this one knows version 1"), "{told}");
    assert_eq!(std::fs::read(dir.file()).unwrap(), before);
}

#[test]
fn what_is_no_journal_is_refused_and_left_alone() {
    let dir = Dir::new();
    let text = "[node]\nname = \"lb1\"\n".repeat(100);
    std::fs::write(dir.file(), &text).unwrap();
    assert!(refused(&dir).ends_with("is no journal of Pointsman"));
    assert_eq!(std::fs::read_to_string(dir.file()).unwrap(), text);

    std::fs::remove_file(dir.file()).unwrap();
    let connection = Connection::open(dir.file()).unwrap();
    connection.execute_batch("CREATE TABLE t (a)").unwrap();
    drop(connection);
    let before = std::fs::read(dir.file()).unwrap();
    assert!(refused(&dir).ends_with("is no journal of Pointsman"));
    assert_eq!(std::fs::read(dir.file()).unwrap(), before);
}

#[test]
fn where_no_file_can_be_there_is_a_clear_error() {
    let dir = Dir::new();
    let missing = dir.join("missing");
    let path = missing.join(FILE).display().to_string();
    let told = refused(&missing);
    assert!(
        told.starts_with(&format!("cannot open journal {path}: No such file")),
        "{told}"
    );
    std::fs::write(&missing, "a file").unwrap();
    assert!(refused(&missing).contains("Not a directory"));

    std::fs::create_dir(dir.file()).unwrap();
    assert!(refused(&dir).starts_with("cannot open journal"));
    std::fs::remove_dir(dir.file()).unwrap();
    std::fs::create_dir(dir.join("journal.db-wal")).unwrap();
    assert!(refused(&dir).starts_with("cannot open journal"));
}

#[test]
fn a_full_disk_refuses_the_whole_record_and_leaves_the_rest() {
    let dir = Dir::new();
    let mut journal = dir.open();
    journal.record(&[entry(1, 100)]).unwrap();
    execute(&journal, "PRAGMA max_page_count = 40");
    let mut n = 2;
    let error = loop {
        match journal.record(&[entry(n, 100), entry(n + 1, 100)]) {
            Ok(_) => n += 2,
            Err(error) => break error,
        }
        assert!(n < 1000);
    };
    let RecordError::Refused(told) = &error else {
        panic!("{error}");
    };
    assert!(told.contains("database or disk is full"), "{told}");
    let kept = json!("x".repeat(200_000));
    assert!(journal.keep("k", Some(&kept)).is_err());
    assert_eq!(journal.kept(""), Ok(vec![]));
    let check = |journal: &Journal| {
        assert_eq!(
            journal.last().unwrap().unwrap().state.topology,
            topology(n - 1, 100)
        );
        assert_eq!(journal.last_sequence(), Ok(2 * n - 2));
        assert_eq!(journal.answered(&answered(n).id), Ok(None));
    };
    check(&journal);
    drop(journal);
    let mut journal = dir.open();
    check(&journal);
    assert_eq!(
        journal.record(&[entry(n, 100)]).unwrap()[0].sequence,
        2 * n - 1
    );
}

/// A constraint that is only looked at by COMMIT, of this connection alone.
const FAIL_AT_COMMIT: &str = "
    PRAGMA foreign_keys = ON;
    CREATE TEMP TABLE one (id INTEGER PRIMARY KEY);
    CREATE TEMP TABLE two (id REFERENCES one (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TEMP TRIGGER t AFTER INSERT ON main.event BEGIN INSERT INTO two VALUES (1); END;
    CREATE TEMP TRIGGER u AFTER INSERT ON main.value BEGIN INSERT INTO two VALUES (1); END;
";

#[test]
fn after_a_commit_that_failed_the_file_is_read_again() {
    let dir = Dir::new();
    let mut journal = dir.open();
    journal.record(&[entry(1, 9)]).unwrap();
    execute(&journal, FAIL_AT_COMMIT);
    let error = journal.record(&[entry(2, 9)]).unwrap_err();
    assert!(matches!(error, RecordError::Unknown(_)), "{error}");
    assert_eq!(journal.last().unwrap().unwrap().state.revision, 1);
    assert_eq!(journal.record(&[entry(2, 9)]).unwrap()[0].sequence, 3);

    execute(&journal, FAIL_AT_COMMIT);
    let error = journal.keep("k", Some(&json!(1))).unwrap_err();
    assert!(matches!(error, RecordError::Unknown(_)), "{error}");
    let other = Journal::open(&dir, PLENTY).unwrap();
    let told = journal.last().unwrap_err().to_string();
    assert!(told.contains("is in use by another process"), "{told}");
    assert!(matches!(
        journal.record(&[entry(3, 9)]),
        Err(RecordError::Refused(_))
    ));
    drop(other);
    assert_eq!(journal.last().unwrap().unwrap().state.revision, 2);
}

#[test]
fn another_journal_in_its_place_is_not_taken_for_it() {
    let dir = Dir::new();
    let mut journal = dir.open();
    execute(&journal, FAIL_AT_COMMIT);
    journal.record(&[entry(1, 9)]).unwrap_err();
    std::fs::remove_file(dir.file()).unwrap();
    assert!(journal.last().is_err());
    drop(dir.open());
    let told = journal.last().unwrap_err().to_string();
    assert!(
        told.ends_with("another journal stands in its place now"),
        "{told}"
    );
}

#[test]
fn a_revision_out_of_order_is_refused() {
    let dir = Dir::new();
    let mut journal = dir.open();
    journal.record(&[entry(5, 9)]).unwrap();
    for n in [5, 4] {
        let told = journal.record(&[entry(n, 9)]).unwrap_err().to_string();
        assert!(
            told.ends_with(&format!("revision {n} cannot come after revision 5")),
            "{told}"
        );
    }
    assert_eq!(journal.last_sequence(), Ok(2));
    journal.record(&[entry(6, 9)]).unwrap();
}

#[test]
fn a_damaged_file_gives_errors_and_no_panic() {
    let dir = Dir::new();
    let mut journal = dir.open();
    for n in 1..=30 {
        journal.record(&[entry(n, 30)]).unwrap();
    }
    journal
        .keep("login/1", Some(&json!({"user": "ada"})))
        .unwrap();
    drop(journal);
    let whole = std::fs::read(dir.file()).unwrap();
    let mut failed = 0;
    for round in 0..60 {
        let mut bytes = whole.clone();
        // Everything after a point, or a stretch in the middle.
        let from = rand::random_range(100..bytes.len());
        let to = if round % 2 == 0 {
            bytes.len()
        } else {
            (from + 3000).min(bytes.len())
        };
        bytes[from..to].fill_with(rand::random);
        std::fs::write(dir.file(), &bytes).unwrap();
        let opened = Journal::open(&dir, PLENTY);
        let told = opened.map_or_else(
            |error| Some(error.to_string()),
            |mut journal| {
                let mut errors = vec![journal.last().err(), journal.history(99).err()];
                errors.extend([journal.events(0, 99).err(), journal.kept("").err()]);
                for n in 1..=31 {
                    match journal.topology(n) {
                        Ok(found) => assert!(found.is_none_or(|found| found == topology(n, 30))),
                        Err(error) => errors.push(Some(error)),
                    }
                }
                errors.push(journal.record(&[entry(31, 30)]).err());
                errors
                    .into_iter()
                    .flatten()
                    .next()
                    .map(|error| error.to_string())
            },
        );
        failed += u32::from(told.is_some());
        let told = told.unwrap_or_default();
        assert!(!told.contains("ada"), "{told}");
        let _ = std::fs::remove_file(dir.join("journal.db-wal"));
    }
    assert!(failed > 30, "only {failed} were noticed");
}

#[test]
fn nothing_is_written_into_a_journal_that_was_removed_until_it_is_put_back() {
    let dir = Dir::new();
    let mut journal = dir.open();
    journal.record(&[entry(1, 9)]).unwrap();
    let aside = dir.join("aside");
    std::fs::rename(dir.file(), &aside).unwrap();
    for _ in 0..2 {
        let error = journal.record(&[entry(2, 9)]).unwrap_err();
        assert!(matches!(error, RecordError::Refused(_)), "{error:?}");
        assert!(
            error.to_string().contains("was removed or replaced"),
            "{error}"
        );
    }
    std::fs::write(dir.file(), "another").unwrap();
    assert!(journal.record(&[entry(2, 9)]).is_err());
    std::fs::rename(&aside, dir.file()).unwrap();
    journal.record(&[entry(2, 9)]).unwrap();
    drop(journal);
    assert_eq!(dir.open().last().unwrap().unwrap().state.revision, 2);
}

#[test]
fn a_log_that_is_removed_or_replaced_while_it_runs_takes_nothing_with_it() {
    let dir = Dir::new();
    let log = dir.join("journal.db-wal");
    let mut journal = dir.open();
    journal.record(&[entry(1, 9)]).unwrap();
    std::fs::remove_file(&log).unwrap();
    journal.record(&[entry(2, 9)]).unwrap();
    std::fs::rename(&log, dir.join("old")).unwrap();
    std::fs::write(&log, "another log\n".repeat(1000)).unwrap();
    journal.record(&[entry(3, 9)]).unwrap();
    assert!(log.exists());
    // As after a kill: what is found under the names that the next start knows.
    let copy = Dir::new();
    for name in [FILE, "journal.db-wal"] {
        std::fs::copy(dir.join(name), copy.join(name)).unwrap();
    }
    let found = copy.open();
    assert_eq!(
        found.last().unwrap().unwrap().state.topology,
        topology(3, 9)
    );
    assert_eq!(found.last_sequence(), journal.last_sequence());
    assert_eq!(found.history(9).unwrap().len(), 3);
}
