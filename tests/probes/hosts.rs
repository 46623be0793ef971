//! Hosts that behave as told, on a thread each, apart from the runtime of the probe.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How a host behaves once it has accepted.
#[derive(Clone, Debug)]
pub enum Manner {
    /// It says nothing.
    Hangs,
    /// It resets the connection.
    Resets,
    /// It hangs up.
    HangsUp,
    /// It says this, and hangs up.
    Says(&'static str),
    /// It waits for the end of a request, says this, and hangs up.
    Answers(&'static str),
    /// It says this over and over, a byte every 20 ms.
    Dribbles(&'static str),
    /// It says this over and over, as fast as it can.
    Floods(&'static str),
}

/// A host; dropped, it is gone with its connections.
pub struct Host {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    pub fn that(manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(SeqCst) {
                    break;
                }
                let (stream, manner) = (stream.unwrap(), manner.clone());
                let thread = thread::Builder::new().name("connection".to_owned());
                open.push(
                    thread
                        .spawn(move || {
                            // Whatever the probe does to the connection is its right.
                            let _ = serve(stream, &manner);
                        })
                        .unwrap(),
                );
            }
            for thread in open {
                thread.join().unwrap();
            }
        });
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }

    /// An address at which nobody listens.
    pub fn nowhere() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        let _ = TcpStream::connect(self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(mut stream: TcpStream, manner: &Manner) -> std::io::Result<()> {
    // A probe lets go within its time; a test that hangs would tell nothing.
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    stream.set_nodelay(true)?;
    match manner {
        Manner::Hangs => wait_for_the_end(&mut stream),
        Manner::Resets => {
            let linger = Some(Duration::ZERO);
            rustix::net::sockopt::set_socket_linger(stream.as_fd(), linger)?;
            Ok(())
        }
        Manner::HangsUp => stream.shutdown(Shutdown::Both),
        Manner::Says(text) => {
            stream.write_all(text.as_bytes())?;
            stream.shutdown(Shutdown::Write)?;
            wait_for_the_end(&mut stream)
        }
        Manner::Answers(text) => {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                request.extend(byte);
            }
            stream.write_all(text.as_bytes())?;
            stream.shutdown(Shutdown::Write)?;
            wait_for_the_end(&mut stream)
        }
        Manner::Dribbles(text) => loop {
            for byte in text.as_bytes() {
                stream.write_all(&[*byte])?;
                thread::sleep(Duration::from_millis(20));
            }
        },
        Manner::Floods(text) => {
            let text = text.repeat(1000);
            loop {
                stream.write_all(text.as_bytes())?;
            }
        }
    }
}

fn wait_for_the_end(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}
