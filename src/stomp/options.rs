//! How to connect: brokers, credentials, and how long to wait for what.
//! It must not read a file; that is done anew for each connection.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::Broker;

/// How to connect.
#[derive(Clone, Debug)]
pub struct Options {
    /// The brokers, tried in this order, again and again.
    pub brokers: Vec<Broker>,
    /// The user to log in as, if the broker wants one.
    pub login: Option<String>,
    /// Its password.
    pub passcode: Option<SecretString>,
    /// Under which name the broker is to know this connection: for subscriptions to topics that it
    /// keeps while we are away (`activemq.subscriptionName`). One connection at a time has it.
    pub client_id: Option<String>,
    /// Whom to trust over TLS, and what to show.
    pub trust: Trust,
    /// How often each side is to hear from the other. We send twice as often, and take the broker
    /// for dead after three times as long. Zero: neither.
    pub heart_beat: Duration,
    /// How long TCP, TLS and the log-in may take together.
    pub connect_timeout: Duration,
    /// How long a receipt may take.
    pub receipt_timeout: Duration,
    /// The longest body of a message that is kept, in bytes; of a longer one only the headers are.
    pub max_body: usize,
}

/// Whom to trust over TLS, and what to show. The files are PEM, and read for each connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The authorities that vouch for the broker; absent: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our certificate with its chain, and its key; absent: none is shown.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Options {
    /// The usual times and bounds: heart-beats of 10 s, 5 s to connect, 15 s for a receipt, bodies
    /// of 64 KiB.
    pub fn new(brokers: Vec<Broker>) -> Self {
        Self {
            brokers,
            login: None,
            passcode: None,
            client_id: None,
            trust: Trust::default(),
            heart_beat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            receipt_timeout: Duration::from_secs(15),
            max_body: 64 * 1024,
        }
    }
}
