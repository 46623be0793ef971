//! Unix sockets, as the data plane listens on them and connects to them; what is said over them is
//! no business of this file. It must not take the place of a socket that somebody answers on.

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, MetadataExt},
    },
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use rustix::{
    fs::{Mode, chmod},
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, getsockname, listen,
        socket_with, sockopt as options,
    },
};

use crate::model::{address::UnixPath, topology::UnixMode};

/// The file of a socket that we listen on. Dropped, it is removed, if it is still ours.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: UnixPath,
    identity: (u64, u64),
    /// Whether no other process has taken it over, or may take it back.
    ours: AtomicBool,
}

/// A socket that listens at `path`, and its file. A socket that nobody answers on is replaced.
///
/// # Errors
/// When somebody answers there, when there is something else, or when the system refuses.
pub(super) fn listening(
    path: &UnixPath,
    backlog: i32,
    mode: UnixMode,
) -> io::Result<(OwnedFd, SocketFile)> {
    let address = SocketAddrUnix::new(path.path())?;
    clear(path, &address)?;
    let fd = new_socket()?;
    bind(&fd, &address)?;
    let file = SocketFile::at(path, true)?;
    // Nobody can connect before `listen`, so there is no moment with other rights.
    file.permit(mode)?;
    listen(&fd, backlog)?;
    Ok((fd, file))
}

/// The file of a socket at `path` that another process has bound and hands to us.
///
/// # Errors
/// When it is no Unix socket that listens, or has lost its file.
pub(super) fn inherited(fd: &OwnedFd, path: &UnixPath) -> io::Result<SocketFile> {
    let is_ours = options::socket_acceptconn(fd)?
        && SocketAddrUnix::try_from(getsockname(fd)?)? == SocketAddrUnix::new(path.path())?;
    if !is_ours {
        return Err(io::Error::other("it is no Unix socket that listens there"));
    }
    if !fs::symlink_metadata(path.path())?.file_type().is_socket() {
        return Err(io::Error::other(
            "there is something else in the place of its file",
        ));
    }
    rustix::io::ioctl_fionbio(fd, true)?;
    SocketFile::at(path, false)
}

/// Begins to connect to `path`. A Unix socket connects at once or not at all.
///
/// # Errors
/// When nobody answers there, or not soon enough to have room for another.
pub(super) fn connecting(path: &UnixPath) -> io::Result<OwnedFd> {
    let fd = new_socket()?;
    match connect(&fd, &SocketAddrUnix::new(path.path())?) {
        Ok(()) => Ok(fd),
        // Of other sockets this would be this machine's trouble; of this one it is the host's.
        Err(Errno::AGAIN) => Err(io::Error::other("its backlog is full")),
        Err(error) => Err(error.into()),
    }
}

impl SocketFile {
    fn at(path: &UnixPath, ours: bool) -> io::Result<Self> {
        let found = fs::symlink_metadata(path.path())?;
        Ok(Self {
            path: path.clone(),
            identity: (found.dev(), found.ino()),
            ours: AtomicBool::new(ours),
        })
    }

    /// Whether it is removed with the listener.
    pub(super) fn answer_for(&self, ours: bool) {
        self.ours.store(ours, Relaxed);
    }

    /// Lets those connect whom `mode` says.
    ///
    /// # Errors
    /// When the system refuses, or somebody has put another file in its place.
    pub(super) fn permit(&self, mode: UnixMode) -> io::Result<()> {
        if !self.is_there() {
            return Err(io::Error::other("its file was removed or replaced"));
        }
        Ok(chmod(self.path.path(), Mode::from_raw_mode(mode.get()))?)
    }

    /// Whether it is still this file that stands at its path.
    fn is_there(&self) -> bool {
        fs::symlink_metadata(self.path.path())
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !*self.ours.get_mut() {
            return;
        }
        if self.is_there()
            && let Err(error) = fs::remove_file(self.path.path())
        {
            tracing::warn!(socket = %self.path, %error, "cannot remove a socket");
        }
    }
}

/// Removes what a process left behind that is no more.
fn clear(path: &UnixPath, address: &SocketAddrUnix) -> io::Result<()> {
    match fs::symlink_metadata(path.path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(_) => {}
    }
    match connect(&new_socket()?, address) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path.path()),
        Err(Errno::NOENT) => Ok(()),
        // Whoever has a full backlog is there as well.
        Ok(()) | Err(Errno::AGAIN) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) => Err(error.into()),
    }
}

fn new_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}
