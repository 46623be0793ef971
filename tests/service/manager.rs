//! A service manager as far as the program sees it: the socket that it is notified over.

use std::{
    env, fs, io,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use crate::node::Node;

/// Listens to one service. Its socket goes when it is dropped.
pub(super) struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    heard: Vec<Heard>,
}

/// A message, and when it came.
pub(super) struct Heard {
    pub(super) text: String,
    pub(super) at: Instant,
}

impl Heard {
    /// The value of a variable in it.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut lines = self.text.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }
}

impl Manager {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "notify-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Relaxed)
        );
        // Not below the target directory: the path of a socket is 107 bytes at most.
        let path = env::temp_dir().join(name);
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            socket,
            path,
            heard: Vec::new(),
        }
    }

    /// Has `node` find us when it starts next, with a watchdog that bites after `watchdog`.
    pub(super) fn runs(&self, node: &mut Node, watchdog: Option<Duration>) {
        let path = self.path.to_str().unwrap().to_owned();
        node.environment.push(("NOTIFY_SOCKET".to_owned(), path));
        if let Some(period) = watchdog {
            let micros = period.as_micros().to_string();
            node.environment.push(("WATCHDOG_USEC".to_owned(), micros));
        }
    }

    /// Everything that was heard so far.
    pub(super) fn heard(&mut self) -> &[Heard] {
        let mut buffer = [0; 4096];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) => self.heard.push(Heard {
                    text: String::from_utf8(buffer[..length].to_vec()).unwrap(),
                    at: Instant::now(),
                }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return &self.heard,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Those messages in which `variable` is set, with its value.
    pub(super) fn told(&mut self, variable: &str) -> Vec<String> {
        let heard = self.heard().iter();
        let values = heard.filter_map(|heard| heard.get(variable));
        values.map(str::to_owned).collect()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
