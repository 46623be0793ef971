//! Why the world can refuse a topology.
//! It must not know what was done about it.

use std::io;

use crate::{
    health::checker::CannotProbe,
    model::{address::Endpoint, name::Name},
};

/// Why the world refused a topology.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// An address cannot be listened on.
    #[error("service {service} cannot listen on {address}: {}", source.kind())]
    Listen {
        /// The service that asked.
        service: Name,
        /// The address that was refused.
        address: Endpoint,
        /// Why.
        source: io::Error,
    },
    /// A probe cannot be made.
    #[error(transparent)]
    Probe(#[from] CannotProbe),
}
