//! The Unix socket: a file that only some may open, and the kernel's word for who did.
//! It must not take the place of a socket that somebody answers on.

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use rustix::{
    fs::{Gid, Mode},
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
    },
};
use tokio::net::{UnixListener, UnixStream};

use super::{
    Api,
    caller::{Peer, Standing},
    guard::Guard,
    serve::{Accepts, serve},
    slots::Held,
};
use crate::model::principal::Door;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 256;

/// Why the socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process answers on it.
    #[error("admin.socket: {}: another process answers on this socket", .0.display())]
    InUse(PathBuf),
    /// There is a file, and it is no socket.
    #[error("admin.socket: {}: there is a file here that is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// No group of this name.
    #[error("there is no group {0:?} on this machine, which admin.socket_group names")]
    NoGroup(String),
    /// The system refused.
    #[error("admin.socket: cannot listen on {}: {}", .0.display(), .1)]
    Refused(PathBuf, io::Error),
}

/// The Unix socket, bound and listening. Dropped, its file is removed.
#[derive(Debug)]
pub struct SocketDoor {
    fd: Arc<OwnedFd>,
    file: File,
    /// Where the file is to be.
    wanted: PathBuf,
    group: Option<String>,
}

/// The file of a socket, as long as it is still the one that we made.
#[derive(Debug)]
struct File {
    path: PathBuf,
    identity: (u64, u64),
    /// It belongs to another process by now.
    left: Arc<AtomicBool>,
}

/// A socket that is open, as far as another process may inherit it.
#[derive(Clone, Debug)]
pub struct Heirloom {
    fd: Weak<OwnedFd>,
    left: Arc<AtomicBool>,
}

impl Heirloom {
    /// A descriptor of the socket, as long as that is open.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn duplicate(&self) -> io::Result<Option<OwnedFd>> {
        self.fd.upgrade().map(|fd| fd.try_clone()).transpose()
    }

    /// Whether the file is to stay when the door closes: it is another process's then.
    pub fn leave(&self, left: bool) {
        self.left.store(left, Relaxed);
    }
}

impl SocketDoor {
    /// Binds to `path`, mode 0660, for the members of `group` if one is given. A socket that
    /// nobody answers on any more is replaced.
    ///
    /// # Errors
    /// When the path is taken, the group unknown, or the system refuses.
    pub fn bind(path: &Path, group: Option<&str>) -> Result<Self, SocketError> {
        Self::bind_at(path, path, group)
    }

    /// The same for a path on which a door of this process listens: it takes that one's place
    /// when it is served, and until then lies beside it.
    ///
    /// # Errors
    /// When the group is unknown, or the system refuses.
    pub fn beside(path: &Path, group: Option<&str>) -> Result<Self, SocketError> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        Self::bind_at(Path::new(&beside), path, group)
    }

    fn bind_at(path: &Path, wanted: &Path, group: Option<&str>) -> Result<Self, SocketError> {
        let refused = |error: io::Error| SocketError::Refused(path.to_owned(), error);
        let id = group.map(known).transpose()?;
        let address = SocketAddrUnix::new(path).map_err(|error| refused(error.into()))?;
        clear(path, &address)?;
        let fd = nonblocking().map_err(|error| refused(error.into()))?;
        bind(&fd, &address).map_err(|error| refused(error.into()))?;
        let file = File::at(path).map_err(refused)?;
        // Nobody can connect before `listen`, so there is no moment with other rights.
        restrict(path, id).map_err(refused)?;
        listen(&fd, BACKLOG).map_err(|error| refused(error.into()))?;
        let group = group.map(str::to_owned);
        let wanted = wanted.to_owned();
        Ok(Self {
            fd: Arc::new(fd),
            file,
            wanted,
            group,
        })
    }

    /// The door at `path` that another process has opened as [`Self::bind`] would, and hands over.
    ///
    /// # Errors
    /// When the group is unknown, the file gone, or the system refuses.
    pub fn inherit(fd: OwnedFd, path: &Path, group: Option<&str>) -> Result<Self, SocketError> {
        let refused = |error: io::Error| SocketError::Refused(path.to_owned(), error);
        let id = group.map(known).transpose()?;
        let file = File::at(path).map_err(refused)?;
        // Whatever happens to us before the other process is gone, it is not ours to remove.
        file.left.store(true, Relaxed);
        restrict(path, id).map_err(refused)?;
        Ok(Self {
            fd: Arc::new(fd),
            file,
            wanted: path.to_owned(),
            group: group.map(str::to_owned),
        })
    }

    /// What another process may inherit of it.
    pub fn heirloom(&self) -> Heirloom {
        Heirloom {
            fd: Arc::downgrade(&self.fd),
            left: Arc::clone(&self.file.left),
        }
    }

    /// Serves `api` until it is told to stop.
    ///
    /// # Errors
    /// When the runtime cannot poll the socket.
    pub async fn serve(self, api: Api) -> io::Result<()> {
        let Self {
            fd,
            mut file,
            wanted,
            group,
        } = self;
        if file.path != wanted {
            fs::rename(&file.path, &wanted)?;
            file.path = wanted;
        }
        let listener = UnixListener::from_std(fd.try_clone()?.into())?;
        let accepting = Arc::new(Accepting {
            listener,
            group,
            _fd: fd,
        });
        serve(accepting, api, Guard::Socket).await;
        drop(file);
        Ok(())
    }
}

