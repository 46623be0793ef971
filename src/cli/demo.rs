//! `pointsman demo`: three little hosts that say who they are, and a balancer in front of them.
//! It must not need anything but this program, nor listen anywhere but on loopback.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use super::{Exit, complain, run::exit_for, say, table::Table, terminal};
use crate::{
    app::App,
    config::parse,
    control::{
        Balancer,
        status::{HostStatus, NodeStatus},
    },
    model::period::Period,
};

/// How often the table is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long a host that was told to pause stays away.
const PAUSE: Duration = Duration::from_secs(10);
/// The longest request that a little host reads.
const REQUEST: usize = 8 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Where the balancer listens, on loopback
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// End by itself after so long
    #[arg(long = "for", value_name = "TIME")]
    length: Option<Period>,
}

pub(super) fn run(options: &Options) -> Exit {
    match start(options) {
        Ok((app, hosts)) => app
            .run(async |balancer| show(balancer, hosts, options).await)
            .into(),
        Err(exit) => exit,
    }
}

/// Binds the hosts, so that their ports are known, and starts the balancer.
fn start(options: &Options) -> Result<(App, Vec<StdListener>), Exit> {
    let bound: Result<Vec<_>, _> = (0..3)
        .map(|_| StdListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect();
    let hosts = bound.map_err(|error| {
        complain(&format_args!("cannot start the little hosts: {error}"));
        Exit::Failed
    })?;
    let config = parse(&configuration(options.port, &hosts)).map_err(|problems| {
        problems.iter().for_each(|problem| complain(problem));
        Exit::Failed
    })?;
    let app = App::start(config).map_err(|error| {
        complain(&error);
        complain(&"`pointsman demo --port 0` takes any port that is free");
        exit_for(&error)
    })?;
    Ok((app, hosts))
}

fn configuration(port: u16, hosts: &[StdListener]) -> String {
    let mut text = format!(
        "[node]\nname = \"demo\"\ndrain_timeout = \"1s\"\n\n[[service]]\nname = \"web\"\n\
         listen = [\"127.0.0.1:{port}\"]\n\n[[service.group]]\nname = \"blue\"\n\
         scheduler = \"least-connections\"\n"
    );
    for (host, name) in hosts.iter().zip(NAMES) {
        if let Ok(address) = host.local_addr() {
            text +=
                &format!("\n[[service.group.host]]\nname = \"{name}\"\naddress = \"{address}\"\n");
        }
    }
    text
}

const NAMES: [&str; 3] = ["ada", "bob", "cy"];

/// Runs the little hosts and the table until told to stop.
async fn show(balancer: &Balancer, hosts: Vec<StdListener>, options: &Options) {
    for (host, name) in hosts.into_iter().zip(NAMES) {
        tokio::spawn(little_host(host, name));
    }
    say(&invitation(&balancer.status()));
    match options.length {
        Some(length) => {
            let _ = timeout(length.duration(), live_table(balancer)).await;
        }
        None => live_table(balancer).await,
    }
}

fn invitation(status: &NodeStatus) -> String {
    let web = status
        .services
        .iter()
        .flat_map(|service| &service.listen)
        .next();
    let web = web.map(ToString::to_string).unwrap_or_default();
    let ada = hosts(status)
        .next()
        .map(|host| host.address.to_string())
        .unwrap_or_default();
    format!(
        "A balancer at {web}, three hosts behind it. In another terminal, try:\n\n    \
         curl http://{web}/\n    \
         for i in $(seq 30); do curl -s http://{web}/; done\n    \
         curl http://{ada}/pause      # ada stays away for {} s; nobody who calls {web} notices\n\n\
         Ctrl-C ends it.\n",
        PAUSE.as_secs(),
    )
}

/// Who got what: drawn anew in place at a terminal, else printed whenever it has changed.
async fn live_table(balancer: &Balancer) {
    let (person, colour) = terminal();
    let mut last = String::new();
    loop {
        let table = who_got_what(&balancer.status()).render(colour);
        if table != last {
            let up = last.lines().count();
            let home = if person && up > 0 {
                format!("\x1b[{up}A\x1b[J")
            } else {
                String::new()
            };
            say(&format!("{home}{table}"));
            last = table;
        }
        sleep(LOOK).await;
    }
}

fn who_got_what(status: &NodeStatus) -> Table {
    let mut table = Table::new(&[
        "host",
        "address",
        "open",
        "sessions",
        "failed",
        "bytes",
        "connect p50",
    ]);
    for host in hosts(status) {
        let connect = host.connect_time.quantile(0.5);
        table.row([
            host.name.to_string(),
            host.address.to_string(),
            host.sessions.active.to_string(),
            host.sessions.total.to_string(),
            host.connect_failures.to_string(),
            (host.bytes.to_host + host.bytes.to_client).to_string(),
            format!("{} µs", connect.as_micros()),
        ]);
    }
    table
}

fn hosts(status: &NodeStatus) -> impl Iterator<Item = &HostStatus> {
    status
        .services
        .iter()
        .flat_map(|service| &service.groups)
        .flat_map(|group| &group.hosts)
}

/// An HTTP host that answers with its name, and stays away for a while when asked to.
async fn little_host(listener: StdListener, name: &'static str) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let mut bound = listener
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(listener));
    while let Ok(listener) = bound {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(Some(asked)) =
                timeout(Duration::from_secs(5), answer(stream, name, address)).await
                && asked.starts_with("GET /pause")
            {
                break;
            }
        }
        drop(listener);
        sleep(PAUSE).await;
        bound = TcpListener::bind(address).await;
    }
}

/// Answers one request; returns it, where there was one.
async fn answer(mut stream: TcpStream, name: &str, address: SocketAddr) -> Option<String> {
    let mut request = vec![0; REQUEST];
    let mut length = 0;
    while !request[..length].windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut request[length..]).await {
            Ok(0) | Err(_) => return None,
            Ok(more) => length += more,
        }
    }
    let body = format!("This is {name}, at {address}.\n");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close";
    let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.ok()?;
    Some(String::from_utf8_lossy(&request[..length]).into_owned())
}
