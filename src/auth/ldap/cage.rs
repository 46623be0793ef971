//! A fence between a server and the library that reads what it says: whole messages only, each
//! of a bounded length and depth, and a bounded number of bytes in answer to a request.
//! It must not know what is in a message.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::UnixStream,
};

use super::frame::{self, MAX_MESSAGE};

/// What a server may say, in bytes, until it is asked something again.
const MAX_ANSWER: usize = 4 * MAX_MESSAGE;
/// What goes to the server at once, in bytes.
const CHUNK: usize = 4096;

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
    let (mut from_library, mut to_library) = library.into_split();
    let said = AtomicUsize::new(0);
    let asking = async {
        let mut chunk = [0; CHUNK];
        loop {
            let count = from_library.read(&mut chunk).await?;
            if count == 0 {
                return to_server.shutdown().await;
            }
            said.store(0, Ordering::Relaxed);
            to_server
                .write_all(chunk.get(..count).unwrap_or_default())
                .await?;
            to_server.flush().await?;
        }
    };
    let answering = async {
        let mut from_server = BufReader::new(from_server);
        while let Some(message) = frame::read(&mut from_server).await? {
            if said.fetch_add(message.len(), Ordering::Relaxed) > MAX_ANSWER {
                return Err(io::Error::other("an answer of more than 4 MiB"));
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
