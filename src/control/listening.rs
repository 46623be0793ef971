//! Who listens where: by what a listener is known from one topology to the next.
//! It must not bind or accept.

use tokio_util::sync::CancellationToken;

use crate::{
    model::{address::Endpoint, name::Name, topology},
    proxy::listener::Listener,
};

/// Who accepts where. A port that the system chooses belongs to the service that asked for it, and
/// a service may ask for several; any other is the same socket, whoever's it is next.
pub type Key = (Endpoint, Option<(Name, usize)>);

/// The keys of the addresses of `service`, in their order.
pub(super) fn keys(service: &topology::Service) -> impl Iterator<Item = Key> {
    let listen = &service.listen;
    listen.iter().enumerate().map(|(index, address)| {
        let earlier = || listen[..index].iter().filter(|other| *other == address);
        let chosen = address.is_chosen();
        let owner = chosen.then(|| (service.name.clone(), earlier().count()));
        (address.clone(), owner)
    })
}

/// A listener, and who accepts from it until told to stop.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) listener: Listener,
    pub(super) service: Name,
    pub(super) stop: CancellationToken,
}
