//! RADIUS: a real FreeRADIUS, and servers that lie, stay silent or answer too late.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use pointsman::auth::{
    Authenticator, Credentials, Outcome, Proof, Steps,
    clock::Clock,
    radius::{Method, Options, Radius, RoleAttribute, Server},
};
use secrecy::SecretString;

use crate::real::installed;

mod failing;
mod fake;
mod over_tls;
mod questions;
mod server;

const SECRET: &str = "testing123";

/// A FreeRADIUS of our own, until it is dropped.
pub(crate) struct FreeRadius {
    folder: PathBuf,
}

impl FreeRadius {
    /// `None` where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !installed(&["freeradius", "openssl"]) {
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pointsman-radius-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let server = Self { folder };
        assert!(server.script("start"), "FreeRADIUS did not start");
        Some(server)
    }

    fn script(&self, action: &str) -> bool {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/freeradius");
        let mut command = Command::new(script);
        command.arg(action).arg(&self.folder);
        command.status().unwrap().success()
    }

    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.folder.join("certs").join(name)
    }

    /// One of its listeners; `None` where this machine has none of the kind.
    fn find(&self, listener: &str) -> Option<Server> {
        let ports = fs::read_to_string(self.folder.join("ports")).unwrap();
        let mut lines = ports.lines().filter_map(|line| line.split_once('='));
        let (_, address) = lines.find(|(name, _)| *name == listener)?;
        let address: std::net::SocketAddr = address.parse().unwrap();
        Some(at(address))
    }

    pub(crate) fn listener(&self, listener: &str) -> Server {
        self.find(listener).unwrap()
    }

    /// Ends it at once; its files stay.
    pub(crate) fn stop(&self) {
        assert!(self.script("stop"));
    }

    /// Starts it on the ports that it had.
    pub(crate) fn again(&self) {
        assert!(self.script("again"), "FreeRADIUS did not start again");
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        self.script("stop");
        // What is left over is in the way of nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn at(address: std::net::SocketAddr) -> Server {
    Server {
        host: address.ip().to_string(),
        port: address.port(),
    }
}

/// As the tests ask: sooner out of patience than by default, later than a busy machine answers.
fn options(servers: Vec<Server>) -> Options {
    Options {
        servers,
        secret: Some(SECRET.into()),
        tls: None,
        method: Method::Pap,
        timeout: Duration::from_millis(500),
        retries: 3,
        require_message_authenticator: None,
        role_attribute: RoleAttribute::FilterId,
        trust: Duration::from_secs(300),
        node: "lb1".to_owned(),
    }
}

fn radius(options: Options) -> Radius {
    Radius::new(options, Clock::system()).unwrap()
}

async fn asked(radius: &Radius, user: &str, proof: Proof) -> Outcome {
    let credentials = Credentials {
        user: user.to_owned(),
        proof,
    };
    radius.authenticate(&credentials, &Steps::unheard()).await
}

async fn log_in(radius: &Radius, user: &str, password: &str) -> Outcome {
    asked(radius, user, Proof::Password(password.into())).await
}

async fn answer(radius: &Radius, user: &str, state: &SecretString, otp: &str) -> Outcome {
    let (state, otp) = (state.clone(), otp.into());
    asked(radius, user, Proof::Answer { state, otp }).await
}

#[track_caller]
fn accepted(outcome: Outcome) -> Vec<String> {
    match outcome {
        Outcome::Accepted(accepted) => accepted.values,
        other => panic!("{}", other.sentence()),
    }
}

#[track_caller]
fn rejected(outcome: Outcome) -> String {
    match outcome {
        Outcome::Rejected(because) => because,
        other => panic!("{}", other.sentence()),
    }
}

#[track_caller]
fn unavailable(outcome: Outcome) -> String {
    match outcome {
        Outcome::Unavailable(because) => because,
        other => panic!("{}", other.sentence()),
    }
}