impl File {
    fn at(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
            left: Arc::default(),
        })
    }
}

fn known(group: &str) -> Result<u32, SocketError> {
    group_id(group).ok_or_else(|| SocketError::NoGroup(group.to_owned()))
}

/// Lets its owner and the group, if one is given, open the socket at `path`.
fn restrict(path: &Path, group: Option<u32>) -> io::Result<()> {
    if let Some(id) = group {
        rustix::fs::chown(path, None, Some(Gid::from_raw(id)))?;
    }
    Ok(rustix::fs::chmod(path, Mode::from_raw_mode(0o660))?)
}

impl Drop for File {
    fn drop(&mut self) {
        if self.left.load(Relaxed) {
            return;
        }
        let same = |found: &fs::Metadata| (found.dev(), found.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(|found| same(&found)) {
            // It is stale from here on, and whoever comes next sees that.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn nonblocking() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Removes the socket at `path` if nobody answers on it.
fn clear(path: &Path, address: &SocketAddrUnix) -> Result<(), SocketError> {
    let refused = |error: io::Error| SocketError::Refused(path.to_owned(), error);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    let probe = nonblocking().map_err(|error| refused(error.into()))?;
    match connect(&probe, address) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(refused),
        Err(Errno::NOENT) => Ok(()),
        // A full backlog (`AGAIN`) is somebody too.
        Ok(()) | Err(Errno::AGAIN) => Err(SocketError::InUse(path.to_owned())),
        Err(error) => Err(refused(error.into())),
    }
}

struct Accepting {
    /// Keeps [`Heirloom`] alive for as long as the listener, a duplicate of it, is open.
    _fd: Arc<OwnedFd>,
    listener: UnixListener,
    group: Option<String>,
}

impl Accepts for Accepting {
    type Raw = UnixStream;
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.listener.accept().await?;
        Ok(stream)
    }

    async fn open(
        self: Arc<Self>,
        stream: UnixStream,
        held: &Held,
    ) -> io::Result<(UnixStream, Peer)> {
        let credentials = stream.peer_cred()?;
        let (uid, gid) = (credentials.uid(), credentials.gid());
        let peer = Peer {
            door: Door::Socket,
            from: format!("uid {uid}").into(),
            standing: standing(uid, gid, self.group.as_deref()),
            slot: Arc::clone(held.slot()),
        };
        Ok((stream, peer))
    }
}

/// What the user `uid` is, whose group is `gid`.
fn standing(uid: u32, gid: u32, group: Option<&str>) -> Standing {
    let name = user_name(uid);
    let called = || name.clone().unwrap_or_else(|| format!("uid {uid}"));
    if uid == 0 || uid == rustix::process::geteuid().as_raw() {
        return Standing::Owner(called());
    }
    match group {
        Some(group) if in_group(group, gid, name.as_deref()) => Standing::Member(called()),
        Some(_) | None => Standing::Nobody,
    }
}

/// The name of the user `uid`, if `/etc/passwd` has it. Asking further could take any time.
fn user_name(uid: u32) -> Option<String> {
    let lines = fs::read_to_string("/etc/passwd").ok()?;
    let row = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let id: u32 = fields.nth(1)?.parse().ok()?;
        (id == uid).then_some(name)
    };
    lines.lines().find_map(row)
}

/// The id and the members of the group `name`, or of that with this number.
fn group_row(name: &str) -> Option<(u32, Vec<String>)> {
    let lines = fs::read_to_string("/etc/group").ok()?;
    let row = |line: &str| {
        let mut fields = line.split(':');
        let found = fields.next()?;
        let id = fields.nth(1)?;
        let members = fields.next().unwrap_or_default().split(',');
        let same = found == name || id == name;
        let members = members.map(str::to_owned).collect();
        same.then(|| id.parse().ok().map(|id| (id, members)))?
    };
    lines.lines().find_map(row)
}

fn group_id(name: &str) -> Option<u32> {
    group_row(name)
        .map(|(id, _)| id)
        .or_else(|| name.parse().ok())
}

fn in_group(group: &str, gid: u32, user: Option<&str>) -> bool {
    group_id(group) == Some(gid)
        || group_row(group).is_some_and(|(_, members)| {
            user.is_some_and(|user| members.iter().any(|member| member == user))
        })
}
