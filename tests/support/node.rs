//! A whole node as a process in a folder of its own, and the ways of asking it.
//! It must not look into the process: what a test knows, a client could have read.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::eventually;

/// What the tests log in with.
pub const PASSWORD: &str = "open sesame";

const FILE: &str = "pointsman.toml";

/// A node. It is killed when this is dropped, and its folder is removed.
pub struct Node {
    pub folder: PathBuf,
    /// What it finds in its environment, from its next start on.
    pub environment: Vec<(String, String)>,
    /// The program that it is.
    pub program: PathBuf,
    child: Option<Child>,
    starts: u32,
}

/// An HTTP status and the JSON that came with it.
pub type Reply = (u16, Value);

/// A hash of [`PASSWORD`] that costs next to nothing; always the same.
pub fn hash() -> &'static str {
    use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        let params = Params::new(8, 1, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password(PASSWORD.as_bytes()).unwrap();
        hash.to_string()
    })
}

/// The TOML of a local user.
pub fn user(name: &str, rights: &str) -> String {
    format!(
        "[[auth.user]]\nname = \"{name}\"\npassword_hash = \"{}\"\n{rights}\n\n",
        hash()
    )
}

impl Node {
    /// A node with `config` in its file, that answers.
    pub async fn start(config: &str) -> Self {
        let mut node = Self::prepare(config);
        node.up().await;
        node
    }

    /// A folder with `config` in its file, and no node yet.
    pub fn prepare(config: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("node-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let node = Self {
            folder,
            environment: Vec::new(),
            program: env!("CARGO_BIN_EXE_pointsman").into(),
            child: None,
            starts: 0,
        };
        node.write(config);
        node
    }

    /// Starts it, and waits until it answers.
    pub async fn up(&mut self) {
        self.spawn();
        eventually!({
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", self.log());
            self.get("/readyz").is_some_and(|status| status == 200)
        });
    }

    /// Starts it, and does not wait.
    pub fn spawn(&mut self) {
        self.spawn_with(None);
    }

    /// Starts it with the fault switch set, and waits until it answers.
    pub async fn up_with(&mut self, fault: &str) {
        self.spawn_with(Some(fault));
        eventually!(self.get("/readyz").is_some_and(|status| status == 200));
    }

    fn spawn_with(&mut self, fault: Option<&str>) {
        self.starts += 1;
        let log = File::create(self.log_path()).unwrap();
        let mut command = self.command(&["run", FILE]);
        command.envs(fault.map(|fault| ("POINTSMAN_FAULT", fault)));
        command.envs(self.environment.clone());
        let child = command.stderr(log).stdout(Stdio::null()).spawn();
        self.child = Some(child.unwrap());
    }

    /// Stops it as its operator would.
    pub async fn down(&mut self) {
        self.signal(Signal::TERM);
        self.ended().await;
    }

