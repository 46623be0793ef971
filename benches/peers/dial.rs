//! Single sessions of the load: how each begins, and short ones to their end.
//! It must not count or time anything.

use crate::hosts::{HEAD, MESSAGE};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

/// A session that has sent `message` and received it again.
pub(crate) async fn talking(to: SocketAddr, message: &mut [u8]) -> io::Result<TcpStream> {
    let size = u32::try_from(message.len()).map_err(io::Error::other)?;
    message[1..5].copy_from_slice(&size.to_le_bytes());
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    stream.write_all(message).await?;
    stream.read_exact(message).await?;
    Ok(stream)
}

/// Connects and sends the head.
pub(crate) async fn open(to: SocketAddr, kind: u8) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&[kind; HEAD]).await?;
    Ok(stream)
}

/// One short connection: all of the answer, then the end.
pub(crate) async fn short(to: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(&[b'c'; HEAD]).await?;
    let (mut answer, mut length) = ([0; 2 * MESSAGE], 0);
    loop {
        match stream.read(&mut answer[length..]).await? {
            0 if length == MESSAGE => return Ok(()),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => length += n,
        }
    }
}

/// Whether a short connection works.
pub(crate) async fn answers(to: SocketAddr) -> bool {
    matches!(timeout(Duration::from_secs(1), short(to)).await, Ok(Ok(())))
}

/// Opens sessions that have sent and received one message each and are silent from then on.
pub(crate) async fn idle(to: SocketAddr, sessions: usize) -> io::Result<Vec<TcpStream>> {
    let mut held = Vec::with_capacity(sessions);
    while held.len() < sessions {
        let mut batch = JoinSet::new();
        for _ in 0..64.min(sessions - held.len()) {
            batch.spawn(timeout(Duration::from_secs(5), async move {
                talking(to, &mut [b'r'; MESSAGE]).await
            }));
        }
        while let Some(opened) = batch.join_next().await {
            held.push(opened.map_err(io::Error::other)???);
        }
    }
    Ok(held)
}
