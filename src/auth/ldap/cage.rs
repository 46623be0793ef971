//! A fence between a server and the library that reads what it says: whole messages only, each
//! of a bounded length and depth and of the shape of an answer to what was asked last, and a
//! bounded number of bytes in answer to a request.
//! It must not know what an answer means.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::UnixStream,
};

use super::{
    frame::{self, MAX_MESSAGE},
    shape::Asked,
};

/// What a server may say, in bytes, until it is asked something again.
const MAX_ANSWER: usize = 4 * MAX_MESSAGE;

/// Why a connection has ended; the library on the other side only sees that it did.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending(Arc<OnceLock<String>>);

impl Ending {
    /// The reason, or that nobody gave one.
    pub(super) fn sentence(&self) -> String {
        let known = self.0.get().cloned();
        known.unwrap_or_else(|| "the connection was closed".to_owned())
    }

    fn because(&self, error: &io::Error) {
        // The first reason is the one that matters.
        let _ = self.0.set(error.to_string());
    }
}

/// Passes on what `library` asks and what `server` answers, until either is done.
pub(super) async fn relay<S>(server: S, library: UnixStream, ending: Ending)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (from_server, mut to_server) = tokio::io::split(server);
    let (from_library, mut to_library) = library.into_split();
    let (said, last) = (AtomicUsize::new(0), AtomicU64::new(0));
    let asking = async {
        let mut from_library = BufReader::new(from_library);
        while let Some(request) = frame::read(&mut from_library).await? {
            let asked = Asked::by(&request).unwrap_or_default();
            last.store(asked.packed(), Ordering::Relaxed);
            said.store(0, Ordering::Relaxed);
            to_server.write_all(&request).await?;
            to_server.flush().await?;
        }
        to_server.shutdown().await
    };
    let answering = async {
        let mut from_server = BufReader::new(from_server);
        while let Some(message) = frame::read(&mut from_server).await? {
            if said.fetch_add(message.len(), Ordering::Relaxed) > MAX_ANSWER {
                return Err(io::Error::other("an answer of more than 4 MiB"));
            }
            let asked = Asked::unpacked(last.load(Ordering::Relaxed));
            if !asked.is_answered_by(&message) {
                return Err(io::Error::other("something that is no answer in LDAP"));
            }
            to_library.write_all(&message).await?;
        }
        Ok(())
    };
    // Dropping what is left of both closes both sides.
    let ended: io::Result<()> = tokio::select! {
        ended = asking => ended,
        ended = answering => ended,
    };
    if let Err(error) = ended {
        ending.because(&error);
    }
}
