//! Connections that are logged in as the service account and wait for the next question.
//! It must not keep one so long that something in between may have forgotten it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::connection::Connection;

/// How long a connection waits at most.
const IDLE: Duration = Duration::from_secs(30);
/// How many wait.
const MOST: usize = 4;

struct Waiting {
    server: usize,
    since: Instant,
    connection: Connection,
}

/// Connections that wait. Each is used by one question at a time.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Waiting>>);

impl Pool {
    /// Takes one out that is logged in at this server and still open.
    pub(super) fn take(&self, server: usize) -> Option<Connection> {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pool.retain_mut(|waiting| waiting.since.elapsed() < IDLE && waiting.connection.is_open());
        let index = pool.iter().position(|waiting| waiting.server == server)?;
        Some(pool.swap_remove(index).connection)
    }

    /// Puts one in that is logged in and has nothing open; when there are enough, it is closed.
    pub(super) fn put(&self, server: usize, connection: Connection) {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < MOST {
            pool.push(Waiting {
                server,
                since: Instant::now(),
                connection,
            });
        }
    }
}
