//! Client and host of the balancer that is measured, one step after the other, and the measuring.
//! It must not let two things happen at once: what is counted is to be the same in each run.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::net::{SendFlags, send};

use crate::{
    peer::{self, Peer},
    record::Cost,
};

/// What a client asks, and what it is answered.
const QUESTION: [u8; 64] = [b'q'; 64];
const ANSWER: [u8; 1024] = [b'a'; 1024];
/// What announces a client, where that is asked for.
const HEADER: &[u8] = b"PROXY TCP4 127.0.0.1 127.0.0.1 40000 80\r\n";
/// How long each side waits for the balancer to be at rest, so that it finds one thing to do and
/// not now one, now two.
const REST: Duration = Duration::from_millis(2);
/// A step that takes longer has gone wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is done again and again.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    /// A connection: 64 bytes there, 1 KiB back, closed by the host.
    Connection,
    /// 1 KiB there and back over a session that is open.
    Message,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Message => "message",
        }
    }

    /// How many in the short run and in the long one.
    fn times(self) -> [u32; 2] {
        match self {
            Self::Connection => [200, 1200],
            Self::Message => [500, 3500],
        }
    }
}

/// Whom it is done with.
#[derive(Clone, Copy)]
pub(crate) enum Whose<'a> {
    /// Ours, with the features of the edge on, or off.
    Ours(bool),
    Theirs(&'a Peer<'a>),
}

impl Whose<'_> {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours(true) => "on",
            Self::Ours(false) => "off",
            Self::Theirs(_) => "theirs",
        }
    }
}

/// What keeps this from being measured here.
pub(crate) fn missing() -> Option<String> {
    let there = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    there.err().map(|error| format!("valgrind: {error}"))
}

/// What one operation costs. What callgrind wrote of the long run is left in `folder`.
pub(crate) fn measure(
    operation: Operation,
    whose: Whose<'_>,
    folder: Option<&Path>,
) -> Result<Cost, String> {
    let name = format!(
        "callgrind.{}.{}.{}",
        operation.name(),
        whose.name(),
        std::process::id()
    );
    let out = folder.map_or_else(env::temp_dir, Path::to_owned).join(name);
    let [few, many] = operation.times();
    let mut totals = Vec::new();
    for times in [few, many] {
        let done = run(operation, whose, times, &out).map_err(|e| e.to_string());
        totals.push(done.and_then(|()| total(&out))?);
    }
    if folder.is_none() {
        // One that stays does no harm.
        let _ = fs::remove_file(&out);
    }
    let [few_cost, many_cost] = totals.as_slice() else {
        return Err("two runs, and not two results".to_owned());
    };
    let each = |of: fn(&Cost) -> f64| (of(many_cost) - of(few_cost)) / f64::from(many - few);
    Ok(Cost {
        instructions: each(|cost| cost.instructions),
        calls: each(|cost| cost.calls),
    })
}

/// A balancer under callgrind, until dropped.
struct Subject(Child);

impl Drop for Subject {
    fn drop(&mut self) {
        // Only one that has not ended by itself is left to be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(operation: Operation, whose: Whose<'_>, times: u32, out: &Path) -> io::Result<()> {
    let host = TcpListener::bind(match whose {
        Whose::Ours(_) => SocketAddr::from(([127, 0, 0, 1], 0)),
        Whose::Theirs(peer) => peer.host,
    })?;
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--quiet", "--collect-systime=yes"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let (mut subject, balancer) = match whose {
        Whose::Ours(features) => ours(command, &host, features)?,
        Whose::Theirs(peer) => {
            peer.add_to(&mut command);
            let subject = Subject(command.spawn()?);
            peer.wait(&host, thread_rest)?;
            (subject, peer.address)
        }
    };
    let features = matches!(whose, Whose::Ours(true));
    match operation {
        Operation::Connection => {
            for _ in 0..times {
                connection(balancer, &host, features)?;
            }
        }
        Operation::Message => messages(balancer, &host, features, times)?,
    }
    drop(subject.0.stdin.take());
    if let Whose::Theirs(_) = whose {
        return peer::end(&mut subject.0, thread_rest);
    }
    let status = subject.0.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("the balancer: {status}")))
    }
}

/// Our balancer in front of `host`, and where it listens.
fn ours(
    mut command: Command,
    host: &TcpListener,
    features: bool,
) -> io::Result<(Subject, SocketAddr)> {
    command
        .arg(env::current_exe()?)
        .args(["subject", &host.local_addr()?.to_string()])
        .arg(if features { "on" } else { "off" });
    let mut subject = Subject(command.spawn()?);
    let stdout = subject.0.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let balancer = line.trim().parse().map_err(io::Error::other)?;
    Ok((subject, balancer))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is no data thread, and nothing tells that another process is at rest"
)]
fn thread_rest(length: Duration) {
    thread::sleep(length);
}

fn rest() {
    thread_rest(REST);
}

/// A session: the client's side and the host's, after the first question has arrived.
fn open(
    balancer: SocketAddr,
    host: &TcpListener,
    features: bool,
) -> io::Result<(TcpStream, TcpStream)> {
    let mut client = TcpStream::connect(balancer)?;
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(PATIENCE))?;
    let header = if features { HEADER } else { &[] };
    client.write_all(&[header, &QUESTION].concat())?;
    let (mut served, _) = host.accept()?;
    served.set_nodelay(true)?;
    served.set_read_timeout(Some(PATIENCE))?;
    // With features there is a header before it.
    let (mut asked, mut buffer) = (Vec::new(), [0; 512]);
    while !asked.ends_with(&QUESTION) {
        match served.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => asked.extend_from_slice(&buffer[..bytes]),
        }
    }
    Ok((client, served))
}

fn connection(balancer: SocketAddr, host: &TcpListener, features: bool) -> io::Result<()> {
    let (mut client, mut served) = open(balancer, host, features)?;
    rest();
    // The last bytes and the end in one segment.
    send(&served, &ANSWER, SendFlags::MORE)?;
    served.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer)?;
    if answer != ANSWER {
        return Err(io::Error::other("not the answer"));
    }
    rest();
    drop(client);
    // The end comes when the balancer has let go: the next one finds it at rest.
    served.read_to_end(&mut answer)?;
    rest();
    Ok(())
}

fn messages(
    balancer: SocketAddr,
    host: &TcpListener,
    features: bool,
    times: u32,
) -> io::Result<()> {
    let (mut client, mut served) = open(balancer, host, features)?;
    let mut message = ANSWER;
    for _ in 0..times {
        client.write_all(&message)?;
        served.read_exact(&mut message)?;
        served.write_all(&message)?;
        client.read_exact(&mut message)?;
    }
    Ok(())
}

/// Instructions and system calls of a whole run, by what callgrind wrote.
fn total(out: &Path) -> Result<Cost, String> {
    let text = fs::read_to_string(out).map_err(|e| format!("{}: {e}", out.display()))?;
    let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let find = || {
        let events = line("events: ")?.split_whitespace();
        let totals = line("totals: ")?.split_whitespace();
        let of = |event: &str| {
            let mut both = events.clone().zip(totals.clone());
            both.find(|(name, _)| *name == event)?.1.parse().ok()
        };
        Some(Cost {
            instructions: of("Ir")?,
            calls: of("sysCount")?,
        })
    };
    find().ok_or_else(|| format!("{} has no totals", out.display()))
}
