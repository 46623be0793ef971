//! A node that answers as it is told, over HTTP on a Unix socket, and remembers what it was asked.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub line: String,
    pub head: String,
    pub body: String,
}

/// An HTTP status and what follows the head: `Content-Length` is added where it is not a stream.
pub type Answer = (u16, String);

pub struct FakeNode {
    pub folder: PathBuf,
    asked: Arc<Mutex<Vec<Asked>>>,
}

static FOLDERS: AtomicU32 = AtomicU32::new(0);

impl FakeNode {
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + 'static) -> Self {
        let node = Self::nowhere();
        let listener = UnixListener::bind(node.folder.join("admin.sock")).unwrap();
        let asked = Arc::clone(&node.asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &answer, &asked);
            }
        });
        node
    }

    /// One that does not listen.
    pub fn nowhere() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("pointsman-cli-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self {
            folder,
            asked: Arc::default(),
        }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The program, told to come here and to keep its things here.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        let way = format!("unix:{}", self.folder.join("admin.sock").display());
        command
            .args(arguments)
            .args(["--via", &way])
            .current_dir(&self.folder)
            .env("XDG_RUNTIME_DIR", &self.folder)
            .env("HOME", &self.folder)
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// As [`FakeNode::run`], with `input` on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn serve(stream: UnixStream, answer: &impl Fn(&Asked) -> Answer, asked: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut head, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut line).unwrap();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head += &header;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let question = Asked {
        line: line.trim().to_owned(),
        head,
        body: String::from_utf8(body).unwrap(),
    };
    let (status, text) = answer(&question);
    asked.lock().unwrap().push(question);
    let head = match line.starts_with("GET") {
        true => "Content-Type: text/event-stream\r\nConnection: close".to_owned(),
        false => format!("Content-Length: {}", text.len()),
    };
    let mut stream = stream;
    let _ = write!(stream, "HTTP/1.1 {status} X\r\n{head}\r\n\r\n{text}");
}
