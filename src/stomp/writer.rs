//! The write half of a connection: frames in the order given, and heart-beats where there are none.
//! It must not know what the frames say.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::mpsc::Receiver,
    time::timeout,
};

/// Pieces that may wait to be written.
pub(super) const WAITING: usize = 64;
/// What is written at once, if so much waits.
const TOGETHER: usize = 64 * 1024;

/// Writes what comes until nobody can send any more. When nothing has come for as long as `beat`,
/// a heart-beat is written.
///
/// # Errors
/// When the connection broke.
pub(super) async fn run(
    mut write: impl AsyncWrite + Unpin,
    mut pieces: Receiver<Vec<u8>>,
    beat: Option<Duration>,
) -> io::Result<()> {
    loop {
        let next = match beat {
            Some(beat) => timeout(beat, pieces.recv()).await,
            None => Ok(pieces.recv().await),
        };
        let mut bytes = match next {
            Ok(Some(piece)) => piece,
            Ok(None) => return write.shutdown().await,
            Err(_) => b"\n".to_vec(),
        };
        while bytes.len() < TOGETHER
            && let Ok(piece) = pieces.try_recv()
        {
            bytes.extend(piece);
        }
        write.write_all(&bytes).await?;
        write.flush().await?;
    }
}
