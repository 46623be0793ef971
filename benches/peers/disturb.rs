//! What a node has to do besides while it is measured: changes of its configuration.
//! It must not go on when the node has gone.

use crate::contestant::pause;
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// How often something is changed: 50 times a second.
const EVERY: Duration = Duration::from_millis(20);

/// Changes a host's weight again and again, until dropped.
pub(crate) struct Changes {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    began: Instant,
    name: String,
}

impl Changes {
    /// Begins to change what listens to commands at `socket`.
    pub(crate) fn begin(name: &str, socket: PathBuf) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (its_stop, its_done) = (Arc::clone(&stop), Arc::clone(&done));
        thread::spawn(move || {
            // The node may have ended: then there is nothing left to disturb.
            let _ = change(&socket, &its_stop, &its_done);
        });
        Self {
            stop,
            done,
            began: Instant::now(),
            name: name.to_owned(),
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let rate = self.done.load(Relaxed) as f64 / self.began.elapsed().as_secs_f64();
        eprintln!("peers: {} was changed {rate:.0} times a second", self.name);
    }
}

fn change(socket: &Path, stop: &AtomicBool, done: &AtomicU64) -> io::Result<()> {
    let mut stream = BufReader::new(UnixStream::connect(socket)?);
    stream
        .get_ref()
        .set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut due = Instant::now();
    for number in 0_u64.. {
        if stop.load(Relaxed) {
            break;
        }
        let weight = 1 + number % 2;
        let body = format!(
            r#"{{"command":"set-weight","host":"web/all/w1","weight":{weight},"reason":"bench"}}"#
        );
        let length = body.len();
        let request = format!(
            "POST /v1/commands HTTP/1.1\r\nhost: pm\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.get_mut().write_all(request.as_bytes())?;
        if answer(&mut stream)?.contains(r#""ok":true"#) {
            done.fetch_add(1, Relaxed);
        }
        due += EVERY;
        pause(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

fn answer(stream: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}
