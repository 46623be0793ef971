//! The probe that passes when a connection stands.
//! It must not send or read a byte.

use std::{future::Future, pin::Pin};

use tokio::time::Instant;

use super::{Asked, Outcome, Probe, Target, connect::connect};

/// Passes when a connection stands.
#[derive(Debug)]
pub(super) struct Tcp;

impl Probe for Tcp {
    fn ask<'a>(
        &'a self,
        _target: &'a Target,
        address: &'a Asked,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            match connect(address, deadline).await {
                Ok(_stream) => Outcome::passed(format!("{address} accepts connections")),
                Err(outcome) => outcome,
            }
        })
    }
}
