//! A program that balances its own three little services itself, by the balancer inside it.
//! It must not need a configuration file, a second process, or the feature `server`.
//!
//! `cargo run --example embed --no-default-features`
#![allow(clippy::print_stdout)]

use std::{error::Error, net::SocketAddr, time::Duration};

use pointsman::{
    control::Balancer,
    model::topology::{Group, Host, Scheduler, Service, Topology},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let hosts = [
        host("ada", little_service("ada").await?)?,
        host("bob", little_service("bob").await?)?,
        host("cy", little_service("cy").await?)?,
    ];

    let topology = Topology {
        services: vec![web(hosts.into())?],
    };
    let balancer = Balancer::start(topology, Handle::current())?;
    let address = balancer.addresses(&"web".parse()?)[0];

    for _ in 0..6 {
        let mut client = TcpStream::connect(address).await?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        print!("{answer}");
    }
    for host in balancer
        .status()
        .services
        .iter()
        .flat_map(|web| &web.groups[0].hosts)
    {
        println!("{} had {} sessions", host.name, host.sessions.total);
    }

    balancer.shut_down(Duration::from_secs(5)).await;
    Ok(())
}

/// A service on any port, with one group.
fn web(hosts: Vec<Host>) -> Result<Service, Failure> {
    let blue = Group {
        scheduler: Scheduler::LeastConnections,
        ..Group::new("blue".parse()?, hosts)
    };
    let listen = vec!["127.0.0.1:0".parse()?];
    Ok(Service::new("web".parse()?, listen, vec![blue]))
}

fn host(name: &str, address: SocketAddr) -> Result<Host, Failure> {
    Ok(Host::new(name.parse()?, address.into()))
}

/// What the program is about: something that answers.
async fn little_service(name: &'static str) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = client
                .write_all(format!("This is {name}.\n").as_bytes())
                .await;
        }
    });
    Ok(address)
}
