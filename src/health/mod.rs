//! Probes: asking a host whether it can take sessions.
//! They must not judge what a series of answers means, nor change anything.
//!
//! To add one: a kind in [`crate::model::topology::ProbeKind`], an arm in `build`, a file here.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use crate::model::{
    address::{Endpoint, HostAddress},
    name::{HostPath, Name},
    topology::{
        self, ProbeKind,
        probe::{HttpProbe, TlsProbe},
    },
};

mod agent;
mod asked;
pub mod brake;
pub mod checker;
mod connect;
mod exec;
pub mod failover;
pub mod group;
pub mod history;
mod http;
mod means;
pub mod memory;
pub mod news;
mod outcome;
pub mod outlier;
pub mod release;
pub mod report;
mod tcp;
#[cfg(feature = "server")]
mod tls;
pub mod wishes;

pub use asked::Asked;
pub use means::{MAX_PROGRAMS, Means, Program};
pub use outcome::{Advice, Mode, Outcome, Verdict};
use tokio::time::Instant;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host's name.
    pub host: HostPath,
    /// Where it takes sessions.
    pub address: HostAddress,
}

/// One way to ask a host whether it can take sessions.
///
/// Whoever implements it keeps to this, and the tests hold each implementation to it:
///
/// - The future ends at the deadline at the latest, with [`Verdict::Failed`] when it is the host
///   that kept us waiting.
/// - Dropped at any moment, it leaves nothing behind: no task, descriptor or process.
/// - It never panics, whatever the host sends, and reads no more of it than it needs.
/// - It fails a host only for what the host did. Where we could not ask (no descriptors left, the
///   program cannot be started) it is [`Verdict::NotAsked`].
/// - The reason is one lower-case sentence on one line, and says what was found.
pub trait Probe: Send + Sync + fmt::Debug {
    /// Asks `target`, once, at `address`, which may have another port than where it takes sessions.
    fn ask<'a>(
        &'a self,
        target: &'a Target,
        address: &'a Asked,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;
}

/// A probe as a group wants it, ready to be asked.
#[derive(Debug)]
pub struct Prober {
    probe: Box<dyn Probe>,
    port: Option<u16>,
    timeout: Duration,
}

impl Prober {
    /// Asks `target`, which is reached at `at` now, once, for as long as the configuration allows.
    /// The future may be dropped.
    pub async fn ask(&self, target: &Target, at: Endpoint) -> Outcome {
        let asked = Asked::new(&target.address, at, self.port);
        let deadline = Instant::now() + self.timeout;
        self.probe.ask(target, &asked, deadline).await
    }
}

/// Why a probe cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// It runs a program that the settings do not name.
    #[error("there is no [programs.{0}]")]
    NoProgram(Name),
    /// It trusts certificates that the settings do not name.
    #[error("there is no [certificates.{0}]")]
    NoCertificates(Name),
    /// The certificates that it trusts cannot be used.
    #[error("the certificates that it trusts cannot be used: {0}")]
    Certificates(String),
    /// This library was built without what it needs.
    #[error("{0} needs the feature `server`, without which this was built")]
    NotBuiltIn(&'static str),
}

/// The probe that `wanted` describes, with `means` for what the settings must provide.
///
/// # Errors
///
/// When `means` has no such program or certificates, or they cannot be used.
pub fn build(wanted: &topology::Probe, means: &Means) -> Result<Prober, BuildError> {
    let probe: Box<dyn Probe> = match &wanted.kind {
        ProbeKind::Tcp => Box::new(tcp::Tcp),
        ProbeKind::Tls(wanted) => tls(wanted, means)?,
        ProbeKind::Http(wanted) => http(wanted, means)?,
        ProbeKind::Exec { program: name } => {
            let program = means.programs.get(name);
            Box::new(exec::Exec {
                name: name.clone(),
                program: program
                    .ok_or_else(|| BuildError::NoProgram(name.clone()))?
                    .clone(),
                places: means.places(),
            })
        }
        ProbeKind::Agent { send } => {
            let send = send.as_ref().map(|text| text.as_str().to_owned());
            Box::new(agent::Agent { send })
        }
    };
    Ok(Prober {
        probe,
        port: wanted.port.map(topology::Port::get),
        timeout: wanted.timeout.duration(),
    })
}

#[cfg(feature = "server")]
fn tls(wanted: &TlsProbe, means: &Means) -> Result<Box<dyn Probe>, BuildError> {
    Ok(Box::new(tls::Tls::new(wanted, means)?))
}

#[cfg(not(feature = "server"))]
fn tls(_wanted: &TlsProbe, _means: &Means) -> Result<Box<dyn Probe>, BuildError> {
    Err(BuildError::NotBuiltIn("a probe of kind tls"))
}

#[cfg(feature = "server")]
fn http(wanted: &HttpProbe, means: &Means) -> Result<Box<dyn Probe>, BuildError> {
    let trust = wanted.tls.as_ref();
    let client = trust.map(|trust| tls::Client::new(trust, means));
    Ok(Box::new(http::Http::new(
        wanted.clone(),
        client.transpose()?,
    )))
}

#[cfg(not(feature = "server"))]
fn http(wanted: &HttpProbe, _means: &Means) -> Result<Box<dyn Probe>, BuildError> {
    if wanted.tls.is_some() {
        return Err(BuildError::NotBuiltIn("a probe of kind http with `tls`"));
    }
    Ok(Box::new(http::Http::new(wanted.clone())))
}

/// A period in milliseconds.
fn millis(period: crate::model::period::Period) -> u64 {
    u64::try_from(period.duration().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
