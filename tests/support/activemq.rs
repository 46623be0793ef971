//! A private ActiveMQ for tests, started by `integration/activemq`, gone with the tests.
//! It must not be shared with anything outside the test program.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use pointsman::stomp::{Client, Options, Trust};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::SecretString;

/// A broker. It is stopped when this is dropped, or when the test program ends in any way.
pub struct ActiveMq {
    pub folder: PathBuf,
    /// The script; it stops the broker when its standard input ends.
    script: Option<Child>,
    env: HashMap<String, String>,
}

impl ActiveMq {
    /// A broker of its own; `None`, with a line that says so, where there is no ActiveMQ and none
    /// is demanded.
    pub fn start() -> Option<Self> {
        if !Path::new("/usr/share/activemq/bin/activemq.jar").exists() {
            let demanded = std::env::var_os("REQUIRE_REAL").is_some_and(|value| value == "1");
            assert!(
                !demanded,
                "there is no ActiveMQ; integration/setup installs it"
            );
            println!("skipped: there is no ActiveMQ; integration/setup installs it");
            return None;
        }
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mq-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        let mut broker = Self {
            folder,
            script: None,
            env: HashMap::new(),
        };
        broker.up();
        Some(broker)
    }

    /// One for all tests of the program that do it no harm. It ends with the program.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<ActiveMq>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// Starts it, or starts it again with what it had stored; waits until it is up.
    pub fn up(&mut self) {
        self.down();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/activemq");
        let mut command = Command::new(script);
        command.arg("run").arg(&self.folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        self.script = Some(child);
        assert_eq!(line, "up\n", "see {}", self.folder.display());
        let env = fs::read_to_string(self.folder.join("env")).unwrap();
        let pairs = env.lines().filter_map(|line| line.split_once('='));
        self.env = pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
    }

    /// Stops it in order; what it has stored stays.
    pub fn down(&mut self) {
        if let Some(mut script) = self.script.take() {
            drop(script.stdin.take());
            let _ = script.wait();
        }
    }

    /// Sends its process a signal: STOP, CONT, KILL.
    pub fn signal(&self, signal: Signal) {
        let pid = fs::read_to_string(self.folder.join("pid")).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// A setting of its `env`, such as `CA_FILE`.
    pub fn env(&self, name: &str) -> &str {
        &self.env[name]
    }

    /// Where it is, in the clear.
    pub fn plain(&self) -> String {
        format!("stomp://127.0.0.1:{}", self.env("STOMP_PORT"))
    }

    /// Where it is, over TLS.
    pub fn tls(&self) -> String {
        format!("stomp+ssl://localhost:{}", self.env("STOMPS_PORT"))
    }

    /// Where it is, over TLS and for those with a certificate only.
    pub fn mutual(&self) -> String {
        format!("stomp+ssl://localhost:{}", self.env("MUTUAL_PORT"))
    }

    /// How `user` connects in the clear.
    pub fn options(&self, user: &str) -> Options {
        self.options_at(&self.plain(), user)
    }

    /// How `user` connects to `broker`, one of its own.
    pub fn options_at(&self, broker: &str, user: &str) -> Options {
        Options {
            login: Some(user.to_owned()),
            passcode: Some(SecretString::from(user)),
            trust: Trust {
                ca_file: Some(self.env("CA_FILE").into()),
                identity: None,
            },
            ..Options::new(vec![broker.parse().unwrap()])
        }
    }

    /// A client of `user` that is connected.
    pub async fn client(&self, user: &str) -> Client {
        let client = Client::open(self.options(user));
        client.up(std::time::Duration::from_secs(10)).await.unwrap();
        client
    }
}

impl Drop for ActiveMq {
    fn drop(&mut self) {
        self.down();
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}
