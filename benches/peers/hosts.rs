//! The hosts that every contestant balances over, as a process of their own.
//! They must not cost more than the kernel's work for a session, nor outlive who started them.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener as Listener},
    thread,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::{Builder, Runtime},
};

/// A session begins with so many bytes; the first says what it is for. Of messages, the next four
/// say how long each is (little-endian).
pub(crate) const HEAD: usize = 64;
/// The size of a message, and of the answer to a short connection.
pub(crate) const MESSAGE: usize = 1024;
/// The largest message.
const LARGEST: usize = 1 << 20;
/// What is sent or read at a time in bulk.
pub(crate) const BLOCK: usize = 256 * 1024;
/// How many hosts there are, where nothing else is said.
pub(crate) const HOSTS: usize = 3;
/// Below the ports that outgoing connections use, where hosts in earnest are as well; and below
/// those of the contestants.
const PORTS: std::ops::Range<u16> = 10_000..20_000;

/// A runtime for one thread.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Serves until standard input ends; prints the addresses, one a line.
pub(crate) fn serve(threads: usize, count: usize) -> io::Result<()> {
    crate::raise_file_limit();
    let first = runtime()?;
    let listeners: Vec<Listener> = first.block_on(async {
        PORTS
            .filter_map(|port| listen(port).ok())
            .take(count)
            .collect()
    });
    if listeners.len() < count {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    for listener in &listeners {
        println!("{}", listener.local_addr()?);
    }
    io::stdout().flush()?;
    for _ in 0..threads.max(1) {
        let mine = listeners
            .iter()
            .map(Listener::try_clone)
            .collect::<io::Result<Vec<_>>>()?;
        let runtime = runtime()?;
        thread::spawn(move || runtime.block_on(accept_on(mine)));
    }
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn listen(port: u16) -> io::Result<Listener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(4096)?.into_std()
}

async fn accept_on(listeners: Vec<Listener>) {
    let mut loops = tokio::task::JoinSet::new();
    for listener in listeners {
        if let Ok(listener) = TcpListener::from_std(listener) {
            loops.spawn(accept(listener));
        }
    }
    loops.join_all().await;
}

async fn accept(listener: TcpListener) {
    loop {
        match listener.accept().await {
            // A session that breaks off is the load generator's to count.
            Ok((stream, _)) => drop(tokio::spawn(session(stream))),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
}

async fn session(mut stream: TcpStream) -> io::Result<()> {
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await?;
    match head[0] {
        b'c' => stream.write_all(&[b'c'; MESSAGE]).await,
        b'r' => messages(stream, head).await,
        b'd' => loop {
            stream.write_all(&[b'd'; BLOCK]).await?;
        },
        _ => swallow(stream).await,
    }
}

/// Gives every message back; the first one's head has been read.
async fn messages(mut stream: TcpStream, head: [u8; HEAD]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let [_, a, b, c, d, ..] = head;
    let size = u32::from_le_bytes([a, b, c, d]) as usize;
    let mut message = vec![b'r'; size.clamp(HEAD, LARGEST)];
    message[..HEAD].copy_from_slice(&head);
    stream.read_exact(&mut message[HEAD..]).await?;
    loop {
        stream.write_all(&message).await?;
        stream.read_exact(&mut message).await?;
    }
}

async fn swallow(mut stream: TcpStream) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    while stream.read(&mut block).await? > 0 {}
    Ok(())
}
