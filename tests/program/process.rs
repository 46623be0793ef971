//! The program as a process: started, listened to, signalled, and its end waited for.
//! It must not outlive its test, and no wait is longer than that of `eventually!`.

use std::{
    fs,
    io::Read,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{eventually, support};

/// A file of its own for each test; gone when dropped.
pub(super) struct File(PathBuf);

impl File {
    pub(super) fn with(text: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}.toml", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A configuration of one service on a port that the system chooses, with `node` in its
/// `[node]`.
pub(super) fn config(node: &str, hosts: &[SocketAddr]) -> String {
    listening_on("127.0.0.1:0", node, hosts)
}

/// The same, on an address.
pub(super) fn listening_on(address: &str, node: &str, hosts: &[SocketAddr]) -> String {
    format!("[node]\n{node}\n") + &support::service("web", &[address], hosts, "")
}

/// The program, with nothing of ours in its environment that it heeds.
pub(super) fn pointsman(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(arguments);
    command.env_remove("RUST_LOG").env_remove("NO_COLOR");
    command
        .env_remove("RUNTIME_DIRECTORY")
        .env("STATE_DIRECTORY", state_dir());
    command
}

/// A directory that no other program has.
fn state_dir() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!(
        "state-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Relaxed)
    );
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The running program. It is killed when this is dropped.
pub(super) struct Program {
    child: Child,
    out: Heard,
    err: Heard,
    /// Read at the start, and to be there until the end.
    _file: Option<File>,
}

impl Program {
    /// `pointsman run` with a configuration.
    pub(super) fn run(config: &str) -> Self {
        Self::run_with(config, &[])
    }

    /// The same, with `options` before it.
    pub(super) fn run_with(config: &str, options: &[&str]) -> Self {
        let file = File::with(config);
        let mut command = pointsman(options);
        command.args(["run", file.path()]);
        let mut program = Self::start(command);
        program._file = Some(file);
        program
    }

    pub(super) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = Heard::from(child.stdout.take().unwrap());
        let err = Heard::from(child.stderr.take().unwrap());
        Self {
            child,
            out,
            err,
            _file: None,
        }
    }

    /// What it has written to standard output.
    pub(super) fn said(&self) -> String {
        self.out.text()
    }

    /// What it has written to standard error.
    pub(super) fn complained(&self) -> String {
        self.err.text()
    }

    /// Where it listens, once it does.
    pub(super) async fn address(&self) -> SocketAddr {
        self.hears("listening").await;
        let log = self.complained();
        let line = log.lines().find(|line| line.contains("listening")).unwrap();
        let (_, address) = line.rsplit_once("address").unwrap();
        let address = address.trim_start_matches(['=', ':', '"']);
        let end = address.find(['"', ',']).unwrap_or(address.len());
        address[..end].trim().parse().unwrap()
    }

    /// Waits until `words` are in a whole line of standard error.
    pub(super) async fn hears(&self, words: &str) {
        eventually!({
            let log = self.complained();
            let whole = log.rfind('\n').map_or("", |end| &log[..end]);
            whole.contains(words)
        });
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; returns its exit code. It has not panicked, whatever happened.
    pub(super) async fn end(&mut self) -> i32 {
        let status = self.status().await;
        self.out.finish();
        self.err.finish();
        let log = self.complained();
        assert!(!log.contains("panicked"), "{log}");
        let code = status.code();
        code.unwrap_or_else(|| panic!("ended by a signal: {status}\n{log}"))
    }

    async fn status(&mut self) -> ExitStatus {
        eventually!(self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !thread::panicking() {
            let log = self.complained();
            assert!(!log.contains("panicked"), "{log}");
        }
    }
}

/// What came through a pipe so far.
struct Heard {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Heard {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let heard = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                heard.lock().unwrap().extend_from_slice(&buffer[..read]);
            }
        });
        Self {
            bytes,
            reader: Some(reader),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}
