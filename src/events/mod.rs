//! Events out: from the journal to wherever they go, in order, and none left out.
//! It must not decide what is an event, nor slow down what caused one.
//!
//! A [`Sink`] is where they go; [`outbox::run`] brings them there. [`bus`] is the one sink that
//! there is, [`heartbeat`] says beside it that the node lives.

pub mod bus;
mod feed;
pub mod heartbeat;
pub mod outbox;

#[cfg(test)]
mod tests;

use std::pin::Pin;

use crate::control::record::Recorded;

/// Somewhere that events go.
///
/// What is begun is confirmed in that order or not at all: after an error the sink is asked anew,
/// from the first event that was not confirmed. An event may so arrive twice, and none is skipped.
pub trait Sink: Send {
    /// Waits until something can be sent.
    ///
    /// Cancel safe.
    fn ready(&mut self) -> impl Future<Output = ()> + Send;

    /// Begins to send `event`, after all that were begun before.
    ///
    /// # Errors
    /// Why not, for people.
    fn begin(
        &mut self,
        event: &Recorded,
    ) -> impl Future<Output = Result<Confirmation, String>> + Send;
}

/// Ends when the event is safe where it went, or says why that is not known.
pub type Confirmation = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// How sending is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Events that were confirmed since the start.
    pub sent: u64,
    /// The number of the last event that was confirmed, over restarts too.
    pub last_sent: u64,
    /// Events that wait to be sent or confirmed.
    pub waiting: u64,
    /// Events that were no longer kept when they could have been sent, since the start.
    pub lost: u64,
    /// Why nothing is sent, when something is wrong.
    pub trouble: Option<String>,
}
