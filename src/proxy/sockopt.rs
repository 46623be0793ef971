//! Options of sockets that no safe library sets.
//! It must not hold any other unsafe code; there is no other in the crate.

use std::{
    ffi::{c_int, c_void},
    io,
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

/// Has connections accepted only when their client has sent something, or `after` has passed
/// (tcp(7), `TCP_DEFER_ACCEPT`); zero turns it off.
///
/// # Errors
/// When the system refuses.
pub(super) fn set_defer_accept(fd: impl AsFd, after: Duration) -> io::Result<()> {
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    let seconds = c_int::try_from(seconds).unwrap_or(c_int::MAX);
    set(fd, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds)
}

/// Lets the system choose our port only when we connect, so that one port serves connections to
/// several hosts (ip(7), `IP_BIND_ADDRESS_NO_PORT`).
///
/// # Errors
/// When the system refuses.
pub(super) fn set_bind_address_no_port(fd: impl AsFd) -> io::Result<()> {
    set(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

#[expect(
    unsafe_code,
    reason = "neither std, rustix nor socket2 has these options"
)]
fn set(fd: impl AsFd, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    let pointer: *const c_int = &raw const value;
    let size = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open for as long as `fd` lives; the kernel reads `size` bytes at
    // the pointer, which is `value`, during the call only.
    let result = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            option,
            pointer.cast::<c_void>(),
            size,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
