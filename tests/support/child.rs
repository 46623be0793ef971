//! A balancer in a process of its own, where its memory and its descriptors are its alone.
//!
//! A test file that uses it has a test `a_process_of_its_own`, ignored, that calls [`run`].

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const HOSTS: &str = "TEST_HOSTS";
const DESCRIPTORS: &str = "TEST_DESCRIPTORS";
/// What our lines begin with, among those of the test harness.
const MARK: char = '\u{bb}';

/// The running process. It ends when this is dropped.
pub struct Process {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

/// What the balancer in it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub active: u64,
    pub total: u64,
    pub out_of_resources: u64,
}

impl Process {
    /// Starts a balancer for `hosts` that may have no more than `descriptors`.
    pub fn start(hosts: &[SocketAddr], descriptors: u64) -> Self {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "a_process_of_its_own",
                "--ignored",
                "--nocapture",
            ])
            .env(HOSTS, hosts.join(" "))
            .env(DESCRIPTORS, descriptors.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let ask = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let address = answer(&mut answers).parse().unwrap();
        Self {
            child,
            ask,
            answers,
            address,
        }
    }

    pub fn counts(&mut self) -> Counts {
        writeln!(self.ask).unwrap();
        let line = answer(&mut self.answers);
        let mut numbers = line.split(' ').map(|number| number.parse().unwrap());
        let mut next = || numbers.next().unwrap();
        Counts {
            active: next(),
            total: next(),
            out_of_resources: next(),
        }
    }

    /// Bytes of memory that it occupies: what is resident.
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes: u64 = line
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        kilobytes * 1024
    }

    /// How many ends of pipes it has open.
    pub fn pipe_ends(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let is_pipe = |entry: &std::io::Result<std::fs::DirEntry>| {
            let target = std::fs::read_link(entry.as_ref().unwrap().path());
            target.is_ok_and(|target| target.to_string_lossy().starts_with("pipe:"))
        };
        open.filter(is_pipe).count()
    }

    /// How much processor time it has used, in ticks of a hundredth of a second.
    pub fn ticks(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = text.rsplit_once(')').unwrap();
        let mut times = fields.split(' ').skip(12);
        let mut next = || -> u64 { times.next().unwrap().parse().unwrap() };
        next() + next()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answer(answers: &mut impl BufRead) -> String {
    let mut line = String::new();
    while answers.read_line(&mut line).unwrap() > 0 {
        if let Some((_, said)) = line.trim_end().split_once(MARK) {
            return said.to_owned();
        }
        line.clear();
    }
    panic!("the process has ended");
}

/// Makes room for as many descriptors as the system allows, at most `most`.
pub fn allow_descriptors(most: u64) -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let allowed = maximum.map_or(most, |maximum| maximum.min(most));
    let current = Some(allowed);
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    allowed
}

/// What the process does: nothing, unless a [`Process`] has started it.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub fn run() {
    let Ok(hosts) = env::var(HOSTS) else { return };
    allow_descriptors(env::var(DESCRIPTORS).unwrap().parse().unwrap());
    let hosts: Vec<SocketAddr> = hosts.split(' ').map(|host| host.parse().unwrap()).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let (balancer, address) = super::balancer(&hosts, "");
    println!("{MARK}{address}");
    for _ in std::io::stdin().lines() {
        let status = super::status(&balancer);
        let lacking = super::refused(&balancer, "resources");
        let super::ServiceStatus { sessions, .. } = status;
        println!("{MARK}{} {} {lacking}", sessions.active, sessions.total);
    }
}
