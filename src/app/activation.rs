//! Sockets that the service manager holds for us: sd_listen_fds(3).
//! It must not decide what they are for; the address that a socket is bound to says that.

use std::{env, io, os::fd::OwnedFd};

use listenfd::ListenFd;

use crate::control::succession::Key;

/// More sockets than anybody hands over.
const MOST: u64 = 1024;

/// The TCP sockets that were handed over, each for the services that listen on its address. Takes
/// them out of the environment, so that no program of ours takes them for its own.
///
/// # Errors
/// When one cannot be told apart, or they are said to be too many.
pub(super) fn sockets() -> io::Result<Vec<(Key, OwnedFd)>> {
    let count = env::var("LISTEN_FDS")
        .ok()
        .and_then(|count| count.parse().ok());
    if count.is_some_and(|count: u64| count > MOST) {
        let message = format!("LISTEN_FDS: at most {MOST} sockets can be handed over");
        return Err(io::Error::other(message));
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut handed = ListenFd::from_env();
    let mut found = Vec::new();
    for index in 0..handed.len() {
        let name = names.next().unwrap_or_default();
        match handed.take_tcp_listener(index) {
            Ok(Some(socket)) => {
                let address = socket.local_addr()?;
                tracing::info!(name, %address, "a socket was handed over");
                found.push(((address.into(), None), socket.into()));
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(name, %error, "a socket that was handed over is no use"),
        }
    }
    Ok(found)
}
