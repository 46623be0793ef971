//! Another balancer as what is measured: one process that the caller has set up.
//! It must not be measured otherwise than ours.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long it may take to start under callgrind.
const STARTING: Duration = Duration::from_secs(30);
/// How long a connection takes, at most, to be passed on to the host.
const ARRIVING: Duration = Duration::from_millis(300);

/// A balancer that listens at `address` and has one host, at `host`.
pub(crate) struct Peer<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) host: SocketAddr,
    pub(crate) program: &'a str,
    pub(crate) arguments: &'a [&'a str],
}

impl Peer<'_> {
    /// Adds it to the command that runs it.
    pub(crate) fn add_to(&self, command: &mut Command) {
        command.arg(self.program).args(self.arguments);
    }

    /// Waits until it accepts, and takes from `host` what that has led to.
    pub(crate) fn wait(&self, host: &TcpListener, rest: fn(Duration)) -> io::Result<()> {
        let until = Instant::now() + STARTING;
        while let Err(error) = TcpStream::connect(self.address) {
            if Instant::now() > until {
                return Err(error);
            }
            rest(ARRIVING);
        }
        rest(ARRIVING);
        host.set_nonblocking(true)?;
        while host.accept().is_ok() {}
        host.set_nonblocking(false)
    }
}

/// Asks a process to end, so that what it has counted is written, and waits for that.
pub(crate) fn end(child: &mut Child, rest: fn(Duration)) -> io::Result<()> {
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let until = Instant::now() + STARTING;
    while child.try_wait()?.is_none() {
        if Instant::now() > until {
            return Err(io::Error::other("it does not end when asked to"));
        }
        // Asked again: under callgrind a signal is missed now and then.
        if let Some(process) = process {
            let _ = kill_process(process, Signal::TERM);
        }
        rest(ARRIVING);
    }
    Ok(())
}
