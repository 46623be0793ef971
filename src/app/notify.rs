//! What the service manager is told of this process: the protocol of sd_notify(3).
//! It must not keep anything from running because nobody listens.

use std::{
    env,
    ffi::OsStr,
    io,
    os::unix::{ffi::OsStrExt, net::UnixDatagram},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use rustix::{
    net::{SendFlags, SocketAddrUnix, sendto},
    time::{ClockId, clock_gettime},
};

/// How long a service manager that does not read may hold us up with what it has to know.
const PATIENCE: Duration = Duration::from_secs(1);
/// What is asked for beside the time that sessions have to end.
const MARGIN: Duration = Duration::from_secs(15);

/// The way to the service manager, where there is one. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Notify(Option<Arc<Manager>>);

#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddrUnix,
    /// Another process speaks for the service by now.
    hushed: AtomicBool,
}

impl Notify {
    /// The one that `$NOTIFY_SOCKET` names.
    pub(super) fn from_environment() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET") else {
            return Self::default();
        };
        match Manager::at(&name) {
            Ok(manager) => Self(Some(Arc::new(manager))),
            Err(error) => {
                tracing::warn!(?name, %error, "the service manager cannot be told anything");
                Self::default()
            }
        }
    }

    /// Whether there is anybody to be told.
    pub(super) fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// We do what we are here for; after [`Self::reloading`], again.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// The same, from a process that takes the place of the one that was started.
    pub(super) fn ready_in_place_of_another(&self) {
        self.tell(&format!("MAINPID={}\nREADY=1", std::process::id()));
    }

    /// The process `id` is the service from now on, and it alone speaks for it.
    pub(super) fn give_way_to(&self, id: u32) {
        self.tell(&format!("MAINPID={id}"));
        if let Some(manager) = &self.0 {
            manager.hushed.store(true, Relaxed);
        }
    }

    /// The file is being taken in. A manager that asked for it compares the time with its own.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// We are about to end, which may take `patience`.
    pub(super) fn stopping(&self, patience: Duration) {
        let micros = (patience + MARGIN).as_micros();
        self.tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={micros}"));
    }

    /// How things are, in a line for people.
    pub(super) fn status(&self, line: &str) {
        self.mention(&format!("STATUS={line}"));
    }

    /// We are alive.
    pub(super) fn watchdog(&self) {
        self.mention("WATCHDOG=1");
    }

    /// What the manager has to know: it may take its time.
    fn tell(&self, message: &str) {
        self.send(message, SendFlags::empty());
    }

    /// What is said again and again: whoever does not read it does not hold us up.
    fn mention(&self, message: &str) {
        self.send(message, SendFlags::DONTWAIT);
    }

    fn send(&self, message: &str, flags: SendFlags) {
        let manager = self.0.as_ref();
        let Some(manager) = manager.filter(|manager| !manager.hushed.load(Relaxed)) else {
            return;
        };
        let sent = sendto(&manager.socket, message.as_bytes(), flags, &manager.address);
        if let Err(error) = sent {
            tracing::debug!(%error, message, "the service manager was not told");
        }
    }
}

impl Manager {
    fn at(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'/', ..] => SocketAddrUnix::new(name)?,
            // Linux's sockets without a file: unix(7), "Abstract".
            [b'@', rest @ ..] => SocketAddrUnix::new_abstract_name(rest)?,
            _ => return Err(io::Error::other("it begins with neither / nor @")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let hushed = AtomicBool::new(false);
        Ok(Self {
            socket,
            address,
            hushed,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};

    use super::*;

    fn heard(name: &OsStr, listener: &UnixDatagram) {
        let notify = Notify(Some(Arc::new(Manager::at(name).unwrap())));
        notify.status("all is well");
        let mut buffer = [0; 100];
        let length = listener.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"STATUS=all is well");
    }

    #[test]
    fn a_manager_is_found_by_a_path_and_by_an_abstract_name() {
        let path = env::temp_dir().join(format!("notify-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        heard(path.as_os_str(), &UnixDatagram::bind(&path).unwrap());
        std::fs::remove_file(&path).unwrap();

        let name = format!("pointsman-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        heard(OsStr::new(&format!("@{name}")), &listener);
        assert!(Manager::at(OsStr::new("vsock:2:1234")).is_err());
    }

    #[test]
    fn nobody_listening_is_no_reason_to_fail() {
        Notify::default().ready();
        let gone = Manager::at(OsStr::new("/nonexistent/notify")).unwrap();
        Notify(Some(Arc::new(gone))).ready();
    }
}
