//! Before a host is looked for: who the client is, whether it is let in, what the host is told.
//! It must not pick a host, nor keep a client waiting for longer than a header may take.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use super::{
    account::Refusal,
    announce::{self, Announced},
    flow::Flow,
    peer::Peer,
    session::Session,
    socket::Socket,
};
use crate::{balance::view::Terms, model::address::Endpoint};

/// How long a header of the PROXY protocol may take to arrive.
const DEADLINE: Duration = Duration::from_secs(5);

impl Session {
    /// Whether there is anything to do before a host is looked for.
    pub(super) fn has_to_greet(&self, terms: &Terms) -> bool {
        terms.send_proxy.is_some() || self.is_announced(terms)
    }

    /// Whether the peer is one that announces its clients.
    pub(super) fn is_announced(&self, terms: &Terms) -> bool {
        terms
            .announced_by
            .as_ref()
            .is_some_and(|trusted| trusted.allows(self.peer.ip()))
    }

    /// Reads the header of a peer that announces its clients, lets the client in, and puts the
    /// header for the host before everything that the client sends.
    pub(super) async fn greet(&mut self, client: &Socket, up: &mut Flow) -> Result<(), Refusal> {
        let view = self.service().view();
        let terms = &view.terms;
        let (mut called, mut extensions) = (None, Vec::new());
        if self.is_announced(terms) {
            let heard = self.lane.event_loop().within(DEADLINE, hear(client));
            let (announced, rest) = heard.await.ok_or(Refusal::Unannounced)??;
            if let Some((announced, address)) = announced.addresses {
                self.client = Peer::Ip(announced);
                called = Some(Endpoint::Ip(address));
            }
            extensions = announced.extensions;
            up.begin_with(&rest);
            self.let_in(terms)?;
        }
        if let Some(version) = terms.send_proxy {
            let called = match called {
                Some(called) => called,
                None => client.local().map_err(Refusal::Left)?,
            };
            let header = announce::render(version, self.client, &called, &extensions);
            up.begin_with(&[&header, up.pending()].concat());
        }
        Ok(())
    }

    /// By which address the schedulers and the limits of clients know the client: those who have
    /// none are one client together.
    pub(super) fn scheduled_as(&self) -> IpAddr {
        self.client
            .ip()
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// Lets the client in, as far as it is for the service to say.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn let_in(&mut self, terms: &Terms) -> Result<(), Refusal> {
        if terms.admission.is_open() {
            return Ok(());
        }
        let now = self.lane.nanos(self.started);
        self.place = terms.admission.admit(self.client.ip(), now)?;
        Ok(())
    }
}

/// Reads a header: what it says, and the client's bytes that came with it.
async fn hear(client: &Socket) -> Result<(Announced, Vec<u8>), Refusal> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 512];
    loop {
        let read = client.recv(&mut buffer).await.map_err(Refusal::Left)?;
        if read == 0 {
            return Err(Refusal::Left(io::ErrorKind::UnexpectedEof.into()));
        }
        bytes.extend(&buffer[..read]);
        if let Some((length, announced)) = announce::parse(&bytes)? {
            let rest = bytes.split_off(length);
            return Ok((announced, rest));
        }
    }
}
