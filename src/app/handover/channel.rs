//! A channel between two processes: messages as JSON, each with a descriptor or without.
//! It must not wait without a limit.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
    sockopt::{Timeout, set_socket_timeout},
};
use serde::{Serialize, de::DeserializeOwned};

/// The longest message. What is recorded of a command is bounded far below this.
const LONGEST: usize = 128 * 1024;
/// How long the other side may take to take a message.
const SENDING: Duration = Duration::from_secs(5);

/// One end.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

impl Channel {
    /// A channel, and its other end for the standard input of a new process.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self::on(ours)?, theirs))
    }

    /// The end that `fd` is.
    pub(super) fn on(fd: OwnedFd) -> io::Result<Self> {
        set_socket_timeout(&fd, Timeout::Send, Some(SENDING))?;
        Ok(Self(fd))
    }

    pub(super) fn send(
        &self,
        message: &impl Serialize,
        with: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        if text.len() > LONGEST {
            return Err(io::Error::other("the message is too long"));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = with.as_ref().map(std::slice::from_ref);
        if let Some(fds) = fds
            && !control.push(SendAncillaryMessage::ScmRights(fds))
        {
            return Err(io::Error::other("there is no room for the descriptor"));
        }
        let flags = SendFlags::NOSIGNAL;
        sendmsg(&self.0, &[IoSlice::new(&text)], &mut control, flags)?;
        Ok(())
    }

    /// The next message; `None` when there is nobody on the other side any more.
    ///
    /// # Errors
    /// `WouldBlock` when none came within that time.
    pub(super) fn receive<T: DeserializeOwned>(
        &self,
        within: Duration,
    ) -> io::Result<Option<(T, Option<OwnedFd>)>> {
        set_socket_timeout(&self.0, Timeout::Recv, Some(within))?;
        let mut text = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            self.0.as_fd(),
            &mut [IoSliceMut::new(&mut text)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        if received.bytes == 0 {
            return Ok(None);
        }
        if received
            .flags
            .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
        {
            return Err(io::Error::other("a message was cut short"));
        }
        let mut fd = None;
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = part {
                fd = fds.last();
            }
        }
        text.truncate(received.bytes);
        Ok(Some((serde_json::from_slice(&text)?, fd)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write, pipe};

    use super::*;

    #[test]
    fn a_message_arrives_whole_with_its_descriptor_and_the_end_is_seen() {
        let (ours, theirs) = Channel::pair().unwrap();
        let theirs = Channel::on(theirs).unwrap();
        let (mut reader, writer) = pipe().unwrap();
        ours.send(&"x".repeat(60_000), Some(writer.as_fd()))
            .unwrap();
        ours.send(&7, None).unwrap();
        drop(writer);
        let second = Duration::from_secs(1);
        let (text, fd) = theirs.receive::<String>(second).unwrap().unwrap();
        assert_eq!(text.len(), 60_000);
        let mut writer = std::fs::File::from(fd.unwrap());
        writer.write_all(b"through").unwrap();
        drop(writer);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "through");
        let (number, fd) = theirs.receive::<u32>(second).unwrap().unwrap();
        assert_eq!((number, fd.is_none()), (7, true));
        let nothing = theirs
            .receive::<u32>(Duration::from_millis(20))
            .unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        drop(ours);
        assert!(theirs.receive::<u32>(second).unwrap().is_none());
    }
}
