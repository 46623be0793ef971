//! The file of the journal: made, locked, and brought to the form that this version knows.
//! It must not know what the rows say.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, config::DbConfig, params};

use super::error::{Fault, OpenError};

/// The newest form of the tables that this program knows; the file's `user_version`.
pub(super) const VERSION: i64 = 1;
/// Tells our files from other SQLite databases: "Poin".
const APPLICATION: i64 = 0x506f_696e;
/// Only its owner: logins are in there.
const MODE: u32 = 0o600;
/// Every statement that there is, with room to spare.
const STATEMENTS: usize = 64;

/// A revision's text is `prefix` bytes from the beginning of the text before it, `middle`, and
/// `suffix` bytes from the end of the text before it. A snapshot takes nothing from before.
const TABLES: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE category (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE event (
        sequence INTEGER PRIMARY KEY, category_sequence INTEGER NOT NULL, time INTEGER NOT NULL,
        event TEXT NOT NULL
    ) STRICT;
    CREATE TABLE revision (
        revision INTEGER PRIMARY KEY, time INTEGER NOT NULL, author TEXT NOT NULL,
        door TEXT NOT NULL, reason TEXT, diff TEXT NOT NULL, snapshot INTEGER NOT NULL,
        digest INTEGER NOT NULL, prefix INTEGER NOT NULL, suffix INTEGER NOT NULL,
        middle TEXT NOT NULL
    ) STRICT;
    CREATE INDEX snapshot ON revision (revision) WHERE snapshot;
    CREATE TABLE command (
        number INTEGER PRIMARY KEY, sender TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL,
        answer TEXT NOT NULL, time INTEGER NOT NULL, UNIQUE (sender, id)
    ) STRICT;
    CREATE TABLE value (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

/// Why a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The program begins.
    First,
    /// A COMMIT failed.
    Again,
}

pub(super) fn open(path: &Path, start: Start) -> Result<Connection, OpenError> {
    begin(path, start).map_err(|fault| OpenError::new(path, fault))
}

fn begin(path: &Path, start: Start) -> Result<Connection, Fault> {
    if start == Start::First {
        create(path)?;
    }
    let mut connection = connect(path)?;
    let new = match version(&connection)? {
        Version::New => true,
        Version::Known => false,
        Version::Newer(found) => return Err(Fault::Newer(found)),
        Version::Foreign => return Err(Fault::Foreign),
    };
    if connection.is_readonly("main")? {
        return Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem).into());
    }
    tighten(path)?;
    prepare(&mut connection, new)?;
    settle(&connection, start)?;
    Ok(connection)
}

/// Makes the file, so that nobody else can read it for a moment even.
///
/// An existing file is not opened here: closing it again would end the locks that another
/// connection of this process has on it (fcntl(2), "record locks").
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(MODE).open(path) {
        Ok(_) => path.parent().map_or(Ok(()), |dir| {
            let dir = if dir.as_os_str().is_empty() {
                Path::new(".")
            } else {
                dir
            };
            File::open(dir)?.sync_all()
        }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Where SQLite keeps the log of the file at `path`.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// A log gets the mode of its file when it is made; one that is there keeps the mode it has.
fn tighten(path: &Path) -> io::Result<()> {
    for file in [path, &log_of(path)] {
        match fs::metadata(file) {
            Ok(metadata)
                if metadata.is_file() && metadata.permissions().mode() & 0o7777 != MODE =>
            {
                fs::set_permissions(file, Permissions::from_mode(MODE))?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A file of a newer version is to be left as it is when it is closed.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
    Ok(connection)
}

enum Version {
    New,
    Known,
    Newer(i64),
    Foreign,
}

fn version(connection: &Connection) -> rusqlite::Result<Version> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = connection.query_row(tables, [], |row| row.get(0))?;
    Ok(match (application, version) {
        (0, 0) if tables == 0 => Version::New,
        (APPLICATION, 1..=VERSION) => Version::Known,
        (APPLICATION, version) if version > VERSION => Version::Newer(version),
        _ => Version::Foreign,
    })
}

fn prepare(connection: &mut Connection, new: bool) -> Result<(), Fault> {
    let wal = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let mode = connection.pragma_update_and_check(None, "journal_mode", "WAL", wal)?;
    if mode != "wal" {
        return Err(io::Error::other("its file system does not bear a write-ahead log").into());
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A log that one large change blew up is cut back.
    connection.pragma_update_and_check(None, "journal_size_limit", 8 << 20, |_| Ok(()))?;
    // Takes the lock at once, and not with the first change.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    if new {
        transaction.execute_batch(TABLES)?;
        let epoch = format!("{:032x}", rand::random::<u128>());
        let insert = "INSERT INTO meta (key, value) VALUES ('epoch', ?1)";
        transaction.execute(insert, params![epoch])?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// Moves what the log holds into the file, and waits until it is on the disk.
///
/// A log whose fsync failed, or that a killed program left, can be read although a power cut would
/// still lose it. Nothing that is read from here on can be lost.
pub(super) fn settle(connection: &Connection, start: Start) -> rusqlite::Result<()> {
    let moved = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    match moved {
        // A balancer has to start with a full disk too; but what a failed COMMIT left is not to
        // be believed without.
        Err(error)
            if start == Start::First && error.sqlite_error_code() == Some(ErrorCode::DiskFull) =>
        {
            Ok(())
        }
        moved => moved,
    }
}
