//! The journal of a process that is killed: everything that it acknowledged is there.
//! It must not wait for anything without an end.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use super::*;

/// Tells the test binary, run once more, that it is the process to be killed, and where it records.
const DIR: &str = "POINTSMAN_TEST_JOURNAL";
const KILLS: u64 = 50;
const HOSTS: u64 = 60;
/// Less than is recorded, so that there is pruning to be killed in.
const FEW: Keep = Keep {
    events: 50,
    revisions: 24,
};

/// Records until it is killed or the journal fails, and prints the last revision of each record.
#[test]
#[ignore = "the process that the others here start"]
fn records_in_a_loop() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let mut journal = Journal::open(Path::new(&dir), FEW).unwrap();
    let last = journal.last().unwrap();
    let mut n = last.map_or(0, |last| last.state.revision);
    let mut out = std::io::stdout();
    loop {
        let batch = 1 + n % 3;
        let entries: Vec<_> = (n + 1..=n + batch).map(|n| entry(n, HOSTS)).collect();
        n += batch;
        let told = match journal.record(&entries) {
            Ok(_) => format!("\nack {n}\n"),
            Err(error) => format!("\nend {error}\n"),
        };
        // In one piece, for a line to be whole or not there.
        out.write_all(told.as_bytes()).unwrap();
        out.flush().unwrap();
        if told.contains("end") {
            return;
        }
    }
}

/// Starts it below `dir`, under a limit on the size of files in blocks of 512 bytes.
fn start(dir: &Path, limit: &str) -> (Child, Receiver<String>) {
    let script = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$@\"");
    let mut child = Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "journal::tests::crash::records_in_a_loop"])
        .args(["--ignored", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    (child, lines)
}

/// The last revision acknowledged in `lines`.
fn acknowledged(lines: impl Iterator<Item = String>) -> Option<u64> {
    let number = |line: String| line.strip_prefix("ack ").map(|n| n.parse().unwrap());
    lines.filter_map(number).last()
}

/// Checks all of the journal, and gives its last revision.
fn check(dir: &Path) -> u64 {
    let journal = Journal::open(dir, FEW).unwrap();
    let Some(last) = journal.last().unwrap() else {
        assert_eq!(journal.last_sequence(), Ok(0));
        return 0;
    };
    let n = last.state.revision;
    assert_eq!(last.state.topology, topology(n, HOSTS));
    assert_eq!(last.file_digest, Some(vec![n as u8; 32]));
    assert_eq!(journal.last_sequence(), Ok(2 * n));
    let events = journal.events(0, usize::MAX).unwrap();
    assert_eq!(events.len() as u64, FEW.events.min(2 * n));
    for (event, sequence) in events.iter().rev().zip((0..=2 * n).rev()) {
        assert_eq!(
            (event.sequence, event.category_sequence),
            (sequence, sequence.div_ceil(2))
        );
    }
    for n in (n + 1).saturating_sub(FEW.revisions).max(1)..=n {
        assert_eq!(journal.topology(n), Ok(Some(topology(n, HOSTS))));
        assert_eq!(journal.answered(&answered(n).id), Ok(Some(answered(n))));
    }
    assert_eq!(journal.answered(&answered(n + 1).id), Ok(None));
    n
}

#[test]
fn whatever_was_acknowledged_outlives_a_kill_at_any_moment() {
    let dir = Dir::new();
    let mut before = 0;
    for round in 0..KILLS {
        let (mut child, lines) = start(&dir, "unlimited");
        let mut seen = Vec::new();
        // Some are killed while they begin, the others while they record.
        while round % 5 != 0 && !seen.iter().any(|line: &String| line.starts_with("ack")) {
            seen.push(lines.recv_timeout(Duration::from_secs(20)).unwrap());
        }
        let until = Duration::from_micros(rand::random_range(0..60_000));
        let end = std::time::Instant::now() + until;
        while let Some(left) = end.checked_duration_since(std::time::Instant::now()) {
            seen.extend(lines.recv_timeout(left));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let last = acknowledged(seen.into_iter().chain(lines)).unwrap_or(before);
        let found = check(&dir);
        let in_flight = last + 1 + last % 3;
        assert!(
            found == last || found == in_flight,
            "round {round}: acknowledged {last}, found {found}"
        );
        before = found;
    }
    println!("{KILLS} kills, {before} revisions");
    assert!(before > KILLS);
}

/// No kill shows this: what the system has not written yet outlives the process, and goes with the
/// power.
#[test]
fn nothing_is_acknowledged_before_the_disk_has_it() {
    const FULL: i64 = 2;
    let dir = Dir::new();
    let journal = dir.open();
    let setting = |live: &mut Live| {
        let value = |row: &rusqlite::Row<'_>| row.get(0);
        Ok(live
            .connection
            .pragma_query_value(None, "synchronous", value)?)
    };
    assert_eq!(journal.read(setting), Ok(FULL));
}

#[test]
fn a_disk_that_is_full_at_commit_loses_nothing_that_was_acknowledged() {
    let dir = Dir::new();
    let (mut child, lines) = start(&dir, "700");
    // More than fit onto it.
    let lines: Vec<_> = lines.iter().take(20_000).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    let end = lines.iter().find(|line| line.starts_with("end")).cloned();
    let end = end.unwrap_or_default();
    assert!(end.contains("it was recorded is not known"), "{end:?}");
    let last = acknowledged(lines.into_iter()).unwrap();
    let found = check(&dir);
    assert!(
        found == last || found == last + 1 + last % 3,
        "{last}, {found}"
    );
}
