//! The least that a proxy can do for a session, on bare epoll: the floor that the others stand on.
//! It must not be taken for a balancer: it has no limits, timeouts, counters or health, loses
//! resets and a client's last words, and waits for a receiver that is full while all others wait.

use rustix::{
    event::{
        PollFd, PollFlags,
        epoll::{self, CreateFlags, EventData, EventFlags},
        poll,
    },
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, accept_with,
        connect, recv, send, shutdown, socket_with, sockopt,
    },
};
use slab::Slab;
use std::{
    io,
    mem::MaybeUninit,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread,
};

const EVENTS: usize = 256;
const ACCEPTS: usize = 16;
const BLOCK: usize = 64 * 1024;
const LISTENER: u64 = u64::MAX;

/// One end of a session; the client's is `ends[0]`, the host's `ends[1]`.
struct End {
    socket: OwnedFd,
    watched: bool,
    /// Nothing more comes from it.
    ended: bool,
    /// Nothing more goes to it.
    shut: bool,
}

struct Session {
    ends: [End; 2],
    over: bool,
}

/// One thread's sessions.
struct Bare {
    epoll: OwnedFd,
    hosts: Vec<SocketAddr>,
    next: usize,
    sessions: Slab<Session>,
    /// Those to forget when all events of a waking have been seen.
    over: Vec<usize>,
    block: Vec<u8>,
}

/// Proxies from `port` on loopback to `hosts` in turn, until it is ended by a signal.
pub(crate) fn serve(threads: usize, port: u16, hosts: &[SocketAddr]) -> io::Result<()> {
    crate::raise_file_limit();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::NONBLOCK,
        None,
    )?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    sockopt::set_tcp_nodelay(&listener, true)?;
    rustix::net::bind(&listener, &address)?;
    rustix::net::listen(&listener, 4096)?;
    let listener = TcpListener::from(listener);
    thread::scope(|scope| {
        let loops: Vec<_> = (0..threads.max(1))
            .map(|_| scope.spawn(|| Bare::new(hosts)?.run(&listener)))
            .collect();
        let mut ends = loops.into_iter().map(|one| one.join());
        ends.try_for_each(|end| end.unwrap_or_else(|_| Err(io::Error::other("a thread panicked"))))
    })
}

impl Bare {
    fn new(hosts: &[SocketAddr]) -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            hosts: hosts.to_vec(),
            next: 0,
            sessions: Slab::new(),
            over: Vec::new(),
            block: vec![0; BLOCK],
        })
    }

    fn run(&mut self, listener: &TcpListener) -> io::Result<()> {
        let token = EventData::new_u64(LISTENER);
        epoll::add(&self.epoll, listener, token, EventFlags::IN)?;
        let mut events = [MaybeUninit::uninit(); EVENTS];
        loop {
            let (seen, _) = match epoll::wait(&self.epoll, &mut events, None) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            for event in seen.iter() {
                let (token, flags) = (event.data.u64(), event.flags);
                if token == LISTENER {
                    self.accept(listener.as_fd());
                } else {
                    let gone = EventFlags::RDHUP | EventFlags::HUP;
                    self.step(
                        (token >> 1) as usize,
                        (token & 1) as usize,
                        flags.intersects(gone),
                    );
                }
            }
            for index in self.over.drain(..) {
                self.sessions.try_remove(index);
            }
        }
    }

    fn accept(&mut self, listener: BorrowedFd) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        for _ in 0..ACCEPTS {
            let Ok(client) = accept_with(listener, flags) else {
                return;
            };
            let Ok(host) = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None) else {
                continue;
            };
            // The acknowledgement of the handshake rides on the request.
            let _ = sockopt::set_tcp_quickack(&host, false);
            self.next = (self.next + 1) % self.hosts.len();
            if !matches!(
                connect(&host, &self.hosts[self.next]),
                Ok(()) | Err(Errno::INPROGRESS)
            ) {
                continue;
            }
            let end = |socket| End {
                socket,
                watched: false,
                ended: false,
                shut: false,
            };
            let index = self.sessions.insert(Session {
                ends: [end(client), end(host)],
                over: false,
            });
            self.step(index, 0, false);
            self.watch(index, 1);
        }
    }

    /// Moves what has come from that end; `gone`: epoll said that its end comes with it.
    fn step(&mut self, index: usize, from: usize, gone: bool) {
        match self.relay(index, from, gone) {
            Ok(true) => {}
            Ok(false) => self.watch(index, from),
            Err(_) => self.end(index),
        }
    }

    /// Whether there is nothing more to wait for at that end.
    fn relay(&mut self, index: usize, from: usize, gone: bool) -> rustix::io::Result<bool> {
        let Some(session) = self.sessions.get_mut(index).filter(|s| !s.over) else {
            return Ok(true);
        };
        let [first, second] = &mut session.ends;
        let (source, target) = if from == 0 {
            (first, second)
        } else {
            (second, first)
        };
        if gone && target.ended {
            self.end(index);
            return Ok(true);
        }
        while !source.ended {
            let count = match recv(&source.socket, &mut self.block[..], RecvFlags::empty()) {
                Ok((count, _)) => count,
                Err(Errno::AGAIN) => return Ok(false),
                Err(other) => return Err(other),
            };
            let short = count < BLOCK;
            source.ended = count == 0 || (short && gone);
            let more = if source.ended {
                SendFlags::MORE
            } else {
                SendFlags::empty()
            };
            send_all(
                &target.socket,
                &self.block[..count],
                more | SendFlags::NOSIGNAL,
            )?;
            if short && !source.ended {
                return Ok(false);
            }
        }
        if target.ended {
            self.end(index);
        } else if !target.shut {
            target.shut = true;
            shutdown(&target.socket, Shutdown::Write)?;
        }
        Ok(true)
    }

    fn watch(&mut self, index: usize, side: usize) {
        let Some(session) = self.sessions.get_mut(index).filter(|s| !s.over) else {
            return;
        };
        let end = &mut session.ends[side];
        if !end.watched {
            end.watched = true;
            let token = EventData::new_u64((index as u64) << 1 | side as u64);
            let edge = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
            if epoll::add(&self.epoll, &end.socket, token, edge).is_err() {
                self.end(index);
            }
        }
    }

    fn end(&mut self, index: usize) {
        if let Some(session) = self.sessions.get_mut(index) {
            session.over = true;
            self.over.push(index);
        }
    }
}

/// Waits where the receiver is full.
fn send_all(socket: &OwnedFd, mut bytes: &[u8], flags: SendFlags) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match send(socket, bytes, flags) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::new(socket, PollFlags::OUT)], None)?;
            }
            Err(other) => return Err(other),
        }
    }
    Ok(())
}
