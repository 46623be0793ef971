//! The relay through real loopback sockets in one process, and beside it the same without it.
//! It must not take much longer than twenty seconds, nor compare rounds that were far apart.
//!
//! Client, balancer and host share the processors of this machine: what counts is the difference.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use pointsman::{control::Balancer, model::topology::Topology, proxy::threads::DataThreads};

/// Direct and through the balancer take turns in each round; the median of the rounds counts.
const ROUNDS: usize = 7;
/// How long one measurement lasts.
const SPAN: Duration = Duration::from_millis(200);
const CHUNK: usize = 128 * 1024;

fn main() {
    let hosts = [host(echo), host(drain), host(pour), host(greet)];
    let data = DataThreads::start(1, false).unwrap();
    let probes = tokio::runtime::Runtime::new().unwrap();
    let topology = topology(&hosts);
    let balancer = Balancer::start_on(data.lanes(), u32::MAX, probes.handle(), topology).unwrap();
    let through = balancer
        .status()
        .services
        .into_iter()
        .map(|service| service.listen[0].ip().unwrap());
    let through: Vec<SocketAddr> = through.collect();

    println!("medians of {ROUNDS} rounds; one data thread, loopback\n");
    println!("{:<30}{:>12}{:>12}{:>9}", "", "direct", "through", "ratio");
    let trips = [(64, "64 B"), (1024, "1 KiB"), (16 * 1024, "16 KiB")];
    for (size, words) in trips {
        let name = format!("round trip of {words}, ns");
        line(&name, |hop| round_trip(hop, size), [hosts[0], through[0]]);
    }
    line("bulk up, MB/s", bulk_up, [hosts[1], through[1]]);
    line("bulk down, MB/s", bulk_down, [hosts[2], through[2]]);
    line("new connections, 1/s", connections, [hosts[3], through[3]]);
}

/// Measures both ways in turns, and prints them.
fn line(name: &str, measure: impl Fn(SocketAddr) -> f64, ways: [SocketAddr; 2]) {
    let mut figures = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (figures, way) in figures.iter_mut().zip(ways) {
            figures.push(measure(way));
        }
    }
    let [direct, through] = figures.map(|mut figures| {
        figures.sort_by(f64::total_cmp);
        figures[ROUNDS / 2]
    });
    let ratio = through / direct;
    println!("{name:<30}{direct:>12.0}{through:>12.0}{ratio:>9.2}");
}

/// Nanoseconds for a message there and back.
fn round_trip(to: SocketAddr, size: usize) -> f64 {
    let mut stream = connect(to);
    let mut message = vec![7; size];
    let mut trip = || {
        stream.write_all(&message).unwrap();
        stream.read_exact(&mut message).unwrap();
    };
    (0..100).for_each(|_| trip());
    let (trips, took) = repeat(trip);
    took.as_secs_f64() * 1e9 / trips
}

/// Megabytes a second from the client to the host, which counts them.
fn bulk_up(to: SocketAddr) -> f64 {
    let mut stream = connect(to);
    let chunk = vec![7; CHUNK];
    let start = Instant::now();
    while start.elapsed() < SPAN {
        stream.write_all(&chunk).unwrap();
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut counted = [0; 8];
    stream.read_exact(&mut counted).unwrap();
    u64::from_le_bytes(counted) as f64 / 1e6 / start.elapsed().as_secs_f64()
}

/// Megabytes a second from the host to the client.
fn bulk_down(to: SocketAddr) -> f64 {
    let mut stream = connect(to);
    let mut chunk = vec![0; CHUNK];
    let start = Instant::now();
    stream.write_all(b"?").unwrap();
    let mut bytes = 0;
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        bytes += read;
    }
    bytes as f64 / 1e6 / start.elapsed().as_secs_f64()
}

/// Connections a second, one after the other, that ask one byte, are answered one and closed by
/// the host.
fn connections(to: SocketAddr) -> f64 {
    let (count, took) = repeat(|| {
        let mut stream = connect(to);
        stream.write_all(b"?").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"!");
    });
    count / took.as_secs_f64()
}

/// Does `work` for as long as a measurement lasts; returns how often, and how long it was.
fn repeat(mut work: impl FnMut()) -> (f64, Duration) {
    let start = Instant::now();
    let mut count = 0.0;
    while start.elapsed() < SPAN {
        work();
        count += 1.0;
    }
    (count, start.elapsed())
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A host that does `work` with each connection, one at a time.
fn host(work: fn(TcpStream) -> std::io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            let _ = work(stream);
        }
    });
    address
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    while let read @ 1.. = stream.read(&mut buffer)? {
        stream.write_all(&buffer[..read])?;
    }
    Ok(())
}

fn drain(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut bytes = 0_u64;
    while let read @ 1.. = stream.read(&mut buffer)? {
        bytes += read as u64;
    }
    stream.write_all(&bytes.to_le_bytes())
}

fn pour(mut stream: TcpStream) -> std::io::Result<()> {
    stream.read_exact(&mut [0])?;
    let chunk = vec![7; CHUNK];
    let start = Instant::now();
    while start.elapsed() < SPAN {
        stream.write_all(&chunk)?;
    }
    Ok(())
}

fn greet(mut stream: TcpStream) -> std::io::Result<()> {
    stream.read_exact(&mut [0])?;
    stream.write_all(b"!")
}

/// A service for each host.
fn topology(hosts: &[SocketAddr]) -> Topology {
    let service = |(index, address): (usize, &SocketAddr)| {
        serde_json::json!({
            "name": format!("s{index}"),
            "listen": ["127.0.0.1:0"],
            "group": [{ "name": "blue", "host": [{ "name": "w1", "address": address }] }],
        })
    };
    let services: Vec<_> = hosts.iter().enumerate().map(service).collect();
    serde_json::from_value(serde_json::json!({ "service": services })).unwrap()
}
