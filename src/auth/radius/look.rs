//! Whether any server is there, asked without anybody's name or password.
//! It must not be taken for a log-in: nobody is let in by it.

use std::{io, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use rustls::ClientConfig;
use secrecy::SecretString;
use tokio::{
    net::UdpSocket,
    task::JoinSet,
    time::{timeout, timeout_at},
};

use super::{
    Radius, Server,
    exchange::{self, Ignored, Silence},
    packet::{MAX_PACKET, Method, Question, Request},
    tls,
};

/// How long a Status-Server is waited for before the server is asked in another way.
const STATUS: Duration = Duration::from_millis(500);
/// How long one server has to answer in all.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Nobody's name. A server that does not know Status-Server (RFC 5997) is there if it rejects it.
const NOBODY: &str = "pointsman-status-check";

/// What it takes to ask one server.
struct Look {
    server: Server,
    secret: SecretString,
    nas: String,
    tls: Option<Arc<ClientConfig>>,
}

impl Radius {
    /// Whether any of the servers is there, or why it seems that none is. All are asked at once.
    pub(super) async fn look(&self) -> Result<(), String> {
        let mut looks = JoinSet::new();
        for server in &self.options.servers {
            let look = Look {
                server: server.clone(),
                secret: self.secret.clone(),
                nas: self.options.node.clone(),
                tls: self.tls.clone(),
            };
            looks.spawn(look.there());
        }
        let mut away = Vec::new();
        while let Some(look) = looks.join_next().await {
            match look {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(why)) => away.push(why),
                Err(error) => away.push(error.to_string()),
            }
        }
        away.sort();
        Err(away.join("; "))
    }
}

impl Look {
    async fn there(self) -> Result<(), String> {
        let looked = timeout(PATIENCE, self.look());
        let looked = looked.await.unwrap_or_else(|_| Err(self.late()));
        looked.map_err(|silence| format!("{}: {silence}", self.server))
    }

    async fn look(&self) -> Result<(), Silence> {
        let Server { host, port } = &self.server;
        let mut found = tokio::net::lookup_host((host.as_str(), *port)).await?;
        let nowhere = || io::Error::other("its name has no address");
        let address = found.next().ok_or_else(nowhere)?;
        match &self.tls {
            // Its certificate says who it is, and that is all there is to know.
            Some(config) => tls::connect(address, host, config).await.map(drop),
            None => self.ask(&exchange::connected(address).await?).await,
        }
    }

    /// Over TLS, no secret is a reason to say nothing.
    fn late(&self) -> Silence {
        match self.tls {
            Some(_) => io::Error::from(io::ErrorKind::TimedOut).into(),
            None => Silence::Late {
                waited: PATIENCE,
                ignored: Ignored::default(),
            },
        }
    }

    async fn ask(&self, socket: &UdpSocket) -> Result<(), Silence> {
        let from = socket.local_addr()?.ip();
        let status = Request::status(&self.nas, from, &self.secret)?;
        socket.send(status.bytes()).await?;
        let end = tokio::time::Instant::now() + STATUS;
        if let Ok(heard) = timeout_at(end, listen(socket, &[&status])).await {
            return Ok(heard?);
        }
        let password = BASE64.encode(rand::random::<[u8; 16]>()).into();
        let question = Question {
            user: NOBODY,
            password: &password,
            method: Method::Pap,
            state: None,
            nas: &self.nas,
        };
        let request = Request::new(&question, from, &self.secret, false)?;
        socket.send(request.bytes()).await?;
        Ok(listen(socket, &[&status, &request]).await?)
    }
}

/// Waits for a proven answer to any of `requests`, whatever it says.
async fn listen(socket: &UdpSocket, requests: &[&Request]) -> io::Result<()> {
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let datagram = buffer.get(..length).unwrap_or_default();
        if requests
            .iter()
            .any(|request| request.read(datagram).is_ok())
        {
            return Ok(());
        }
    }
}