    /// Kills it as nobody should.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits for its end; returns its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        eventually!(child.try_wait().unwrap().is_some());
        child.wait().unwrap().code()
    }

    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().unwrap();
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// How much memory it has in use, in bytes.
    pub fn memory(&self) -> usize {
        self.bytes("VmRSS:")
    }

    /// How much memory it has had in use at most, in bytes.
    pub fn most_memory(&self) -> usize {
        self.bytes("VmHWM:")
    }

    /// What the system says of it in KiB, in bytes.
    fn bytes(&self, what: &str) -> usize {
        let id = self.child.as_ref().unwrap().id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what));
        let kib: usize = line
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap();
        kib * 1024
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join(format!("log-{}", self.starts))
    }

    /// What it has said since it was last started.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// What its file says.
    pub fn file(&self) -> String {
        fs::read_to_string(self.folder.join(FILE)).unwrap()
    }

    /// Edits its file by hand.
    pub fn write(&self, text: &str) {
        fs::write(self.folder.join(FILE), text).unwrap();
    }

    /// Replaces some words in its file by hand; they are there.
    pub fn edit(&self, from: &str, to: &str) {
        let text = self.file();
        assert!(text.contains(from), "{from:?} is not in {text}");
        self.write(&text.replace(from, to));
    }

    /// The names of what is in its folder, for what must not be left there.
    pub fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(&self.folder).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains("tmp")).collect()
    }

    /// The program in its folder, with nothing of ours in its environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.folder);
        for name in [
            "RUST_LOG",
            "NO_COLOR",
            "STATE_DIRECTORY",
            "RUNTIME_DIRECTORY",
        ] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    /// The command line as somebody who keeps their login in `home`.
    pub fn cli(&self, home: &str, arguments: &[&str]) -> Output {
        self.cli_with(home, arguments, "")
    }

    /// The same, with something on standard input.
    pub fn cli_with(&self, home: &str, arguments: &[&str], input: &str) -> Output {
        let home = self.folder.join(home);
        fs::create_dir_all(&home).unwrap();
        let mut command = self.command(arguments);
        command.args(["--via", "unix:pointsman-state/admin.sock", "--json"]);
        command.env("XDG_RUNTIME_DIR", &home).env("HOME", &home);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    fn socket(&self) -> Option<UnixStream> {
        UnixStream::connect(self.folder.join("pointsman-state/admin.sock")).ok()
    }

    /// A command over the Unix socket at another path; `None` when nobody is there.
    pub fn ask_at(&self, path: &str, command: &Value) -> Option<Reply> {
        let socket = UnixStream::connect(self.folder.join(path)).ok()?;
        exchange(socket, &post("pm", "/v1/commands", None, command))
    }

    /// Where its HTTP API listens since it was moved there last. The log is written in its own
    /// time: that it was moved there at all is waited for.
    #[expect(
        clippy::disallowed_methods,
        reason = "the node is another process, and nothing else runs here"
    )]
    pub fn http(&self) -> SocketAddr {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let log = self.log();
            let lines = log
                .lines()
                .filter(|line| line.contains("administrators may come in"));
            let mut words = lines.rev().flat_map(|line| line.split(' '));
            if let Some(address) = words.find_map(|word| word.strip_prefix("address=")) {
                return address.parse().unwrap();
            }
            assert!(Instant::now() < deadline, "nobody may come in: {log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where its first service listens.
    pub fn address(&self) -> SocketAddr {
        let status = self.done(json!({"command": "status"}));
        let address = &status["data"]["services"][0]["listen"][0];
        address.as_str().unwrap().parse().unwrap()
    }

    fn get(&self, path: &str) -> Option<u16> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: pm\r\nConnection: close\r\n\r\n");
        exchange(self.socket()?, &request).map(|(status, _)| status)
    }

    /// Posts to a path over the Unix socket.
    pub fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Reply {
        let request = post("pm", path, token, body);
        exchange(self.socket().unwrap(), &request).unwrap()
    }

    /// The same over TCP.
    pub fn post_http(&self, path: &str, token: Option<&str>, body: &Value) -> Reply {
        let address = self.http();
        let request = post(&address.to_string(), path, token, body);
        exchange(TcpStream::connect(address).unwrap(), &request).unwrap()
    }

    /// A command during which it ends.
    pub fn ask_the_last(&self, command: &Value) {
        let request = post("pm", "/v1/commands", None, command);
        assert!(exchange(self.socket().unwrap(), &request).is_none());
    }

    /// A command over the Unix socket without a login.
    pub fn ask(&self, command: Value) -> Value {
        self.post("/v1/commands", None, &command).1
    }

    /// A command that is carried out.
    pub fn done(&self, command: Value) -> Value {
        let answer = self.ask(command.clone());
        assert_eq!(answer["ok"], true, "{command}: {answer}");
        answer
    }

    /// A command that is refused; returns the code and the message.
    pub fn refused(&self, command: Value) -> (String, String) {
        let answer = self.ask(command.clone());
        assert_eq!(answer["ok"], false, "{command}: {answer}");
        let text = |key: &str| answer["error"][key].as_str().unwrap().to_owned();
        (text("code"), text("message"))
    }

    /// Logs in over the Unix socket; returns the token.
    pub fn login(&self, user: &str) -> String {
        let body = json!({"user": user, "password": PASSWORD});
        let (status, reply) = self.post("/v1/login", None, &body);
        assert_eq!(status, 200, "{reply}");
        reply["data"]["token"].as_str().unwrap().to_owned()
    }

    /// The services that run.
    pub fn shown(&self) -> Value {
        self.done(json!({"command": "show"}))["data"]["services"].clone()
    }

    /// The revision that runs.
    pub fn revision(&self) -> u64 {
        self.done(json!({"command": "whoami"}))["revision"]
            .as_u64()
            .unwrap()
    }

    /// Revisions, newest first.
    pub fn history(&self) -> Vec<Value> {
        let answer = self.done(json!({"command": "history"}));
        answer["data"]["revisions"].as_array().unwrap().clone()
    }

    /// Every event after a sequence number.
    pub fn events(&self, since: u64) -> Vec<Value> {
        let asked = json!({"command": "events", "since": since, "limit": 10_000});
        self.done(asked)["data"]["events"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// The data of every event of a kind, oldest first.
    pub fn told(&self, kind: &str) -> Vec<Value> {
        let kind = format!("pointsman.{kind}");
        let events = self.events(0).into_iter();
        let told = events.filter(|event| event["type"] == kind.as_str());
        told.map(|event| event["data"].clone()).collect()
    }

    /// The stream of events over the Unix socket.
    pub fn stream(&self, token: Option<&str>, last: Option<u64>) -> Stream {
        let mut socket = self.socket().unwrap();
        let mut head = "GET /v1/events HTTP/1.1\r\nHost: pm\r\n".to_owned();
        head += &authorization(token);
        if let Some(last) = last {
            head += &format!("Last-Event-ID: {last}\r\n");
        }
        socket.write_all((head + "\r\n").as_bytes()).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut stream = Stream(BufReader::new(socket));
        stream.line_with(": events follow").unwrap();
        stream
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        let log = self.log();
        let _ = fs::remove_dir_all(&self.folder);
        if !std::thread::panicking() {
            assert!(!log.contains("panicked"), "{log}");
        }
    }
}

/// Events as they come.
pub struct Stream(BufReader<UnixStream>);

impl Stream {
    /// The next event and its id; `None` at the end.
    pub fn next(&mut self) -> Option<(u64, Value)> {
        let id = self.line_with("id: ")?.parse().unwrap();
        let data = self.line_with("data: ")?;
        Some((id, serde_json::from_str(&data).unwrap()))
    }

    fn line_with(&mut self, start: &str) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(rest) = line.trim_end().strip_prefix(start) {
                return Some(rest.to_owned());
            }
        }
    }
}

fn authorization(token: Option<&str>) -> String {
    token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\r\n")
    })
}

/// The text of a request that posts.
pub fn post(host: &str, path: &str, token: Option<&str>, body: &Value) -> String {
    let (body, authorization) = (body.to_string(), authorization(token));
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n{authorization}\r\n{body}"
    )
}

/// Sends a request and reads its answer; `None` when there is none.
pub fn exchange(mut stream: impl Read + Write, request: &str) -> Option<Reply> {
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or_default()))
}
