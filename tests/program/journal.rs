//! What the journal of systemd is given.

use std::{
    collections::HashMap,
    fs::{self, File as LogFile},
    os::{linux::fs::MetadataExt, unix::net::UnixDatagram},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

use super::{
    eventually,
    process::{File, config, pointsman},
    support::{echo, exchange, soon},
};

/// An entry, taken apart: fields of one line and those that have their length before them.
fn fields(mut entry: &[u8]) -> HashMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut found = HashMap::new();
    while let Some(end) = entry.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = (&entry[..end], &entry[end + 1..]);
        if let Some(equals) = line.iter().position(|byte| *byte == b'=') {
            found.insert(text(&line[..equals]), text(&line[equals + 1..]));
            entry = rest;
        } else {
            let length =
                usize::try_from(u64::from_le_bytes(rest[..8].try_into().unwrap())).unwrap();
            found.insert(text(line), text(&rest[8..8 + length]));
            entry = &rest[8 + length + 1..];
        }
    }
    found
}

#[tokio::test]
async fn the_journal_gets_entries_with_fields_where_systemd_reads_standard_error() {
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("journal-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let journal = UnixDatagram::bind(folder.join("socket")).unwrap();
    journal
        .set_read_timeout(Some(Duration::from_millis(10)))
        .unwrap();
    let errors = LogFile::create(folder.join("stderr")).unwrap();
    let metadata = errors.metadata().unwrap();
    let stream = format!("{}:{}", metadata.st_dev(), metadata.st_ino());
    let file = File::with(&config("access_log = true", &[echo().await]));
    let mut child = pointsman(&["run", file.path()])
        .env("POINTSMAN_JOURNAL", folder.join("socket"))
        .env("JOURNAL_STREAM", stream)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .unwrap();
    let mut entries: Vec<HashMap<String, String>> = Vec::new();
    let mut seen = |message: &str| {
        let mut buffer = vec![0; 65536];
        while let Ok(length) = journal.recv(&mut buffer) {
            entries.push(fields(&buffer[..length]));
        }
        let entry = entries.iter().find(|entry| entry["MESSAGE"] == message);
        entry.cloned()
    };
    eventually!(seen("listening").is_some());
    let listening = seen("listening").unwrap();
    assert_eq!(listening["PRIORITY"], "6");
    assert_eq!(listening["SYSLOG_IDENTIFIER"], "pointsman");
    assert_eq!(listening["POINTSMAN_SERVICE"], "web");
    let address = &listening["POINTSMAN_ADDRESS"];
    let mut client = soon(TcpStream::connect(address)).await.unwrap();
    exchange(&mut client, b"hello").await.unwrap();
    let local = client.local_addr().unwrap().to_string();
    drop(client);
    eventually!(seen("finished").is_some());
    let access = seen("finished").unwrap();
    for (field, value) in [
        ("POINTSMAN_TARGET", "pointsman::access"),
        ("POINTSMAN_CLIENT", &local),
        ("POINTSMAN_HOST", "web/blue/w1"),
        ("POINTSMAN_TO_HOST", "5"),
        ("POINTSMAN_BY", "both"),
    ] {
        assert_eq!(access[field], value, "{field}");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    eventually!(child.try_wait().unwrap().is_some());
    eventually!(seen("stopped").is_some());
    assert_eq!(fs::read_to_string(folder.join("stderr")).unwrap(), "");
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn without_a_journal_lines_go_to_standard_error_and_say_so() {
    let mut command = pointsman(&["demo", "--port", "0", "--for", "10ms", "--log", "journal"]);
    command.env("POINTSMAN_JOURNAL", "/nowhere/at/all");
    let mut program = super::process::Program::start(command);
    assert_eq!(program.end().await, 0);
    let log = program.complained();
    assert!(
        log.contains("there is no journal") && log.contains("stopped"),
        "{log}"
    );
}
